"""The answer to a grounding question."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from stvg_jax.core.errors import quoted
from stvg_jax.core.files import whole_file


class _Arrays:
    """Equality of dataclasses that hold arrays. Defining it makes them unhashable."""

    __hash__: ClassVar[None]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(_same(value, getattr(other, name)) for name, value in vars(self).items())


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return a == b


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class FrameScores(_Arrays):
    """Scores of the sampled frames of a clip, in order of time.

    Attributes:
        frames: int64 [n], frame numbers in the video.
        sampling: float32 [n] in [0, 1], relevance to the sentence from text-guided temporal sampling; 1 for a model
            without it.
        actioness: float32 [n], probability that the frame is within the interval.
        start: float32 [n], probability that the interval starts here; the sum over each pass is 1, or over all frames
            where the protocol joins the logits of all rows. Of a search in windows, that of each window.
        end: float32 [n], the same of its end.
        passes: int64 [n], index of the pass that saw the frame (of two: 0 for even positions, 1 for odd ones).
    """

    frames: np.ndarray
    sampling: np.ndarray
    actioness: np.ndarray
    start: np.ndarray
    end: np.ndarray
    passes: np.ndarray

    def __post_init__(self):
        for field in dataclasses.fields(self):
            dtype = np.int64 if field.name in ("frames", "passes") else np.float32
            object.__setattr__(self, field.name, np.asarray(getattr(self, field.name), dtype))

    def __repr__(self) -> str:
        return f"<FrameScores of {len(self.frames)} frames>"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Moment(_Arrays):
    """One of the best moments of a video that was searched in windows.

    Attributes:
        start_frame, end_frame, start_sec, end_sec: its interval, as in `Tube`.
        score: by which moments of one video and sentence are ranked; higher is better.
        boxes_xyxy: float32 [end_frame - start_frame, 4], (x1, y1, x2, y2) in pixels.
        confidence: in [0, 1], as in `Tube`.
    """

    start_frame: int
    end_frame: int
    start_sec: float
    end_sec: float
    score: float
    boxes_xyxy: np.ndarray
    confidence: float | None = None

    def __post_init__(self):
        # Rounded as in the JSON form.
        for name in ("start_sec", "end_sec", "score", "confidence"):
            object.__setattr__(self, name, _rounded(getattr(self, name)))
        object.__setattr__(self, "boxes_xyxy", np.asarray(self.boxes_xyxy, np.float32))

    def __repr__(self) -> str:
        return f"<Moment from {self.start_sec:.2f} to {self.end_sec:.2f} s, score {self.score:.3g}>"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Tube(_Arrays):
    """Answer to a sentence about a video: an interval, and a box in each of its frames.

    Frame numbers count decoded frames of the whole video from 0, in display order; ends are one past the last frame.
    Two tubes are equal when all their values are; they are not hashable.

    Attributes:
        video: path or name of the video.
        sentence: the sentence as it was given.
        subject: the phrase that names the target, as given or as found in the sentence.
        width, height: pixels of a displayed frame (after rotation).
        fps: average frames per second, to 12 digits.
        clip: (start, end) frames of the part of the video that was searched; of a search in windows, those of the
            windows that the answer is from.
        start_frame, end_frame: the predicted interval.
        start_sec, end_sec: start of frame `start_frame` and end of the last frame before `end_frame`, in seconds from
            the beginning of the video, to a microsecond.
        box_frames: int64 [m], every frame with a box, consecutive, spanning the sampled part of the clip.
        boxes_xyxy: float32 [m, 4], (x1, y1, x2, y2) in pixels, one per entry of `box_frames`.
        scores: the model's scores at the sampled frames.
        warning: a line about sampled frames that lie further apart than in training; "" where they do not.
        moments: of a search in windows, the best moments, best first; this tube is the first of them. None shares a
            frame with a better one.
        confidence: probability in [0, 1] that the tube is right (docs/confidence.md); None in tubes of versions that
            did not give it.
        calibrated: whether `confidence` was calibrated, for the checkpoint and for sentences of words that it knows.
            Otherwise it only ranks answers.
        found: False where the confidence is so low that the clip may not show what the sentence describes; None where
            this is not known: without a calibration, and after a search in several windows.
        note: a line about the checkpoint, if it knows but one kind of videos or lacks words of the sentence; "" for
            others.
    """

    video: str
    sentence: str
    subject: str
    width: int
    height: int
    fps: float
    clip: tuple[int, int]
    start_frame: int
    end_frame: int
    start_sec: float
    end_sec: float
    box_frames: np.ndarray
    boxes_xyxy: np.ndarray
    scores: FrameScores
    warning: str = ""
    moments: tuple[Moment, ...] = ()
    confidence: float | None = None
    calibrated: bool = False
    found: bool | None = None
    note: str = ""

    def __post_init__(self):
        # Rounded as in the JSON form, so that a tube that was read equals the one that was written.
        values = {
            "fps": float(f"{self.fps:.12g}"),
            "start_sec": round(float(self.start_sec), 6),
            "end_sec": round(float(self.end_sec), 6),
            "confidence": _rounded(self.confidence),
            "box_frames": np.asarray(self.box_frames, np.int64),
            "boxes_xyxy": np.asarray(self.boxes_xyxy, np.float32),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return (
            f"<Tube of {quoted(self.sentence, 60)} in {quoted(self.video, 60)}: {self.clock(self.start_sec)} to "
            f"{self.clock(self.end_sec)}, frames {self.start_frame} to {self.end_frame - 1}, "
            f"{len(self.box_frames)} boxes>"
        )

    def box_at(self, frame: int) -> np.ndarray | None:
        """Box (x1, y1, x2, y2) in pixels at `frame`, float32 [4]; None outside the sampled part of the clip."""
        index = frame - int(self.box_frames[0]) if len(self.box_frames) else -1
        return self.boxes_xyxy[index] if 0 <= index < len(self.box_frames) else None

    def answer_boxes(self) -> tuple[np.ndarray, np.ndarray]:
        """Frames of the interval that have a box, int64 [n], and their boxes, float32 [n, 4]."""
        inside = (self.box_frames >= self.start_frame) & (self.box_frames < self.end_frame)
        return self.box_frames[inside], self.boxes_xyxy[inside]

    def even_seconds(self, frame: int) -> float:
        """Start of a frame in seconds if all frames lasted equally long."""
        return frame / self.fps

    def clock(self, seconds: float) -> str:
        """A time for people to read, with enough digits to tell frames apart: "1.25 s"."""
        average, answered = 1 / self.fps, (self.end_sec - self.start_sec) / (self.end_frame - self.start_frame)
        step = min(average, answered) if answered > 0 else average
        return f"{seconds:.{min(max(2, math.ceil(-math.log10(step))), 6)}f} s"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, which the README describes (`tube.json`)."""
        from stvg_jax.grounding.inference.tube_json import tube_to_dict

        return tube_to_dict(self)

    @classmethod
    def from_json(cls, source: str | os.PathLike[str] | Mapping[str, Any]) -> Tube:
        """Reads a tube from the JSON form.

        Args:
            source: path of a file that `write_json` wrote, or a result of `to_dict`.

        Raises:
            InputError: a file that cannot be read, or values that are not a tube.
        """
        from stvg_jax.grounding.inference.tube_json import read_tube

        return read_tube(source)

    def export(self, path: str | os.PathLike[str], format: str) -> None:
        """Writes the frames and boxes of the interval in the format of another tool, whole or not at all.

        Args:
            path: the file.
            format: "csv"; "mot" for results of MOTChallenge; "coco" for instances of COCO; "cvat" for a track of CVAT;
                "via" for a project of the VGG Image Annotator 3.

        Raises:
            InputError: the format is unknown, or the interval has no box.
        """
        from stvg_jax.grounding.inference.export import export

        export(self, path, format)

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` with a row for each frame that has a box.

        Its columns are frame, sec (at the average rate), x1, y1, x2, y2 and in_interval; its `attrs` hold video,
        sentence, subject and, if known, confidence. Raises InputError without pandas.
        """
        from stvg_jax.grounding.inference.export.objects import to_pandas

        return to_pandas(self)

    def to_supervision(self) -> dict[int, Any]:
        """Frame of the interval -> `supervision.Detections` with its box. Raises InputError without supervision."""
        from stvg_jax.grounding.inference.export.objects import to_supervision

        return to_supervision(self)

    def to_fiftyone(self) -> Any:
        """A `fiftyone.Sample` of the video with the interval as `moment` and the boxes as `target` of its frames.

        Raises InputError without fiftyone.
        """
        from stvg_jax.grounding.inference.export.objects import to_fiftyone

        return to_fiftyone(self)

    def _repr_html_(self) -> str:
        """The answer in a notebook."""
        from stvg_jax.grounding.inference.export.html import to_html

        return to_html(self)

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Writes `to_dict()` to `path`, whole or not at all."""
        with whole_file(Path(path)) as file:
            json.dump(self.to_dict(), file, indent=1)
            file.write("\n")
