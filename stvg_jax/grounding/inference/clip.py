"""The clip, the part of a video that is searched: its bounds, sampled frames, pixels, and passes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from stvg_jax.core.arguments import check_flag, check_part, check_path, check_whole
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.progress import Progress, Silent
from stvg_jax.grounding.inference.trained import TrainedClip

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.video import VideoInfo, VideoReader
    from stvg_jax.grounding.protocol import Protocol

Video: TypeAlias = "str | os.PathLike[str] | np.ndarray"

_MIN_RESOLUTION = 32
# With 4096 rows, attention scores of the cells of one frame take 67 GB in the released models. They grow with the
# fourth power of the number of rows.
_MAX_RESOLUTION = 4096


def check_resolution(resolution: int) -> None:
    """Raises InputError for a resolution that no model can take."""
    if not _MIN_RESOLUTION <= resolution <= _MAX_RESOLUTION:
        raise InputError(
            f"resolution {resolution}: the model's grid needs at least {_MIN_RESOLUTION} pixels, and takes at most "
            f"{_MAX_RESOLUTION}: attention between the cells of a larger frame would fill any memory"
        )


def chosen_resolution(config: ClipConfig, resolution: int | None) -> int:
    """The resolution that is asked for, or that of the configuration; raises InputError if no model can take it."""
    chosen = config.resolution if resolution is None else check_whole("resolution", resolution)
    check_resolution(chosen)
    return chosen


@dataclasses.dataclass(frozen=True)
class ClipConfig:
    """Clips as a model needs them.

    Attributes:
        sampling: name of the frame rule, which chooses the frames of a clip (`data_pipeline.frame_rules.FRAME_RULES`),
            and of the text rule, which cleans sentences; "hcstvg" and "vidstg" are those of the released systems.
        resolution: pixels that the height or, for another size rule, the shorter side of a frame is resized to.
        sizing: name of the rule that resizes frames (`data_pipeline.size_rules.SIZE_RULES`).
        frames_per_pass: frames of each of the two interleaved passes, for "vidstg".
        sample_fps: frames per second of each pass, for "hcstvg".
        frames_at_once: frames that the model sees at once in an evaluation, if it is one for fewer frames than
            `frames_per_pass`; longer clips are read in consecutive parts. 0 for all frames of a pass.
    """

    sampling: str = "hcstvg"
    resolution: int = 420
    frames_per_pass: int = 64
    sample_fps: float = 3.2
    sizing: str = "squeezed"
    frames_at_once: int = 0

    def __post_init__(self) -> None:
        from stvg_jax.data_pipeline.frame_rules import FRAME_RULES
        from stvg_jax.data_pipeline.size_rules import SIZE_RULES

        check_resolution(self.resolution)
        for name in ("frames_per_pass", "sample_fps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be positive")
        if self.frames_at_once < 0:
            raise ValueError(f"frames_at_once is {self.frames_at_once}; it must not be negative")
        if self.sampling not in FRAME_RULES:
            raise ValueError(f"sampling is {quoted(self.sampling)}; choose one of {', '.join(FRAME_RULES)}")
        if self.sizing not in SIZE_RULES:
            raise ValueError(f"sizing is {quoted(self.sizing)}; choose one of {', '.join(SIZE_RULES)}")


@dataclasses.dataclass(frozen=True)
class Clip:
    """A part of a video, read and prepared.

    Attributes:
        video: path as given.
        height, width, fps: of the video as displayed.
        duration_sec: end of the last frame of the video.
        start, end: frames of the clip; `end` is one past the last.
        timestamps_sec: float64 [frames of the video], start of each frame.
        frame_ids: int64 arrays, one for each pass.
        frames: float32 [passes, t, h, w, 3], normalised; a shorter pass repeats its last frame.
        warning: a line about sampled frames that lie further apart than in training; "" where they do not.
    """

    video: str
    height: int
    width: int
    fps: float
    duration_sec: float
    start: int
    end: int
    timestamps_sec: np.ndarray = dataclasses.field(repr=False)
    frame_ids: tuple[np.ndarray, ...] = dataclasses.field(repr=False)
    frames: np.ndarray = dataclasses.field(repr=False)
    warning: str = ""

    @property
    def frames_valid(self) -> np.ndarray | None:
        """bool [passes, t], or None when all passes are equally long."""
        return _frames_valid(self.frame_ids)

    def seconds(self, frame: int) -> float:
        """Start of a frame; for one past the last, the end of the video."""
        return frame_seconds(frame, self.timestamps_sec, self.duration_sec)


def frame_seconds(frame: int, timestamps_sec: np.ndarray, duration_sec: float) -> float:
    """Start of a frame of a video; for one past the last, the end of the video."""
    return float(timestamps_sec[frame]) if frame < len(timestamps_sec) else duration_sec


def open_frames(
    video: Video, *, fps: float | None = None, decoder: str = "pyav", allow_partial: bool = False
) -> tuple[str, VideoReader]:
    """Opens a video, a folder of pictures or an array of frames.

    Args:
        video: path of a video file, or of a folder with pictures of one size, which are taken in the natural order of
            their names; or frames, uint8 [T, H, W, 3], RGB.
        fps: frames per second of pictures or an array; None for a video file, which has its own times.
        decoder, allow_partial: as for `read_clip`.

    Returns:
        Its name, and the reader, a context manager.

    Raises:
        InputError: as `read_clip`.
    """
    check_flag("allow_partial", allow_partial)
    # Imported here, because the library must import without a video decoder.
    from stvg_jax.data_pipeline.video import open_video
    from stvg_jax.data_pipeline.video.listing import is_picture_folder
    from stvg_jax.data_pipeline.video.pictures import IN_MEMORY, ArrayReader, PicturesReader, check_fps

    if hasattr(video, "__array__"):
        return IN_MEMORY, ArrayReader(np.asarray(video), check_fps(fps, "frames of an array"))
    video = check_path("video", video)
    if is_picture_folder(video):
        return video, PicturesReader(video, check_fps(fps, f"{video}: pictures of a folder"))
    if fps is not None:
        raise InputError(f"fps {fps}: is for pictures of a folder and for arrays; leave it out for {video}")
    return video, open_video(video, decoder=decoder, allow_partial=allow_partial)


def read_clip(
    config: ClipConfig,
    protocol: Protocol,
    video: Video,
    *,
    fps: float | None = None,
    start: float | None = None,
    end: float | None = None,
    frames: tuple[int | None, int | None] | None = None,
    resolution: int | None = None,
    decoder: str = "pyav",
    allow_partial: bool = False,
    trained: TrainedClip | None = None,
    on_shape: Callable[[tuple[int, ...], np.ndarray | None], None] | None = None,
    progress: Progress | None = None,
) -> Clip:
    """Decodes and prepares the sampled frames of a clip.

    Args:
        config: of the model.
        protocol: of its family, which splits the sampled frames into passes.
        video, fps: as for `open_frames`.
        start, end: bounds of the clip in seconds from the beginning of the video; None for those of the video. The clip
            has the frames that begin at `start` or later and before `end`.
        frames: bounds of the clip as (start, end) frames instead, with None for those of the video.
        resolution: overrides the setting of the configuration.
        decoder: "pyav" or "decord".
        allow_partial: whether to read a damaged video up to its damage.
        trained: clips that the model was trained on, with which the density of the sampled frames is compared; None for
            those of the frame rule's dataset.
        on_shape: called with the shape of `Clip.frames` and with `Clip.frames_valid` as soon as they are known, before
            frames are decoded.
        progress: shows the progress.

    Raises:
        InputError: an argument of a wrong type, a video that cannot be decoded, a clip that is empty or not within the
            video, or a resolution that is out of range.
    """
    part = check_part(start, end, frames)
    resolution = chosen_resolution(config, resolution)
    from stvg_jax.data_pipeline.frame_rules import evaluation_frame_ids
    from stvg_jax.data_pipeline.frames import load_clip, model_size

    name, reader = open_frames(video, fps=fps, decoder=decoder, allow_partial=allow_partial)
    with reader:
        info = reader.info
        clip_start, clip_end = clip_bounds(info, *part)
        rates = {"frames_per_pass": config.frames_per_pass, "sample_fps": config.sample_fps}
        ids = evaluation_frame_ids(
            clip_end - clip_start, config.sampling, clip_start, **rates, passes=protocol.passes, video_fps=info.fps
        )
        if on_shape is not None:
            size = model_size(info.height, info.width, resolution, config.sizing)
            on_shape(*rows_shape(protocol.split(ids), size))
        with (progress or Silent()).bar("reading frames", len(ids), "frame") as step:
            pixels = load_clip(reader, ids, resolution, step, sizing=config.sizing)
    trained = trained or TrainedClip.of(config, protocol)
    warning = trained.warning(name, info.fps, info.timestamps_sec[ids])
    return make_clip(name, info, (clip_start, clip_end), ids, pixels, protocol, warning)


def make_clip(
    video: str,
    info: VideoInfo,
    bounds: tuple[int, int],
    ids: np.ndarray,
    pixels: np.ndarray,
    protocol: Protocol,
    warning: str = "",
) -> Clip:
    """A clip of frames that have been read.

    Args:
        video: name of the video.
        info: its description.
        bounds: (start, end) frames of the clip.
        ids: int64 [n], its sampled frames, ascending.
        pixels: float32 [n, h, w, 3], normalised.
        protocol: splits the frames into passes.
        warning: as in `Clip`.
    """
    length = max(map(len, passes := protocol.split(ids)))
    rows = [np.searchsorted(ids, np.pad(p, (0, length - len(p)), mode="edge")) for p in passes]
    return Clip(
        video=video,
        height=info.height,
        width=info.width,
        fps=info.fps,
        duration_sec=info.duration_sec,
        start=bounds[0],
        end=bounds[1],
        timestamps_sec=info.timestamps_sec,
        frame_ids=passes,
        frames=pixels[np.stack(rows)],
        warning=warning,
    )


def rows_shape(passes: tuple[np.ndarray, ...], size: tuple[int, int]) -> tuple[tuple[int, ...], np.ndarray | None]:
    """Shape of `Clip.frames`, and `Clip.frames_valid`, for the frames of each pass and a size (h, w)."""
    return (len(passes), max(map(len, passes)), *size, 3), _frames_valid(passes)


def _frames_valid(passes: tuple[np.ndarray, ...]) -> np.ndarray | None:
    lengths = [len(ids) for ids in passes]
    return None if len(set(lengths)) == 1 else np.arange(max(lengths)) < np.array(lengths)[:, None]


def clip_bounds(
    info: VideoInfo, seconds: tuple[float | None, float | None], frames: tuple[int | None, int | None]
) -> tuple[int, int]:
    """(start, end) frames of a clip of a video, from what `check_part` returns.

    Raises:
        InputError: the clip is empty, or not within the video.
    """
    count, timestamps_sec = info.frame_count, info.timestamps_sec
    start = 0 if frames[0] is None else frames[0]
    end = count if frames[1] is None else frames[1]
    # Times are printed to a microsecond. A printed time must give the frame that it was printed for.
    slack = min(1e-6, np.diff(timestamps_sec).min(initial=1.0) / 2)
    if seconds[0] is not None:
        start = int(np.searchsorted(timestamps_sec, seconds[0] - slack))
    if seconds[1] is not None:
        end = int(np.searchsorted(timestamps_sec, seconds[1] - slack))
    if start < end <= count:
        return start, end
    frames_known = f"which has frames 0:{count}, the last at {timestamps_sec[-1]:.2f} s"
    if any(s is not None for s in seconds):
        since, until = ("the end" if s is None else f"{s:g}" for s in (seconds[0] or 0, seconds[1]))
        raise InputError(f"seconds {since} to {until} hold no frame of the video, {frames_known}")
    raise InputError(f"frames {start}:{end} are not a part of the video, {frames_known}")
