"""The answer to a grounding question, and its JSON form."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.files import whole_file

SCHEMA = "stvg_jax.tube/1"


@dataclasses.dataclass(frozen=True)
class FrameScores:
    """What the model thought of each sampled frame, in time order. Every array is float32 [n] unless said otherwise.

    Attributes:
        frames: int64 [n], frame numbers in the video.
        sampling: relevance to the sentence from text-guided temporal sampling, in [0, 1]; 1 where the model has none.
        actioness: probability that the described event is going on.
        start: probability that the event starts here; sums to one over each of the interleaved passes.
        end: probability that the event ends here, likewise.
        passes: int64 [n], which interleaved pass looked at the frame (0: even positions, 1: odd ones).
    """

    frames: np.ndarray
    sampling: np.ndarray
    actioness: np.ndarray
    start: np.ndarray
    end: np.ndarray
    passes: np.ndarray


@dataclasses.dataclass(frozen=True)
class Tube:
    """When and where a video shows what a sentence describes.

    Frame numbers count decoded frames of the whole video from 0, in display order; ends are one past the last frame.

    Attributes:
        video: path or name of the video.
        sentence: the sentence as it was given.
        subject: the phrase that names the target, as given or as found in the sentence.
        width, height: pixels of a displayed frame (after rotation).
        fps: average frames per second.
        clip: (first, one past last) frame of the part of the video that was searched.
        start_frame, end_frame: the predicted interval.
        start_sec, end_sec: the same in seconds from the beginning of the video.
        box_frames: int64 [m], every frame with a box, consecutive, spanning the sampled part of the clip.
        boxes_xyxy: float32 [m, 4], (x1, y1, x2, y2) in pixels, one per entry of `box_frames`.
        scores: the model's scores at the sampled frames.
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

    def box_at(self, frame: int) -> np.ndarray | None:
        """Box (x1, y1, x2, y2) in pixels at `frame`, float32 [4]; None outside the sampled part of the clip."""
        index = frame - int(self.box_frames[0])
        return self.boxes_xyxy[index] if 0 <= index < len(self.box_frames) else None

    def to_dict(self) -> dict[str, Any]:
        """The documented JSON form (see the README's section on `tube.json`)."""
        s = self.scores
        return {
            "schema": SCHEMA,
            "video": self.video,
            "sentence": self.sentence,
            "subject": self.subject,
            "width": self.width,
            "height": self.height,
            "fps": self.fps,
            "clip_start_frame": self.clip[0],
            "clip_end_frame": self.clip[1],
            "start_frame": self.start_frame,
            "end_frame": self.end_frame,
            "start_sec": self.start_sec,
            "end_sec": self.end_sec,
            "boxes": [
                {"frame": int(f), "box": [round(float(v), 3) for v in box]}
                for f, box in zip(self.box_frames, self.boxes_xyxy, strict=True)
            ],
            "scores": [
                {
                    "frame": int(s.frames[i]),
                    "pass": int(s.passes[i]),
                    "sampling": float(s.sampling[i]),
                    "actioness": float(s.actioness[i]),
                    "start": float(s.start[i]),
                    "end": float(s.end[i]),
                }
                for i in range(len(s.frames))
            ],
        }

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Writes `to_dict()` to `path`, whole or not at all."""
        with whole_file(Path(path)) as file:
            json.dump(self.to_dict(), file, indent=1)
            file.write("\n")
