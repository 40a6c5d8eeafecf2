"""Search of long videos in windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from stvg_jax.core.arguments import check_part, check_whole
from stvg_jax.core.progress import Progress, Silent
from stvg_jax.grounding.inference.clip import (
    Clip,
    Video,
    check_resolution,
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
    from stvg_jax.grounding.inference.grounder import Grounder, Question


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
    trained, protocol, progress = grounder.trained_clip, grounder.protocol, progress or Silent()
    windows = Windows.of(window, stride, trained)
    check_windows(window, stride, top)
    bounds = check_part(start, end, frames)
    config = grounder.clip_config
    resolution = config.resolution if resolution is None else check_whole("resolution", resolution)
    check_resolution(resolution)
    from stvg_jax.data_pipeline.frames import load_clip, model_size

    name, reader = open_frames(video, fps=fps, decoder=decoder, allow_partial=allow_partial)
    found = [Collector(top) for _ in questions]
    with reader:
        info = reader.info
        first, end_frame = clip_bounds(info, *bounds)
        ids = sampled_frames(info.timestamps_sec, first, end_frame, trained.spacing_sec)
        # A slow video has fewer frames in the time of a window.
        spans = windows.spans(len(ids), max(trained.spacing_sec, 1 / info.fps), protocol.passes)
        part = windows.part(spans, grounder.joins_features)
        size = model_size(info.height, info.width, resolution, config.sizing)
        shape = rows_shape(protocol.split(ids[:part]), size)
        ready = grounder.prepare(*shape, questions, parts=spans[0][1] // part)

        def clip_of(sampled: np.ndarray, shown: np.ndarray) -> Clip:
            # It ends where the next sampled frame begins.
            following = np.searchsorted(ids, sampled[-1]) + 1
            bounds = int(sampled[0]), int(ids[following]) if following < len(ids) else end_frame
            return make_clip(name, info, bounds, sampled, shown, protocol)

        parts = Parts(part, lambda *read: grounder.encode_clip(clip_of(*read)))
        pixels = iter_windows(spans, ids, lambda wanted: load_clip(reader, wanted, resolution, sizing=config.sizing))
        with progress.stage("preparing the model"):
            ready()
        with progress.bar("searching", len(spans), "window") as step:
            for (begin, _), read in zip(spans, one_ahead(pixels), strict=True):
                clip, features = clip_of(*read), join_features(parts.of(begin, *read))
                for question, collector in zip(questions, found, strict=True):
                    collector.add(*grounder.answer_window(question, clip, features))
                step()
    return [collector.best() for collector in found]


def join_features(parts: Sequence[Any]) -> Any:
    """Features of consecutive parts of a video as those of all of it; frames are the second axis of every array."""
    return parts[0] if len(parts) == 1 else jax.tree.map(lambda *part: jax.numpy.concatenate(part, axis=1), *parts)
