"""Section `clip` of a retrieval model: its videos as it sees them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.loading.captioned import ShownVideos
    from stvg_jax.data_pipeline.loading.needs import WholeVideoFrames


@dataclasses.dataclass(frozen=True)
class RetrievalClip:
    """Whole videos, each as the same number of frames.

    Attributes:
        frames: number of frames.
        resolution: pixels of a side or, for another size rule, as that rule says.
        frame_rule: name of the rule that chooses frames in evaluation and search, "uniform" or "middle"
            (`data_pipeline.fixed_number.FIXED_RULES`).
        training_frame_rule: the same in training, also "rand" or "headtail" (`data_pipeline.fixed_number.RULES`).
        sizing: name of the rule that resizes frames (`data_pipeline.size_rules.RETRIEVAL_SIZE_RULES`).
    """

    frames: int = 8
    resolution: int = 224
    frame_rule: str = "uniform"
    training_frame_rule: str = "headtail"
    sizing: str = "square"

    def __post_init__(self) -> None:
        from stvg_jax.core.errors import quoted
        from stvg_jax.data_pipeline.fixed_number import FIXED_RULES, RULES
        from stvg_jax.data_pipeline.size_rules import RETRIEVAL_SIZE_RULES

        for name, known in (
            ("frame_rule", FIXED_RULES),
            ("training_frame_rule", RULES),
            ("sizing", RETRIEVAL_SIZE_RULES),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {quoted(getattr(self, name))}; choose one of {', '.join(known)}")
        for name in ("frames", "resolution"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be positive")

    @property
    def shown(self) -> ShownVideos:
        """Settings of a loader."""
        from stvg_jax.data_pipeline.loading.captioned import ShownVideos

        return ShownVideos(self.frames, self.frame_rule, self.resolution, self.sizing)

    @property
    def needed_frames(self) -> WholeVideoFrames:
        """Frames that training and evaluation need of a store."""
        from stvg_jax.data_pipeline.loading.needs import WholeVideoFrames

        return WholeVideoFrames(self.shown, self.training_frame_rule)
