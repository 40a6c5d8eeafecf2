"""The part of a video that is searched: bounds, sampling, decoding, the two interleaved passes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

import numpy as np

from stvg_jax.errors import InputError, quoted
from stvg_jax.inference.progress import Progress, Silent

_SAMPLING = ("hcstvg", "vidstg")
_MIN_RESOLUTION = 32
# Of 4096 rows the scores between the cells of one frame take 67 GB in the released models; they grow with the fourth
# power of the rows.
_MAX_RESOLUTION = 4096


def check_resolution(resolution: int) -> None:
    """Raises InputError for a resolution that no model can take."""
    if not _MIN_RESOLUTION <= resolution <= _MAX_RESOLUTION:
        raise InputError(
            f"resolution {resolution}: the model's grid needs at least {_MIN_RESOLUTION} pixels, and takes at most "
            f"{_MAX_RESOLUTION}: attention between the cells of a larger frame would fill any memory"
        )


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """How a model wants its clips.

    Attributes:
        sampling: rule that spreads frames over a clip, "hcstvg" or "vidstg" (`data_pipeline.sampling`).
        resolution: height in pixels that frames are resized to.
        frames_per_pass: frames of each of the two interleaved passes, for "vidstg".
        sample_fps: frames per second of each pass, for "hcstvg".
    """

    sampling: str = "hcstvg"
    resolution: int = 420
    frames_per_pass: int = 64
    sample_fps: float = 3.2

    def __post_init__(self) -> None:
        check_resolution(self.resolution)
        for name in ("frames_per_pass", "sample_fps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be positive")
        if self.sampling not in _SAMPLING:
            raise ValueError(f"sampling is {quoted(self.sampling)}; choose one of {', '.join(_SAMPLING)}")


@dataclasses.dataclass(frozen=True)
class Clip:
    """A part of a video, read and prepared.

    Attributes:
        video: path as given.
        height, width, fps: of the video as displayed.
        first, last: (first, one past last) frame.
        timestamps_sec: float64 [frames of the video].
        frame_ids: two int64 arrays, the interleaved passes.
        frames: float32 [2, t, h, w, 3], normalised; the shorter pass repeats its last frame.
    """

    video: str
    height: int
    width: int
    fps: float
    first: int
    last: int
    timestamps_sec: np.ndarray
    frame_ids: tuple[np.ndarray, np.ndarray]
    frames: np.ndarray

    @property
    def frames_valid(self) -> np.ndarray | None:
        """bool [2, t], or None when both passes are equally long."""
        return _frames_valid(self.frame_ids)

    def seconds(self, frame: int) -> float:
        """When a frame begins; one past the last begins an average frame after it."""
        times = self.timestamps_sec
        return float(times[frame]) if frame < len(times) else float(times[-1] + 1 / self.fps)


def read_clip(
    config: ClipConfig,
    video: str | os.PathLike[str],
    *,
    frames: tuple[int | None, int | None] = (None, None),
    seconds: tuple[float | None, float | None] = (None, None),
    resolution: int | None = None,
    decoder: str = "pyav",
    allow_partial: bool = False,
    on_shape: Callable[[tuple[int, ...], np.ndarray | None], None] | None = None,
    progress: Progress | None = None,
) -> Clip:
    """Decodes and prepares the frames that a model looks at.

    Args:
        config: of the model.
        video: path of a video file.
        frames: (first, one past last) frame to search; None for the video's own.
        seconds: (start, end) to search instead.
        resolution: overrides the configuration's.
        decoder: "pyav" or "decord".
        allow_partial: take a damaged video up to its damage.
        on_shape: called with the shape of `Clip.frames` and with `Clip.frames_valid` as soon as they are known, before
            frames are decoded.
        progress: told what is going on.

    Raises:
        InputError: for a video that cannot be decoded, a clip that is empty or outside it, or too low a resolution.
    """
    resolution = config.resolution if resolution is None else resolution
    check_resolution(resolution)
    # Here, not at the top: the library imports without a video decoder.
    from data_pipeline.frames import load_clip, model_size
    from data_pipeline.sampling import evaluation_frame_ids, interleave
    from data_pipeline.video import open_video

    with open_video(video, decoder=decoder, allow_partial=allow_partial) as reader:
        info = reader.info
        first, last = _bounds(info.frame_count, info.timestamps_sec, frames, seconds)
        rates = {"frames_per_pass": config.frames_per_pass, "sample_fps": config.sample_fps}
        ids = evaluation_frame_ids(last - first, config.sampling, first, **rates)
        passes = interleave(ids)
        length = max(map(len, passes))
        if on_shape is not None:
            on_shape((2, length, *model_size(info.height, info.width, resolution), 3), _frames_valid(passes))
        with (progress or Silent()).bar("reading frames", len(ids), "frame") as step:
            pixels = load_clip(reader, ids, resolution, step)
    rows = [np.searchsorted(ids, np.pad(p, (0, length - len(p)), mode="edge")) for p in passes]
    return Clip(
        video=os.fspath(video),
        height=info.height,
        width=info.width,
        fps=info.fps,
        first=first,
        last=last,
        timestamps_sec=info.timestamps_sec,
        frame_ids=passes,
        frames=pixels[np.stack(rows)],
    )


def _frames_valid(passes: tuple[np.ndarray, np.ndarray]) -> np.ndarray | None:
    lengths = [len(ids) for ids in passes]
    return None if lengths[0] == lengths[1] else np.arange(max(lengths)) < np.array(lengths)[:, None]


def _bounds(
    count: int,
    timestamps_sec: np.ndarray,
    frames: tuple[int | None, int | None],
    seconds: tuple[float | None, float | None],
) -> tuple[int, int]:
    """(first, one past last) frame of the part to search."""
    if any(f is not None for f in frames) and any(s is not None for s in seconds):
        raise InputError("give the part to search in frames or in seconds, not both")
    first = 0 if frames[0] is None else frames[0]
    last = count if frames[1] is None else frames[1]
    if seconds[0] is not None:
        first = int(np.searchsorted(timestamps_sec, seconds[0] - 1e-6))
    if seconds[1] is not None:
        last = int(np.searchsorted(timestamps_sec, seconds[1] - 1e-6))
    if 0 <= first < last <= count:
        return first, last
    frames_known = f"which has frames 0:{count}, the last at {timestamps_sec[-1]:.2f} s"
    if any(s is not None for s in seconds):
        start, end = ("the end" if s is None else f"{s:g}" for s in (seconds[0] or 0, seconds[1]))
        raise InputError(f"seconds {start} to {end} hold no frame of the video, {frames_known}")
    raise InputError(f"frames {first}:{last} are not a part of the video, {frames_known}")
