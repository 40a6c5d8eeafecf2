"""Parts that all grounding models share: visual backbones, text encoder, cross-modal encoder, prediction heads.

The forward pass sees arrays only and handles many padded videos at once; padding never changes a result.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypedDict

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.backbones.resnet import ResNet, ResNetConfig
from stvg_jax.backbones.roberta import Roberta, RobertaConfig
from stvg_jax.backbones.video_swin import VideoSwin, VideoSwinConfig
from stvg_jax.grounding.encoder import CrossModalEncoder, TransformerConfig
from stvg_jax.grounding.spatial_decoder import AnchorHead
from stvg_jax.grounding.types import GroundingBatch, GroundingOutput, TrueTube, VideoFeatures
from stvg_jax.nn.declare import LayerNorm, Linear
from stvg_jax.nn.layers import MLP, dropout


@dataclasses.dataclass(frozen=True)
class GroundingConfig:
    """Hyper-parameters that every model has.

    Attributes:
        resnet: image backbone, for appearance.
        swin: video backbone, for motion.
        roberta: text encoder.
        transformer: encoder and decoders.
        frozen_backbones: True to keep the video backbone, the first part of the image backbone and its batch norms as
            pre-trained, as in the papers; False to train all of them from scratch.
    """

    resnet: ResNetConfig = ResNetConfig()
    swin: VideoSwinConfig = VideoSwinConfig()
    roberta: RobertaConfig = RobertaConfig()
    transformer: TransformerConfig = TransformerConfig()
    frozen_backbones: bool = True

    def __post_init__(self):
        if self.resnet.stride != self.swin.stride:
            raise ValueError(
                f"features of resnet lie {self.resnet.stride} pixels apart, those of swin {self.swin.stride}; choose "
                "blocks, patch and depths that give the same distance"
            )

    @property
    def words(self) -> tuple[int, int]:
        """Sizes of the appearance and the motion vocabulary that the model is trained with; 0 for none."""
        return 0, 0

    @property
    def reads_subject(self) -> bool:
        """True if the model reads the subject, the words that name the target, before the sentence."""
        return True

    @property
    def own_groups(self) -> tuple[tuple[str, str], ...]:
        """Rules for the learning rates of parts that only this model has (`stvg_jax.grounding.task`)."""
        return ()

    @property
    def uses(self) -> tuple[tuple[str, str], ...]:
        """Rules (regular expression for a parameter's path, name) for parameters that some batches do not use. The
        optimiser leaves them unchanged after such a batch (`stvg_jax.train.optim`)."""
        return ()


class TextProjection(nnx.Module):
    """Linear layer, norm, dropout (released: `FeatureResizer`)."""

    def __init__(self, features_in: int, width: int, *, dropout_rate: float, dtype):
        self.fc = Linear(features_in, width, dtype=dtype)
        self.norm = LayerNorm(width, epsilon=1e-12, dtype=dtype)
        self.dropout_rate = dropout_rate

    def __call__(self, x: jax.Array, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        return dropout(self.norm(self.fc(x)), self.dropout_rate, rngs)


class VideoEncoder(nnx.Module):
    """Both visual backbones and the projections of their features.

    Args:
        config: see GroundingConfig.
        dtype: of the computation, for example bfloat16; parameters are float32 always.
    """

    def __init__(self, config: GroundingConfig, *, dtype: Any):
        width = config.transformer.width
        self.config = config
        self.dtype = dtype
        self.resnet = ResNet(config.resnet, dtype=dtype)
        self.appearance_projection = Linear(config.resnet.out_channels, width, dtype=dtype)
        self.swin = VideoSwin(config.swin, dtype=dtype)
        self.motion_projection = Linear(config.swin.out_channels, width, dtype=dtype)

    def encode_video(
        self,
        frames: jax.Array,
        frames_valid: jax.Array | None = None,
        sizes: jax.Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> VideoFeatures:
        """Runs both visual backbones; arguments as in GroundingBatch."""
        return VideoFeatures(
            appearance=self.encode_appearance(frames, sizes),
            motion=self.encode_motion(frames, frames_valid, sizes, rngs=rngs),
            frames_valid=frames_valid,
            sizes=self.grid_sizes(sizes),
        )

    def encode_appearance(self, frames: jax.Array, sizes: jax.Array | None = None) -> jax.Array:
        """Projected features of the image backbone [b, t, h, w, d]; arguments as in GroundingBatch."""
        b, t, h, w, _ = frames.shape
        image_sizes = None if sizes is None else jnp.repeat(sizes, t, axis=0)
        features = self.resnet(frames.reshape(b * t, h, w, 3), image_sizes)
        return self.appearance_projection(features.reshape(b, t, *features.shape[1:]))

    def encode_motion(
        self,
        frames: jax.Array,
        frames_valid: jax.Array | None = None,
        sizes: jax.Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> jax.Array:
        """Projected features of the video backbone [b, t, h, w, d]; arguments as in GroundingBatch."""
        features = self.swin(frames, _sizes_3d(frames.shape, frames_valid, sizes), rngs=rngs)
        if self.config.frozen_backbones:
            # Released: `torch.no_grad()` around it.
            features = jax.lax.stop_gradient(features)
        return self.motion_projection(features)

    def grid_sizes(self, sizes: jax.Array | None) -> jax.Array | None:
        """Real height and width in pixels, int [b, 2] or None -> on the feature grid."""
        return None if sizes is None else -(-sizes // self.config.resnet.stride)


class CrossModalModel(VideoEncoder):
    """The first half of a model that relates a video to a sentence: visual backbones, text encoder, and the encoder
    that combines them.

    Args:
        config, dtype: as for VideoEncoder.
    """

    def __init__(self, config: GroundingConfig, *, dtype: Any):
        super().__init__(config, dtype=dtype)
        transformer = config.transformer
        part = {"dtype": dtype}
        self.roberta = Roberta(config.roberta, **part)
        self.text_projection = TextProjection(
            config.roberta.width, transformer.width, dropout_rate=transformer.dropout_rate, **part
        )
        self.encoder = CrossModalEncoder(transformer, **part)

    def encode_text(
        self, text_ids: jax.Array, text_valid: jax.Array | None = None, *, rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """ids int32 [b, l] -> projected tokens [b, l, d]."""
        return self.text_projection(self.roberta(text_ids, text_valid, rngs=rngs), rngs=rngs)


class GroundingModel(CrossModalModel):
    """Base class of the grounding models: everything but the decoders.

    `__call__` grounds a batch; `encode_video` and `ground` are its two halves, for several sentences about one video.

    Args:
        config, dtype: as for VideoEncoder.
    """

    def __init__(self, config: GroundingConfig, *, dtype: Any):
        super().__init__(config, dtype=dtype)
        transformer = config.transformer
        width = transformer.width
        part = {"dtype": dtype}
        self.anchor_head = AnchorHead(transformer, **part)
        rate = transformer.head_dropout_rate
        self.box_head = MLP((width, width, width, 4), **part)
        self.start_end_head = MLP((width, width, 2), dropout_rate=rate, **part)
        self.actioness_head = MLP((width, width, 1), dropout_rate=rate, **part)

    def __call__(self, batch: GroundingBatch, *, rngs: nnx.Rngs | None = None, **options: Any) -> GroundingOutput:
        """Grounds each sentence in its video. With the parameters of a checkpoint:

            model = stvg_jax.load("checkpoints/ta")
            output = model(GroundingBatch(frames, text_ids))  # frames [b, t, h, w, 3], text_ids [b, l]
            boxes = output.boxes_cxcywh[-1]  # [b, t, 4]

        With new parameters, drawn at random:

            model = stvg_jax.nn.declare.initialized(TASTVG(config))

        Args:
            batch: videos and sentences, padded or not.
            rngs: stream `dropout`, to train; None at inference.
            options: further arguments of the model's `ground`.
        """
        video = self.encode_video(batch.frames, batch.frames_valid, batch.sizes, rngs=rngs)
        return self.ground(video, batch.text_ids, batch.text_valid, rngs=rngs, **options)

    def ground(
        self,
        video: VideoFeatures,
        text_ids: jax.Array,
        text_valid: jax.Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> GroundingOutput:
        """Grounds sentences in videos whose features are known; arguments as in GroundingBatch."""
        raise NotImplementedError

    def predict_to_train(self, batch: GroundingBatch, true_tube: TrueTube, *, rngs: nnx.Rngs | None) -> GroundingOutput:
        """Predictions for the losses.

        Args:
            batch: videos and sentences.
            true_tube: of the same videos, for models whose forward pass needs it in training.
            rngs: stream `dropout`; None to train without.
        """
        raise NotImplementedError

    def _predict_times(self, states: jax.Array, rngs: nnx.Rngs | None) -> _TimeLogits:
        """States of the temporal decoder [k, b, t, d] -> outputs that are computed from them."""
        rows = states.swapaxes(0, 1)  # dropout has a key for each row
        start_end = self.start_end_head(rows, rngs=rngs).swapaxes(0, 1).astype(jnp.float32)
        actioness = self._actioness(rows, rngs).swapaxes(0, 1)
        return {"start_end_logits": start_end, "actioness_logits": actioness}

    def _actioness(self, states: jax.Array, rngs: nnx.Rngs | None = None) -> jax.Array:
        """[b, ..., d] -> logits, float32 [b, ...]."""
        return self.actioness_head(states, rngs=rngs)[..., 0].astype(jnp.float32)


class _TimeLogits(TypedDict):
    """Fields of GroundingOutput that come from the temporal decoder."""

    start_end_logits: jax.Array
    actioness_logits: jax.Array


def _sizes_3d(shape: tuple[int, ...], frames_valid: jax.Array | None, sizes: jax.Array | None) -> jax.Array | None:
    """Real (t, h, w) of each video, int [b, 3]; None when nothing is padded."""
    if frames_valid is None and sizes is None:
        return None
    b, t, h, w, _ = shape
    lengths = jnp.full((b,), t) if frames_valid is None else frames_valid.sum(1)
    sizes = jnp.broadcast_to(jnp.array([h, w]), (b, 2)) if sizes is None else sizes
    return jnp.concatenate([lengths[:, None], sizes], axis=1)
