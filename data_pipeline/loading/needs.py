"""Frames that models of a family need, to store them and to tell whether a store has them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Protocol

from stvg_jax.data_pipeline.annotations import Caption, Sample, VideoText
from stvg_jax.data_pipeline.frame_rules import Amount, get_frame_rule
from stvg_jax.data_pipeline.loading.captioned import ShownVideos
from stvg_jax.data_pipeline.loading.checks import REDUCED, find_problems, picture_problems
from stvg_jax.data_pipeline.loading.config import LoaderConfig
from stvg_jax.data_pipeline.loading.plan import Passes
from stvg_jax.data_pipeline.shards import FrameStore, wanted_frames
from stvg_jax.data_pipeline.shards.wanted import Wanted


class NeededFrames(Protocol):
    """Frames that models need for training and evaluation.

    Attributes:
        reads: type of the samples that they are trained on.
        resolution, sizing: of the models (`data_pipeline.frames.model_size`).
    """

    reads: ClassVar[type[VideoText]]

    @property
    def resolution(self) -> int: ...
    @property
    def sizing(self) -> str: ...

    @property
    def policy(self) -> str:
        """The fewest frames to store, one of `shards.POLICIES`: "sampled" if training takes only frames that evaluation
        takes too and these can be told, else "clips" or "all"."""
        ...

    def wanted(self, samples: Iterable[VideoText], dataset: str, policy: str) -> Wanted:
        """Frames to store of the videos of these samples, by a policy."""
        ...

    def lacks(self, store: FrameStore, samples: Sequence[Any]) -> list[str]:
        """Reasons why a store does not serve training and evaluation of these models, with numbers of videos and
        samples; none if it does.

        Args:
            store: the frames.
            samples: those to train on and to evaluate, of type `reads`; without any, only the sizes of pictures are
                looked at.
        """
        ...


@dataclasses.dataclass(frozen=True)
class ClipFrames:
    """Frames of clips (`NeededFrames`).

    Attributes:
        config: settings of their loader.
        passes: passes of their evaluation.
    """

    config: LoaderConfig
    passes: Passes
    reads: ClassVar[type[VideoText]] = Sample

    @property
    def resolution(self) -> int:
        return self.config.resolution

    @property
    def sizing(self) -> str:
        return self.config.sizing

    @property
    def policy(self) -> str:
        """See `NeededFrames.policy`; a rule that needs the rate of a video cannot tell the frames before."""
        rule = get_frame_rule(self.config.sampling)
        return "clips" if rule.crops_first or rule.needs_video_fps else "sampled"

    def wanted(self, samples: Iterable[VideoText], dataset: str, policy: str) -> Wanted:
        """`shards.wanted_frames` by the frame rule of these models."""
        amount = Amount(self.config.frames_per_pass, self.config.sample_fps, self.passes.passes)
        return wanted_frames(samples, dataset, policy, rule=self.config.sampling, amount=amount)

    def lacks(self, store: FrameStore, samples: Sequence[Sample]) -> list[str]:
        """See `NeededFrames.lacks`."""
        # Many sentences share a tube, and these checks take a while.
        alike = {(sample.video, sample.clip, sample.tube): sample for sample in samples}
        reasons = _other_pixels(store, self.resolution, self.sizing)
        for use, passes in (("evaluation", self.passes), ("training", None)):
            found = find_problems(list(alike.values()), store, self.config, passes)
            rules = collections.Counter(problem.rule for problem in found if problem.rule != REDUCED)
            reasons += [f"{rule} for {use} ({count:,} of {len(alike):,} tubes)" for rule, count in rules.items()]
        return reasons


@dataclasses.dataclass(frozen=True)
class WholeVideoFrames:
    """Frames of whole videos (`NeededFrames`).

    Attributes:
        shown: settings of the videos.
        training_rule: rule that chooses frames in training, one of `data_pipeline.fixed_number.RULES`.
    """

    shown: ShownVideos
    training_rule: str
    reads: ClassVar[type[VideoText]] = Caption

    @property
    def resolution(self) -> int:
        return self.shown.resolution

    @property
    def sizing(self) -> str:
        return self.shown.sizing

    @property
    def policy(self) -> str:
        """See `NeededFrames.policy`."""
        return "sampled" if self.training_rule == self.shown.frame_rule else "all"

    def wanted(self, samples: Iterable[VideoText], dataset: str, policy: str) -> Wanted:
        """See `NeededFrames.wanted`."""
        return dict.fromkeys(
            sorted({sample.video for sample in samples}), self.shown.frame_ids if policy == "sampled" else None
        )

    def lacks(self, store: FrameStore, samples: Sequence[Caption]) -> list[str]:
        """See `NeededFrames.lacks`."""
        videos = sorted({sample.video for sample in samples})
        found = [rule for video in videos for rule, _ in self.shown.problems(store, video) if rule != REDUCED]
        reasons = [
            f"{rule} for evaluation ({n:,} of {len(videos):,})" for rule, n in collections.Counter(found).items()
        ]
        partly = [video for video in videos if video in store.videos and store.videos[video].frames is not None]
        if partly and self.policy == "all":
            reasons.append(f"frames not stored for training ({len(partly):,} of {len(videos):,} videos)")
        return _other_pixels(store, self.resolution, self.sizing) + reasons


def _other_pixels(store: FrameStore, resolution: int, sizing: str) -> list[str]:
    videos = [v for v in store.videos.values() if any(picture_problems(v, store.settings, resolution, sizing))]
    return [f"frames reduced for other models ({len(videos):,} of {len(store.videos):,} videos)"] * bool(videos)
