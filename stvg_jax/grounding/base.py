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
class AppearanceConfig:
    """Hyper-parameters that every model has; alone, those of a model without a motion backbone.

    Attributes:
        resnet: image backbone, for appearance.
        roberta: text encoder.
        transformer: encoder and decoders.
        frozen_backbones: True to keep the video backbone, if there is one, the first part of the image backbone and its
            batch norms as pre-trained, as in the papers; False to train all of them from scratch.
    """

    resnet: ResNetConfig = ResNetConfig()
    roberta: RobertaConfig = RobertaConfig()
    transformer: TransformerConfig = TransformerConfig()
    frozen_backbones: bool = True

    def __post_init__(self) -> None:
        """Checks the values; raises ValueError for those that do not fit together."""

    @property
    def words(self) -> tuple[int, int]:
        """Sizes of the appearance and the motion vocabulary that the model is trained with; 0 for none."""
        return 0, 0

    @property
    def reads_subject(self) -> bool:
        """True if the model reads the subject, the words that name the target, before the sentence."""
        return True

    @property
    def reads_tube(self) -> bool:
        """True if the model reads the true tube in evaluation too, so that it cannot ground."""
        return False

    @property
    def joins_features(self) -> bool:
        """True if the features of consecutive parts of a video, joined along time, serve as those of all of it."""
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


@dataclasses.dataclass(frozen=True)
class GroundingConfig(AppearanceConfig):
    """Hyper-parameters of a model that reads appearance and motion.

    Attributes:
        swin: video backbone, for motion.
    """

    swin: VideoSwinConfig = VideoSwinConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resnet.stride != self.swin.stride:
            raise ValueError(
                f"features of resnet lie {self.resnet.stride} pixels apart, those of swin {self.swin.stride}; choose "
                "blocks, patch and depths that give the same distance"
            )


