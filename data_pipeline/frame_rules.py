"""Rules that choose the frames of a clip for training and for evaluation."""

from __future__ import annotations

import abc
import dataclasses
import math

import numpy as np

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.passes import TWO

# Frames of a row, and frames per second, of the released systems.
FRAMES_PER_PASS = 64
SAMPLE_FPS = 3.2

# Mean length of the videos of VidSTG (Zhang et al., CVPR 2020).
_VIDSTG_SEC = 28.01


@dataclasses.dataclass(frozen=True)
class Amount:
    """The wanted number of frames; each rule uses the fields that concern it.

    Attributes:
        frames_per_pass: frames of one row.
        sample_fps: frames per second of one row.
        passes: rows that share the frames.
        video_fps: frames per second of the video itself; None if it is not known yet.
        first: number of the clip's first frame in its video.
    """

    frames_per_pass: int = FRAMES_PER_PASS
    sample_fps: float = SAMPLE_FPS
    passes: int = 1
    video_fps: float | None = None
    first: int = 0


class FrameRule(abc.ABC):
    """A way to spread frames over a clip.

    Attributes:
        crops_first: whether a temporal crop of training cuts the clip before frames are spread over it, so that any
            frame may be chosen; otherwise it takes a part of the frames that were spread over the whole clip.
        takes_last: whether the last frame of the clip may be chosen.
        needs_video_fps: whether the rule needs `Amount.video_fps`.
    """

    crops_first: bool
    takes_last: bool
    needs_video_fps = False

    @abc.abstractmethod
    def spread(self, frame_count: int, amount: Amount) -> np.ndarray:
        """int64 [n], n >= 1: strictly increasing numbers in 0 .. frame_count - 1.

        Raises:
            InputError: `amount` lacks a value that the rule needs.
        """

    @abc.abstractmethod
    def usual_frames(self, amount: Amount) -> int:
        """Number of frames of one row, for a clip of the usual length."""

    @abc.abstractmethod
    def usual_sec(self, amount: Amount) -> float:
        """Seconds of a clip of the usual length."""

    @abc.abstractmethod
    def most_frames(self, amount: Amount) -> int:
        """Bound of the number of frames of all passes, for a clip of any length."""

    def end(self, clip: tuple[int, int]) -> int:
        """The frame after the last one of a clip, (first, end), that the rule may choose."""
        return clip[1] if self.takes_last else max(clip[1] - 1, clip[0] + 1)


@dataclasses.dataclass(frozen=True)
class FixedRate(FrameRule):
    """`sample_fps` frames per second of a clip that counts as equally long whatever its real length.

    The candidates are all frames but the last one; the last candidate is always taken. A clip of one or two frames
    gives its first frame. (TA-STVG, `datasets/data_utils.py`, for HC-STVG.)

    Attributes:
        clip_sec: seconds that a clip counts as.
    """

    clip_sec: float
    crops_first = False
    takes_last = False

    def spread(self, frame_count: int, amount: Amount) -> np.ndarray:
        # The operations and their order are those of the released code: the last bit of a product decides which frame
        # is chosen.
        rate = amount.passes * amount.sample_fps / (frame_count / self.clip_sec)
        candidates = np.arange(max(frame_count - 1, 1), dtype=np.int64)
        steps = (candidates * rate).astype(np.int64)
        chosen = np.diff(steps, prepend=-1) > 0
        chosen[-1] = True
        return candidates[chosen]

    def usual_frames(self, amount: Amount) -> int:
        return round(self.clip_sec * amount.sample_fps)

    def usual_sec(self, amount: Amount) -> float:
        return self.clip_sec

    def most_frames(self, amount: Amount) -> int:
        return _steps_within(self.clip_sec, amount) + 1


@dataclasses.dataclass(frozen=True)
class EvenlySpaced(FrameRule):
    """`frames_per_pass` evenly spaced frames, the first and the last among them, or all if there are fewer.

    (TA-STVG, `datasets/data_utils.py`, for VidSTG.)
    """

    crops_first = True
    takes_last = True

    def spread(self, frame_count: int, amount: Amount) -> np.ndarray:
        number = amount.passes * amount.frames_per_pass
        if frame_count <= number:
            return np.arange(frame_count, dtype=np.int64)
        return np.linspace(0, frame_count - 1, num=number).astype(np.int64)

    def usual_frames(self, amount: Amount) -> int:
        return amount.frames_per_pass

    def usual_sec(self, amount: Amount) -> float:
        return _VIDSTG_SEC

    def most_frames(self, amount: Amount) -> int:
        return amount.passes * amount.frames_per_pass


