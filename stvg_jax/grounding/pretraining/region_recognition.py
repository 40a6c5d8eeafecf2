"""Region recognition: pre-training of the visual backbones, which learn to name what is inside the true boxes.

The released systems start from trained backbones: ResNet-101 from phrase grounding, Video Swin from Kinetics. Without
them, backbones learn slowly from grounding: a wrong box says little about its cause. Here features are pooled inside
the true box, and classifiers predict words from them: for the target's appearance from the image backbone, verbs from
the video backbone. The words are the attribute labels of TA-STVG. Any grounding model can start from the result
(`config.train.initialise`).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.base import GroundingConfig, VideoEncoder
from stvg_jax.grounding.family import grounding_family
from stvg_jax.grounding.losses import cross_entropy, sum_over_videos
from stvg_jax.grounding.regions import pool_regions
from stvg_jax.grounding.target_queries import ClassifierHead
from stvg_jax.grounding.targets import GroundingTargets, TargetCounts
from stvg_jax.grounding.types import GroundingBatch, TrueTube
from stvg_jax.nn.masking import masked_mean


@dataclasses.dataclass(frozen=True)
class RegionRecognitionConfig(GroundingConfig):
    """Hyper-parameters of the backbones and of the projections of their features.

    Of `transformer` only the width is used, of `roberta` only the sizes that the tokenizer must have.

    Attributes:
        appearance_words, motion_words: sizes of the attribute vocabularies.
    """

    frozen_backbones: bool = False
    appearance_words: int = 15
    motion_words: int = 60

    def __post_init__(self):
        super().__post_init__()
        if self.frozen_backbones:
            raise ValueError("frozen_backbones is True, but region recognition trains the backbones; set it to False")

    @property
    def words(self) -> tuple[int, int]:
        return self.appearance_words, self.motion_words


@dataclasses.dataclass(frozen=True)
class RegionLossConfig:
    """Weights of the terms of `region_losses`."""

    appearance_words: float = 10.0
    motion_words: float = 10.0

    def terms(
        self, output: RegionOutput, targets: GroundingTargets, counts: TargetCounts | None = None
    ) -> dict[str, jax.Array]:
        """See `region_losses`."""
        return region_losses(output, targets, counts)


@dataclasses.dataclass(frozen=True)
class RegionLearningRates:
    """Peak learning rates of the groups.

    Attributes:
        base: the video backbone, projections, heads.
        image_backbone: ResNet.
    """

    base: float = 1e-3
    image_backbone: float = 1e-3


def region_learning_rate_rules(config: RegionRecognitionConfig) -> tuple[tuple[str, str], ...]:
    """Rules as in `stvg_jax.grounding.task.learning_rate_rules`."""
    return (
        (r"resnet/.*/(mean|var)", "frozen"),
        (r"resnet/.*", "image_backbone"),
        (r".*", "base"),
    )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RegionOutput:
    """Predicted words for the content of the true boxes, float32.

    Attributes:
        appearance_logits: [b, words], words for the target's appearance.
        motion_logits: [b, words], verbs for what it does.
    """

    appearance_logits: jax.Array
    motion_logits: jax.Array


class RegionRecognition(VideoEncoder):
    """The backbones of a grounding model, under the same names, with classifiers of words.

    Args:
        config: hyper-parameters.
        dtype: of the computation; parameters are float32 always.
    """

    def __init__(self, config: RegionRecognitionConfig, *, dtype: Any):
        super().__init__(config, dtype=dtype)
        width = config.transformer.width
        self.appearance_head = ClassifierHead(width, config.appearance_words, dtype=dtype)
        self.motion_head = ClassifierHead(width, config.motion_words, dtype=dtype)

    def predict_to_train(
        self, batch: GroundingBatch, true_tube: TrueTube, *, rngs: nnx.Rngs | None = None
    ) -> RegionOutput:
        """Predictions for the losses; arguments as for `GroundingModel.predict_to_train`."""
        video = self.encode_video(batch.frames, batch.frames_valid, batch.sizes, rngs=rngs)
        b, t, h, w, d = video.appearance.shape
        maps = (stream.reshape(b, t, h * w, d) for stream in (video.appearance, video.motion))
        appearance, motion = pool_regions("roi_align", true_tube.finite_boxes, (h, w), video.sizes, *maps)
        inside = true_tube.in_tube[..., None]
        return RegionOutput(
            appearance_logits=masked_mean(self.appearance_head(appearance), inside, axis=1),
            motion_logits=masked_mean(self.motion_head(motion), inside, axis=1),
        )


def region_losses(
    output: RegionOutput, targets: GroundingTargets, counts: TargetCounts | None = None
) -> dict[str, jax.Array]:
    """Every term, unweighted, as float32 scalars: means over videos.

    `appearance_words` and `motion_words` are the cross-entropy of the attribute labels, mean over the vocabulary. It is
    0 for a video without labels: a sentence without a verb does not say that the target does nothing.

    Args:
        output: of `RegionRecognition.predict_to_train`.
        targets: of the same rows.
        counts: of the whole batch; None when these rows are the whole.
    """
    counts = TargetCounts.of(targets) if counts is None else counts
    terms = {}
    for name, logits, labels in (
        ("appearance_words", output.appearance_logits, targets.appearance_labels),
        ("motion_words", output.motion_logits, targets.motion_labels),
    ):
        per_video = jnp.where(labels.any(-1), cross_entropy(logits, labels).mean(-1), 0)
        terms[name] = sum_over_videos(per_video, targets) / counts.videos
    return terms


FAMILY = grounding_family(
    RegionRecognitionConfig,
    RegionRecognition,
    RegionLossConfig,
    RegionLearningRates,
    groups=region_learning_rate_rules,
    protocol=None,
)
