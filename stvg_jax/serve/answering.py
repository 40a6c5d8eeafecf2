"""Questions about videos and their answers, by a `Grounder`."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.progress import Progress
from stvg_jax.serve.jobs import Job
from stvg_jax.serve.limits import Refusal
from stvg_jax.serve.videos import StoredVideo

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.clip import Clip
    from stvg_jax.grounding.inference.grounder import Grounder
    from stvg_jax.grounding.inference.tube import Tube
    from stvg_jax.grounding.types import VideoFeatures

_JSON, _VIDEO = "tube.json", "tube.mp4"
# A project of VIA names the video by its path, which a browser does not tell.
EXPORTS = ("csv", "mot", "coco", "cvat")


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """A tube, and what a player and files need beside it.

    Attributes:
        tube: its video is the name that the user knows.
        path: the video.
        times_sec: float64 [frames of the video + 1], start of each frame, then the end of the last.
    """

    tube: Tube
    path: Path
    times_sec: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        times = self.times_sec.round(6)
        return {
            "tube": self.tube.to_dict(),
            "box_sec": times[self.tube.box_frames].tolist(),
            "score_sec": times[self.tube.scores.frames].tolist(),
        }

    def file(self, name: str, on_frame: Callable[[], None] = lambda: None) -> bytes:
        """Content of a file to download.

        Args:
            name: one of `file_names`.
            on_frame: called for each frame of a video; what it raises ends the drawing.

        Raises:
            InputError: there is no file of this name; the answer has no box to export; or the video cannot be drawn.
        """
        from stvg_jax.grounding.inference.export import export

        if name not in (names := file_names()):
            raise Refusal(f"there is no file {quoted(name, 40)}; choose one of {', '.join(names)}", 404)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            if name == _JSON:
                self.tube.write_json(path)
            elif name == _VIDEO:
                self._draw(path, on_frame)
            else:
                export(self.tube, path, names[name])
            return path.read_bytes()

    def _draw(self, path: Path, on_frame: Callable[[], None]) -> None:
        from stvg_jax.data_pipeline.video import open_video
        from stvg_jax.grounding.inference.draw import draw_video

        try:
            with open_video(self.path) as reader:
                frames = reader.iter_frames(*self.tube.clip)
                draw_video(
                    self.tube,
                    frames,
                    path,
                    progress=lambda _: on_frame(),
                    seconds=lambda frame: float(self.times_sec[frame]),
                )
        except InputError as error:
            raise _named(error, self.path, self.tube.video) from error


@dataclasses.dataclass(eq=False)
class Question(Job):
    """A question about a video.

    Attributes:
        video: the video.
        sentence, subject: as asked; no subject to find it in the sentence.
        start, end: bounds of the part to search in seconds; None for those of the video.
    """

    video: StoredVideo
    sentence: str
    subject: str | None = None
    start: float | None = None
    end: float | None = None
    answer: Answer | None = dataclasses.field(default=None, kw_only=True)

    def asked(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in ("sentence", "subject", "start", "end")}
        return {"video": self.video.id} | values

    def uses(self, video_id: str) -> bool:
        return self.video.id == video_id


def file_names() -> dict[str, str]:
    """Name of each file to download -> its format."""
    from stvg_jax.grounding.inference.export import file_name

    return {_JSON: "json", _VIDEO: "mp4"} | {file_name(format): format for format in EXPORTS}


def check_length(name: str, text: str, characters: int) -> None:
    """Raises InputError for a text of more characters."""
    if len(text) > characters:
        raise InputError(
            f"{name} {quoted(text, 40)} has {len(text):,} characters, and at most {characters:,} are taken; say it in "
            "fewer words"
        )


def _named(error: InputError, path: Path, name: str) -> InputError:
    """The error with the user's name of a video in the place of its path."""
    return InputError(str(error).replace(str(path), quoted(name)))


class Answerer:
    """Answers questions. The clip of the last one is kept, as the next is often about it too.

    Args:
        grounder: a loaded model.
        sentence_characters: the most that a sentence may have.
    """

    def __init__(self, grounder: Grounder, sentence_characters: int):
        self._grounder = grounder
        self._characters = sentence_characters
        self._last: tuple[tuple[Any, ...], Clip, VideoFeatures] | None = None

    def check(self, sentence: str, subject: str | None) -> None:
        """Raises InputError for a sentence or a subject that cannot be read."""
        check_length("sentence", sentence, self._characters)
        if subject is not None:
            check_length("subject", subject, self._characters)
        self._grounder.ask([sentence], [subject])

    def __call__(self, job: Question, progress: Progress) -> Answer:
        """Answers a question; raises InputError if it cannot be answered."""
        video = job.video
        (question,) = questions = self._grounder.ask([job.sentence], [job.subject])
        key = video.id, job.start, job.end
        if self._last is None or self._last[0] != key:
            # Two clips at once might not fit into the memory.
            self._last = None
            try:
                clip = self._grounder.read_clip(video.path, questions, start=job.start, end=job.end, progress=progress)
            except InputError as error:
                raise _named(error, video.path, video.name) from error
            self._last = key, clip, self._grounder.encode_clip(clip, progress=progress)
        _, clip, features = self._last
        tube = self._grounder.answer(question, clip, features, progress=progress)
        times_sec = np.append(clip.timestamps_sec, clip.duration_sec)
        return Answer(dataclasses.replace(tube, video=video.name), video.path, times_sec)

    def forget(self, video: StoredVideo) -> None:
        """Forgets the clip of a video that is deleted."""
        if (last := self._last) is not None and last[0][0] == video.id:
            self._last = None