@dataclasses.dataclass(frozen=True)
class RateWithLimit(FrameRule):
    """`sample_fps` frames per second, but at most `frames_per_pass`: of n frames, those at (j * n) // frames_per_pass.

    The first frame is always taken. Of a video with a lower rate, which the released code refuses, all frames are.
    (TubeDETR, `datasets/hcstvg.py` and `datasets/vidstg.py`.)

    Attributes:
        clip_sec: seconds that a clip counts as, as for FixedRate, without its last frame. None for the real rate of the
            video, counted from the first frame of the video.
    """

    clip_sec: float | None = None
    crops_first = False

    @property
    def takes_last(self) -> bool:
        return self.clip_sec is None

    @property
    def needs_video_fps(self) -> bool:
        return self.clip_sec is None

    def spread(self, frame_count: int, amount: Amount) -> np.ndarray:
        if self.clip_sec is None:
            if amount.video_fps is None:
                raise InputError("this frame rule needs the frame rate of the video, which is not known")
            first, count, video_fps = amount.first, frame_count, amount.video_fps
        else:
            first, count, video_fps = 0, max(frame_count - 1, 1), frame_count / self.clip_sec
        # As in FixedRate, the products decide.
        rate = amount.passes * amount.sample_fps / video_fps
        steps = ((first + np.arange(count, dtype=np.int64)) * rate).astype(np.int64)
        chosen = np.flatnonzero(np.diff(steps, prepend=steps[0] - 1) > 0)
        limit = amount.passes * amount.frames_per_pass
        return chosen if len(chosen) <= limit else chosen[np.arange(limit) * len(chosen) // limit]

    def usual_frames(self, amount: Amount) -> int:
        if self.clip_sec is None:
            return amount.frames_per_pass
        return min(round(self.clip_sec * amount.sample_fps), amount.frames_per_pass)

    def usual_sec(self, amount: Amount) -> float:
        return amount.frames_per_pass / amount.sample_fps if self.clip_sec is None else self.clip_sec

    def most_frames(self, amount: Amount) -> int:
        limit = amount.passes * amount.frames_per_pass
        return limit if self.clip_sec is None else min(_steps_within(self.clip_sec, amount), limit)


def _steps_within(seconds: float, amount: Amount) -> int:
    """Number of steps of the sampling rate that begin within a time."""
    return math.ceil(seconds * amount.passes * amount.sample_fps)


# By the names in configurations and checkpoints (`clip.sampling`). Each has the name of the dataset for which the
# released systems use it, after that of the system if it has its own; the rule that cleans the text has the same name
# (`TEXT_RULES`).
FRAME_RULES: dict[str, FrameRule] = {
    "hcstvg": FixedRate(clip_sec=20),
    "vidstg": EvenlySpaced(),
    "tubedetr_hcstvg": RateWithLimit(clip_sec=20),
    "tubedetr_vidstg": RateWithLimit(),
}


def get_frame_rule(name: str) -> FrameRule:
    """The rule with this name.

    Raises:
        InputError: there is none.
    """
    if not isinstance(name, str) or name not in FRAME_RULES:
        raise InputError(f"unknown frame rule {quoted(name)}; choose one of {', '.join(FRAME_RULES)}")
    return FRAME_RULES[name]


def evaluation_frame_ids(
    frame_count: int,
    rule: str,
    first: int = 0,
    *,
    frames_per_pass: int = FRAMES_PER_PASS,
    sample_fps: float = SAMPLE_FPS,
    passes: int = TWO,
    video_fps: float | None = None,
) -> np.ndarray:
    """The frames of a clip for an evaluation, of all its passes together.

    Args:
        frame_count: number of frames in the clip.
        rule: a key of `FRAME_RULES`.
        first: id of the clip's first frame, which is added to the result.
        frames_per_pass, sample_fps, passes, video_fps: see `Amount`.

    Returns:
        int64 [n], strictly increasing ids in first .. first + frame_count - 1, n >= 1.

    Raises:
        InputError: the rule is unknown, the clip is empty, `first` is negative, or a rate or number is not positive.
    """
    amount = Amount(frames_per_pass, sample_fps, passes, video_fps, first)
    return first + _checked(frame_count, rule, first, amount).spread(frame_count, amount)


def training_frame_ids(
    frame_count: int,
    rule: str,
    first: int = 0,
    *,
    tube: tuple[int, int],
    rng: np.random.Generator,
    crop_probability: float = 0.5,
    frames_per_pass: int = FRAMES_PER_PASS,
    sample_fps: float = SAMPLE_FPS,
    video_fps: float | None = None,
) -> np.ndarray:
    """Frames of a clip for one step of training, as the released training chooses them (TA-STVG,
    `datasets/data_utils.py`).

    With `crop_probability` the clip is cut to a random part that holds the tube: it begins at any frame before the tube
    and ends at any frame after it (at the tube itself only if there is no such frame). A rule that `crops_first`
    spreads its frames over that part; otherwise the crop takes a part of the frames spread over the whole clip.

    If no sampled frame lies in the tube, the nearest one moves to the middle of the tube, so that there is something to
    learn (the released code fails on such a clip).

    Args:
        frame_count, rule, first, frames_per_pass, sample_fps, video_fps: as for `evaluation_frame_ids`.
        tube: (first, end) ids of the described event, ends one past the last; some of it lies in the clip.
        rng: source of at most three draws.

    Returns:
        int64 [n], strictly increasing ids in first .. first + frame_count - 1, at least one of them in the tube.

    Raises:
        InputError: as `evaluation_frame_ids`; a tube outside the clip.
    """
    rates = {"frames_per_pass": frames_per_pass, "sample_fps": sample_fps, "video_fps": video_fps}
    ids = candidate_frame_ids(frame_count, rule, first, tube=tube, crop=True, **rates)
    if rng.random() < crop_probability:
        ids = _crop_around(ids, tube, rng)
    chosen = get_frame_rule(rule)
    if chosen.crops_first:
        ids = _with_tube(ids[chosen.spread(len(ids), Amount(**rates))], tube, first + frame_count)
    return ids


def cut_window(ids: np.ndarray, tube: tuple[int, int], length: int, rng: np.random.Generator) -> np.ndarray:
    """At most `length` consecutive frames of a training clip, at a random place with some of the tube.

    Args:
        ids: frames from `training_frame_ids`.
        tube: (first, end) ids of the described event.
        length: at least 1; 1 makes a picture of the clip.
        rng: source of one draw if the clip is longer, else of none.
    """
    if len(ids) <= length:
        return ids
    inside = np.flatnonzero(_within(ids, tube))
    start = rng.integers(max(0, inside[0] - length + 1), min(inside[-1], len(ids) - length) + 1)
    return ids[start : start + length]


def candidate_frame_ids(
    frame_count: int,
    rule: str,
    first: int = 0,
    *,
    tube: tuple[int, int],
    crop: bool,
    frames_per_pass: int = FRAMES_PER_PASS,
    sample_fps: float = SAMPLE_FPS,
    video_fps: float | None = None,
) -> np.ndarray:
    """Every frame that `training_frame_ids` may choose, whatever it draws: int64 [n], strictly increasing.

    Args:
        crop: whether `crop_probability` is above 0; a rule that `crops_first` may then choose any frame.

    Raises:
        InputError: as `training_frame_ids`.
    """
    amount = Amount(frames_per_pass, sample_fps, video_fps=video_fps, first=first)
    chosen, end = _checked(frame_count, rule, first, amount), first + frame_count
    if not max(tube[0], first) < min(tube[1], end):
        raise InputError(f"the tube, frames {tube[0]}:{tube[1]}, lies outside its clip, frames {first}:{end}")
    if crop and chosen.crops_first:
        return np.arange(first, end, dtype=np.int64)
    return _with_tube(first + chosen.spread(frame_count, amount), tube, end)


def _checked(frame_count: int, rule: str, first: int, amount: Amount) -> FrameRule:
    """The rule with this name; the other arguments are checked."""
    found = get_frame_rule(rule)
    if frame_count < 1 or first < 0:
        raise InputError(
            f"a clip of {frame_count} frames from frame {first} cannot be sampled; it needs one frame from 0 on"
        )
    if amount.frames_per_pass < 1 or not amount.sample_fps > 0:
        raise InputError(
            f"frames_per_pass={amount.frames_per_pass}, sample_fps={amount.sample_fps}: both must be positive "
            f"({FRAMES_PER_PASS} and {SAMPLE_FPS} by default)"
        )
    if amount.passes < 1:
        raise InputError(f"passes={amount.passes}: an evaluation makes at least one")
    return found


def _crop_around(ids: np.ndarray, tube: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A random run of `ids` that holds all ids in the tube."""
    before = int(np.searchsorted(ids, tube[0]))
    after = int(np.searchsorted(ids, tube[1]))
    start = int(rng.integers(before)) if before else 0
    last = int(rng.integers(after, len(ids))) if after < len(ids) else len(ids) - 1
    return ids[start : last + 1]


def _within(ids: np.ndarray, tube: tuple[int, int]) -> np.ndarray:
    """bool [n], True for the `ids` in the tube."""
    return (ids >= tube[0]) & (ids < tube[1])


def _with_tube(ids: np.ndarray, tube: tuple[int, int], end: int) -> np.ndarray:
    """`ids`, with the nearest one moved into the tube if none is there. `end` is one past the clip's last frame."""
    if _within(ids, tube).any():
        return ids
    middle = (max(tube[0], int(ids[0])) + min(tube[1], end) - 1) // 2
    moved = ids.copy()
    moved[np.argmin(np.abs(ids - middle))] = middle
    return moved
