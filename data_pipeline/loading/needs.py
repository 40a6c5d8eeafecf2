"""Frames that models of a family need, to store them and to tell whether a store has them."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from stvg_jax.data_pipeline.annotations import Sample, VideoText
from stvg_jax.data_pipeline.frame_rules import Amount, get_frame_rule
from stvg_jax.data_pipeline.loading.checks import REDUCED, find_problems, picture_problems
from stvg_jax.data_pipeline.loading.config import LoaderConfig
from stvg_jax.data_pipeline.loading.plan import Passes
from stvg_jax.data_pipeline.shards import FrameStore, wanted_frames


@dataclasses.dataclass(frozen=True)
class NeededFrames:
    """Frames that models need for training and evaluation.

    Attributes:
        config: settings of their loader.
        passes: passes of their evaluation.
    """

    config: LoaderConfig
    passes: Passes

    @property
    def policy(self) -> str:
        """The fewest frames to store, one of `shards.POLICIES`: "sampled" if training takes only frames that evaluation
        takes too and these are known before a video is opened, else "clips"."""
        rule = get_frame_rule(self.config.sampling)
        return "clips" if rule.crops_first or rule.needs_video_fps else "sampled"

    def wanted(self, samples: Iterable[VideoText], dataset: str, policy: str) -> dict[str, np.ndarray | None]:
        """`shards.wanted_frames` by the frame rule of these models."""
        amount = Amount(self.config.frames_per_pass, self.config.sample_fps, self.passes.passes)
        return wanted_frames(samples, dataset, policy, rule=self.config.sampling, amount=amount)

    def lacks(self, store: FrameStore, samples: Sequence[Sample]) -> list[str]:
        """Reasons why a store does not serve training and evaluation of these models, with numbers of videos and
        samples; none if it does.

        Args:
            store: the frames.
            samples: those to train on and to evaluate; without any, only the sizes of pictures are looked at.
        """
        # Many sentences share a tube, and these checks take a while.
        alike = {(sample.video, sample.clip, sample.tube): sample for sample in samples}
        videos = [video for video in store.videos.values() if any(picture_problems(video, store.settings, self.config))]
        reasons = [f"frames reduced for other models ({len(videos):,} of {len(store.videos):,} videos)"] * bool(videos)
        for use, passes in (("evaluation", self.passes), ("training", None)):
            found = find_problems(list(alike.values()), store, self.config, passes)
            rules = collections.Counter(problem.rule for problem in found if problem.rule != REDUCED)
            reasons += [f"{rule} for {use} ({count:,} of {len(alike):,} tubes)" for rule, count in rules.items()]
        return reasons