class TextProjection(nnx.Module):
    """Linear layer, norm, dropout (released: `FeatureResizer`)."""

    def __init__(self, features_in: int, width: int, *, dropout_rate: float, dtype):
        self.fc = Linear(features_in, width, dtype=dtype)
        self.norm = LayerNorm(width, epsilon=1e-12, dtype=dtype)
        self.dropout_rate = dropout_rate

    def __call__(self, x: jax.Array, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        return dropout(self.norm(self.fc(x)), self.dropout_rate, rngs)


class AppearanceEncoder(nnx.Module):
    """The image backbone and the projection of its features.

    Args:
        config: hyper-parameters.
        dtype: of the computation, for example bfloat16; parameters are float32 always.
    """

    def __init__(self, config: AppearanceConfig, *, dtype: Any):
        self.config = config
        self.dtype = dtype
        self.resnet = ResNet(config.resnet, dtype=dtype)
        self.appearance_projection = Linear(config.resnet.out_channels, config.transformer.width, dtype=dtype)

    def encode_appearance(self, frames: jax.Array, sizes: jax.Array | None = None) -> jax.Array:
        """Projected features of the image backbone [b, t, h, w, d]; arguments as in GroundingBatch."""
        return self.appearance_projection(self.image_features(frames, sizes))

    def image_features(self, frames: jax.Array, sizes: jax.Array | None = None) -> jax.Array:
        """Features of the image backbone [b, t, h, w, channels]; arguments as in GroundingBatch."""
        b, t, h, w, _ = frames.shape
        image_sizes = None if sizes is None else jnp.repeat(sizes, t, axis=0)
        features = self.resnet(frames.reshape(b * t, h, w, 3), image_sizes)
        return features.reshape(b, t, *features.shape[1:])

    def grid_sizes(self, sizes: jax.Array | None) -> jax.Array | None:
        """Real height and width in pixels, int [b, 2] or None -> on the feature grid."""
        return None if sizes is None else -(-sizes // self.config.resnet.stride)


class VideoEncoder(AppearanceEncoder):
    """Both visual backbones and the projections of their features; arguments as for AppearanceEncoder."""

    def __init__(self, config: GroundingConfig, *, dtype: Any):
        width = config.transformer.width
        super().__init__(config, dtype=dtype)
        self.config: GroundingConfig = config
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


class TextReader(nnx.Module):
    """The text encoder, for a model that has other parts too."""

    def _add_text_encoder(self, config: AppearanceConfig, dtype: Any) -> None:
        transformer = config.transformer
        self.roberta = Roberta(config.roberta, dtype=dtype)
        self.text_projection = TextProjection(
            config.roberta.width, transformer.width, dropout_rate=transformer.dropout_rate, dtype=dtype
        )

    def encode_text(
        self, text_ids: jax.Array, text_valid: jax.Array | None = None, *, rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """ids int32 [b, l] -> projected tokens [b, l, d]."""
        return self.text_projection(self.roberta(text_ids, text_valid, rngs=rngs), rngs=rngs)


class CrossModalModel(VideoEncoder, TextReader):
    """The first half of a model that relates a video to a sentence: visual backbones, text encoder, and the encoder
    that combines them; arguments as for AppearanceEncoder."""

    def __init__(self, config: GroundingConfig, *, dtype: Any):
        super().__init__(config, dtype=dtype)
        self._add_text_encoder(config, dtype)
        self.encoder = CrossModalEncoder(config.transformer, dtype=dtype)


class TubePredictor(nnx.Module):
    """Interface and heads of models that predict tubes.

    `__call__` grounds a batch; `encode_video` and `ground` are its two halves, for several sentences about one video.
    """

    def _add_heads(self, transformer: TransformerConfig, dtype: Any) -> None:
        width, rate = transformer.width, transformer.head_dropout_rate
        self.box_head = MLP((width, width, width, 4), dtype=dtype)
        self.start_end_head = MLP((width, width, 2), dropout_rate=rate, dtype=dtype)

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

    def encode_video(
        self,
        frames: jax.Array,
        frames_valid: jax.Array | None = None,
        sizes: jax.Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> Any:
        """Features of videos, a tree of arrays; arguments as in GroundingBatch."""
        raise NotImplementedError

    def ground(
        self,
        video: Any,
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

    def _predict_ends(self, states: jax.Array, rngs: nnx.Rngs | None) -> jax.Array:
        """States of the temporal decoder [k, b, t, d] -> logits of start and end, float32 [k, b, t, 2]."""
        rows = states.swapaxes(0, 1)  # dropout has a key for each row
        return self.start_end_head(rows, rngs=rngs).swapaxes(0, 1).astype(jnp.float32)


class ActionessPredictor(TubePredictor):
    """A model that also says of each frame whether it is within the interval."""

    def _add_heads(self, transformer: TransformerConfig, dtype: Any) -> None:
        super()._add_heads(transformer, dtype)
        width, rate = transformer.width, transformer.head_dropout_rate
        self.actioness_head = MLP((width, width, 1), dropout_rate=rate, dtype=dtype)

    def _predict_times(self, states: jax.Array, rngs: nnx.Rngs | None) -> _TimeLogits:
        """States of the temporal decoder [k, b, t, d] -> outputs that are computed from them."""
        ends = self._predict_ends(states, rngs)
        actioness = self._actioness(states.swapaxes(0, 1), rngs).swapaxes(0, 1)
        return {"start_end_logits": ends, "actioness_logits": actioness}

    def _actioness(self, states: jax.Array, rngs: nnx.Rngs | None = None) -> jax.Array:
        """[b, ..., d] -> logits, float32 [b, ...]."""
        return self.actioness_head(states, rngs=rngs)[..., 0].astype(jnp.float32)


class GroundingModel(CrossModalModel, ActionessPredictor):
    """Base class of the models that read appearance and motion: everything but the decoders; arguments as for
    AppearanceEncoder."""

    def __init__(self, config: GroundingConfig, *, dtype: Any):
        super().__init__(config, dtype=dtype)
        self.anchor_head = AnchorHead(config.transformer, dtype=dtype)
        self._add_heads(config.transformer, dtype)


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
