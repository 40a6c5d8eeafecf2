"""Answers to questions about many videos, each clip decoded and encoded once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias

from stvg_jax.core.errors import InputError
from stvg_jax.grounding.inference.clip import Clip
from stvg_jax.grounding.inference.queries import Query
from stvg_jax.grounding.inference.tube import Tube
from stvg_jax.grounding.inference.windows import Windows, check_windows

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.answering import Question
    from stvg_jax.grounding.inference.grounder import Grounder

# Video, start and end.
_Part: TypeAlias = tuple[str, float | None, float | None]


def ground_each(
    grounder: Grounder,
    queries: Sequence[Query],
    *,
    window: float | str | None = None,
    stride: float | None = None,
    top: int = 1,
    **reading: Any,
) -> Iterator[tuple[Query, Tube | InputError]]:
    """Answers questions, video by video in the order of their first questions.

    While the model runs on a clip, the next one is decoded, so two clips are in memory.

    Args:
        grounder: the model.
        queries: the questions, each once.
        window, stride, top: as for `Grounder.ground`; the answers to all questions about a clip come together.
        reading: `resolution`, `decoder` and `allow_partial` as for `stvg_jax.grounding.inference.clip.read_clip`.

    Yields:
        Each question with its tube, or with the reason why its clip cannot be used.

    Raises:
        InputError: before the first answer, a question that the model cannot read; or its parameters are damaged.
    """
    questions = {query: grounder.ask([query.sentence], [query.subject])[0] for query in queries}
    clips = _by_clip(queries)
    check_windows(window, stride, top)
    if window is not None:
        from stvg_jax.grounding.inference.searching import search

        # These are no fault of a clip, and neither are damaged parameters.
        Windows.of(window, stride, grounder.trained_clip)
        _ = grounder.parameters
        reading |= {"window": window, "stride": stride, "top": top}
        for (video, start, end), asked in clips.items():
            try:
                wanted = [questions[query] for query in asked]
                found: Sequence[Tube | InputError] = search(grounder, video, wanted, start=start, end=end, **reading)
            except InputError as error:
                found = [error] * len(asked)
            yield from zip(asked, found, strict=True)
        return

    def read(part: _Part) -> Clip | InputError:
        video, start, end = part
        asked = [questions[query] for query in clips[part]]
        try:
            return grounder.read_clip(video, asked, start=start, end=end, **reading)
        except InputError as error:
            return error

    pool, parts = ThreadPoolExecutor(1), list(clips)
    try:
        coming = pool.submit(read, parts[0]) if parts else None
        for number, part in enumerate(parts, 1):
            assert coming is not None
            clip = coming.result()
            coming = pool.submit(read, parts[number]) if number < len(parts) else None
            if isinstance(clip, InputError):
                yield from ((query, clip) for query in clips[part])
            else:
                yield from _answers(grounder, clip, {query: questions[query] for query in clips[part]})
    finally:
        # The clip that is being read is of no use after an interruption.
        pool.shutdown(wait=False, cancel_futures=True)


def _by_clip(queries: Sequence[Query]) -> dict[_Part, list[Query]]:
    """Questions by clip, the clips of a video one after another."""
    videos: dict[str, dict[_Part, list[Query]]] = {}
    for query in queries:
        part = query.video, query.start, query.end
        videos.setdefault(query.video, {}).setdefault(part, []).append(query)
    return {part: asked for parts in videos.values() for part, asked in parts.items()}


def _answers(
    grounder: Grounder, clip: Clip, questions: dict[Query, Question]
) -> Iterator[tuple[Query, Tube | InputError]]:
    # Damaged parameters are no fault of the clip.
    _ = grounder.parameters
    try:
        features = grounder.encode_clip(clip)
    except InputError as error:  # too large for the memory
        yield from ((query, error) for query in questions)
        return
    for query, question in questions.items():
        try:
            answer: Tube | InputError = grounder.answer(question, clip, features)
        except InputError as error:
            answer = error
        yield query, answer


def failure(query: Query, error: InputError) -> str:
    """Message about a question without an answer, which names the video."""
    return str(error) if query.video in str(error) else f"{query.video}: {error}"
