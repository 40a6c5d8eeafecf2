"""Search of long videos in windows."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from stvg_jax.core.arguments import check_part
from stvg_jax.core.progress import Progress, Silent
from stvg_jax.grounding.inference.clip import (
    Clip,
    Video,
    chosen_resolution,
    clip_bounds,
    make_clip,
    open_frames,
    rows_shape,
)
from stvg_jax.grounding.inference.moments import Collector
from stvg_jax.grounding.inference.tube import Tube
from stvg_jax.grounding.inference.windows import (
    AUTO,
    Parts,
    Windows,
    check_windows,
    iter_windows,
    one_ahead,
    sampled_frames,
)

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.video import VideoReader
    from stvg_jax.grounding.inference.answering import Question
    from stvg_jax.grounding.inference.grounder import Grounder


def search(
    grounder: Grounder,
    video: Video,
    questions: Sequence[Question],
    *,
    window: float | str = AUTO,
    stride: float | None = None,
    top: int = 1,
    fps: float | None = None,
    start: float | None = None,
    end: float | None = None,
    frames: tuple[int | None, int | None] | None = None,
    resolution: int | None = None,
    decoder: str = "pyav",
    allow_partial: bool = False,
    progress: Progress | None = None,
) -> list[Tube]:
    """Searches a video of any length in overlapping windows, each a clip as the model was trained on.

    Every frame is decoded once. Backbones see each half of a window once, for the two windows that have it and for all
    questions, where the model allows it and windows are a multiple of their distance long. Few windows are in memory at
    a time.

    Args:
        grounder: the model.
        video: as for `stvg_jax.grounding.inference.clip.open_frames`.
        questions: of `Grounder.ask`.
        window: length of a window in seconds, at most that of a clip of the training; "auto" for that.
        stride: seconds between the beginnings of two windows; None for half of the length.
        top: largest number of moments in `Tube.moments`.
        fps, start, end, frames, resolution, decoder, allow_partial: as for
            `stvg_jax.grounding.inference.clip.read_clip`.
        progress: shows the progress.

    Returns:
        The best moment for each question, as a tube, and all of them in its `moments`.

    Raises:
        InputError: as `read_clip`; or windows or a number of moments that cannot be.
    """
    windows = Windows.of(window, stride, grounder.trained_clip)
    check_windows(window, stride, top)
    bounds = check_part(start, end, frames)
    resolution = chosen_resolution(grounder.clip_config, resolution)
    name, reader = open_frames(video, fps=fps, decoder=decoder, allow_partial=allow_partial)
    found = [Collector(top) for _ in questions]
    with reader:
        clips = _Clips(grounder, name, reader, clip_bounds(reader.info, *bounds), resolution, windows)
        with contextlib.closing(clips.encoded(questions, progress or Silent())) as encoded:
            for clip, features in encoded:
                for question, collector in zip(questions, found, strict=True):
                    collector.add(*grounder.answer_window(question, clip, features))
    return [collector.best() for collector in found]


class _Clips:
    """Windows of an open video as clips.

    Args:
        grounder: the model.
        name: of the video.
        reader: the video.
        bounds: (start, end) frames of the part that is searched.
        resolution: of the model.
        windows: length and distance of the windows.
    """

    def __init__(
        self,
        grounder: Grounder,
        name: str,
        reader: VideoReader,
        bounds: tuple[int, int],
        resolution: int,
        windows: Windows,
    ):
        self._grounder, self._name, self._reader, self._end = grounder, name, reader, bounds[1]
        self._resolution = resolution
        info, spacing_sec = reader.info, grounder.trained_clip.spacing_sec
        self._ids = sampled_frames(info.timestamps_sec, *bounds, spacing_sec)
        # A slow video has fewer frames in the time of a window.
        self._spans = windows.spans(len(self._ids), max(spacing_sec, 1 / info.fps), grounder.protocol.passes)
        self._part = windows.part(self._spans, grounder.joins_features)

    def encoded(self, questions: Sequence[Question], progress: Progress) -> Generator[tuple[Clip, Any], None, None]:
        """Yields the clip of each window and its features; programs for the questions are ready then."""
        from stvg_jax.data_pipeline.frames import load_clip, model_size

        grounder, info, sizing = self._grounder, self._reader.info, self._grounder.clip_config.sizing
        size = model_size(info.height, info.width, self._resolution, sizing)
        shape = rows_shape(grounder.protocol.split(self._ids[: self._part]), size)
        ready = grounder.prepare(*shape, questions, parts=self._spans[0][1] // self._part)
        parts = Parts(self._part, lambda *read: grounder.encode_clip(self._clip(*read)))
        pixels = iter_windows(
            self._spans, self._ids, lambda ids: load_clip(self._reader, ids, self._resolution, sizing=sizing)
        )
        with progress.stage("preparing the model"):
            ready()
        # Decoding ends before the video is closed, whatever happens.
        with (
            progress.bar("searching", len(self._spans), "window") as step,
            contextlib.closing(one_ahead(pixels)) as coming,
        ):
            for (begin, _), read in zip(self._spans, coming, strict=True):
                yield self._clip(*read), join_features(parts.of(begin, *read))
                step()

    def _clip(self, frames: np.ndarray, pixels: np.ndarray) -> Clip:
        """A clip of some of the sampled frames, which ends where the next one of these begins."""
        following = np.searchsorted(self._ids, frames[-1]) + 1
        end = int(self._ids[following]) if following < len(self._ids) else self._end
        return make_clip(self._name, self._reader.info, (int(frames[0]), end), frames, pixels, self._grounder.protocol)


def join_features(parts: Sequence[Any]) -> Any:
    """Features of consecutive parts of a video as those of all of it; frames are the second axis of every array."""
    return parts[0] if len(parts) == 1 else jax.tree.map(lambda *part: jax.numpy.concatenate(part, axis=1), *parts)
