"""Length and density of the clips that a model was trained on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from stvg_jax.core.json_files import read_json

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.clip import ClipConfig
    from stvg_jax.grounding.protocol import Protocol

# Clips that are little longer than those of training are answered as well.
_TOLERANCE = 1.25


@dataclasses.dataclass(frozen=True)
class TrainedClip:
    """A usual clip of the training.

    Attributes:
        sec: its seconds.
        frames: frames of all passes that are sampled from it.
    """

    sec: float
    frames: int

    @classmethod
    def of(cls, config: ClipConfig, protocol: Protocol, sec: float | None = None) -> TrainedClip:
        """The clip of a model.

        Args:
            config: its clips.
            protocol: of its family.
            sec: seconds, where they are known; None for those of the frame rule's dataset.
        """
        from stvg_jax.data_pipeline.frame_rules import Amount, get_frame_rule

        rule, amount = get_frame_rule(config.sampling), Amount(config.frames_per_pass, config.sample_fps)
        return cls(rule.usual_sec(amount) if sec is None else sec, protocol.passes * rule.usual_frames(amount))

    @property
    def spacing_sec(self) -> float:
        """Seconds from one sampled frame to the next."""
        return self.sec / self.frames

    def warning(self, video: str, fps: float, times_sec: np.ndarray) -> str:
        """A line about sampled frames that lie further apart than in training; "" where they do not, or where none lies
        between them.

        Args:
            video: name of the video.
            fps: its average frame rate.
            times_sec: float64 [n], ascending, starts of the sampled frames.
        """
        if len(times_sec) < 2:
            return ""
        length = float(times_sec[-1] - times_sec[0])
        spacing = length / (len(times_sec) - 1)
        if spacing <= _TOLERANCE * max(self.spacing_sec, 1 / fps):
            return ""
        return (
            f"{video}: the model sees a frame every {spacing:.2g} s of this clip of {length:.4g} s and was trained on "
            f"one every {self.spacing_sec:.2g} s, so it may miss what happens between them; search it in windows "
            "(--window auto), or a part of it (--start, --end)"
        )


def stated_clip_sec(folder: Path) -> float | None:
    """Seconds of a training clip, as `clip_sec` in the training.json of a checkpoint's folder states them; None if it
    does not.

    Raises:
        InputError: the file cannot be read, or the value is not positive.
    """
    file = folder / checkpoint.TRAINING
    content = read_json(file) if file.exists() else {}
    value = content.get("clip_sec") if isinstance(content, dict) else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise InputError(f"{file}: clip_sec must be a positive number of seconds")
    return float(value)
