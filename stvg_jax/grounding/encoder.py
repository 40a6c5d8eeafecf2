"""The cross-modal encoder: self-attention over the appearance, text and motion tokens of each frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.types import VideoFeatures
from stvg_jax.nn.attention import MultiHeadAttention
from stvg_jax.nn.declare import LayerNorm
from stvg_jax.nn.keys import DropoutKeys, split_keys
from stvg_jax.nn.layers import FeedForward, dropout
from stvg_jax.nn.masking import masked_mean, within
from stvg_jax.nn.positions import image_positions
from stvg_jax.nn.remat import run_layer


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """Shape of the encoder and of both decoders.

    Attributes:
        width: channels of a token; a multiple of `heads` and of 4.
        heads: attention heads.
        hidden: channels inside the feed-forward parts.
        encoder_layers: layers of the encoder.
        decoder_layers: layers of each of the two decoders.
        dropout_rate: while training.
        head_dropout_rate: in the start/end, actioness and confidence heads, while training.
        placed_tokens: whether to normalise the tokens of both grids and add their positions to them before the first
            layer; otherwise positions enter queries and keys only. False in the released models, whose backbones are
            pre-trained; True helps a model that is trained from scratch, whose features do not yet tell positions and
            are not scaled to match those of words.
        frames_per_step: frames that one step of the encoder processes, to bound memory; None as in ResNetConfig.
    """

    width: int = 256
    heads: int = 8
    hidden: int = 2048
    encoder_layers: int = 6
    decoder_layers: int = 6
    dropout_rate: float = 0.1
    head_dropout_rate: float = 0.3
    placed_tokens: bool = False
    frames_per_step: int | None = None


@dataclasses.dataclass(frozen=True)
class EncodedVideo:
    """Output of the encoder.

    Attributes:
        appearance, motion: [b, t, n, d], tokens of the feature grid in row-major order.
        text: [b, t, l, d], tokens of the text, encoded with each frame.
        frame_means: [b, t, d], mean over all real tokens of a frame.
        positions: [b or 1, n, d], positions of the appearance and the motion tokens.
        grid_valid: bool [b, n] or None.
        text_valid: bool [b, l] or None.
        frames_valid: bool [b, t] or None.
    """

    appearance: jax.Array
    text: jax.Array
    motion: jax.Array
    frame_means: jax.Array
    positions: jax.Array
    grid_valid: jax.Array | None
    text_valid: jax.Array | None
    frames_valid: jax.Array | None


class EncoderLayer(nnx.Module):
    """A post-norm transformer layer; positions enter queries and keys only."""

    def __init__(self, config: TransformerConfig, *, dtype):
        width, rate = config.width, config.dropout_rate
        self.self_attn = MultiHeadAttention(width, config.heads, dropout_rate=rate, dtype=dtype)
        self.attention_norm = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        self.ffn = FeedForward(width, config.hidden, dropout_rate=rate, dtype=dtype)
        self.ffn_norm = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        self.dropout_rate = rate

    def __call__(self, x: jax.Array, positions: jax.Array, valid: jax.Array | None, rngs: nnx.Rngs | None) -> jax.Array:
        """Tokens [..., n, d], positions that broadcast to them, valid bool [..., n] or None -> [..., n, d]."""
        placed = x + positions
        attended, _ = self.self_attn(placed, placed, x, key_valid=valid, rngs=rngs)
        x = self.attention_norm(x + dropout(attended, self.dropout_rate, rngs))
        return self.ffn_norm(x + dropout(self.ffn(x, rngs=rngs), self.dropout_rate, rngs))


class CrossModalEncoder(nnx.Module):
    """Encoder of TA-STVG, section 3.1 (released: `models/grounding_model/modal_encoder.py`, whose temporal half is
    unused)."""

    def __init__(self, config: TransformerConfig, *, dtype):
        self.layers = nnx.List([EncoderLayer(config, dtype=dtype) for _ in range(config.encoder_layers)])
        self.norm = LayerNorm(config.width, epsilon=1e-5, dtype=dtype)
        if config.placed_tokens:
            self.appearance_norm = LayerNorm(config.width, epsilon=1e-5, dtype=dtype)
            self.motion_norm = LayerNorm(config.width, epsilon=1e-5, dtype=dtype)
        self.placed_tokens = config.placed_tokens
        self.frames_per_step = config.frames_per_step

    def __call__(
        self, video: VideoFeatures, text: jax.Array, text_valid: jax.Array | None, *, rngs: nnx.Rngs | None = None
    ) -> EncodedVideo:
        """Encodes each frame with the text.

        Args:
            video: features [b, t, h, w, d].
            text: [b, l, d].
            text_valid: bool [b, l] or None.
            rngs: stream `dropout`, to train.
        """
        b, t, h, w, d = video.appearance.shape
        n, l = h * w, text.shape[1]
        grid_valid = None if video.sizes is None else within(video.sizes, h, w).reshape(b, n)
        positions = image_positions(h, w, d, video.sizes).reshape(-1, n, d).astype(text.dtype)
        appearance, motion = video.appearance.reshape(b, t, n, d), video.motion.reshape(b, t, n, d)
        if self.placed_tokens:
            appearance = self.appearance_norm(appearance) + positions[:, None]
            motion = self.motion_norm(motion) + positions[:, None]
        tokens = jnp.concatenate(
            [
                appearance,
                jnp.broadcast_to(text[:, None], (b, t, l, d)),
                motion,
            ],
            axis=2,
        )
        all_positions = jnp.concatenate([positions, jnp.zeros((len(positions), l, d), text.dtype), positions], axis=1)
        valid = join_masks(b, (grid_valid, n), (text_valid, l), (grid_valid, n))
        steps = {"rngs": rngs, "frames_per_step": self.frames_per_step}
        encoded = encode_frames(self.layers, tokens, all_positions, valid, norm=self.norm, **steps)
        return EncodedVideo(
            appearance=encoded[:, :, :n],
            text=encoded[:, :, n : n + l],
            motion=encoded[:, :, n + l :],
            frame_means=masked_mean(encoded, None if valid is None else valid[:, None, :, None], axis=2),
            positions=positions,
            grid_valid=grid_valid,
            text_valid=text_valid,
            frames_valid=video.frames_valid,
        )


def encode_frames(
    layers: Sequence[EncoderLayer],
    tokens: jax.Array,
    positions: jax.Array,
    valid: jax.Array | None,
    *,
    norm: Callable[[jax.Array], jax.Array] | None = None,
    rngs: nnx.Rngs | None,
    frames_per_step: int | None,
) -> jax.Array:
    """Runs layers, and a norm after the last, over the tokens of every frame.

    Args:
        layers: one after the other.
        tokens: [b, t, n, d].
        positions: [b or 1, n, d].
        valid: bool [b, n] or None.
        norm: None for none.
        rngs: stream `dropout`, to train.
        frames_per_step: number of frames at once; None for all.

    Returns:
        [b, t, n, d].
    """
    b, t, n, d = tokens.shape

    def run(frame):
        x, row, key = frame
        placed = positions[row if len(positions) > 1 else 0]
        keys = None if key is None else DropoutKeys(key)
        for layer in layers:
            x = run_layer(layer, x, placed, None if valid is None else valid[row], rngs=keys)
        return x if norm is None else norm(x)

    frames = (
        tokens.reshape(b * t, n, d),
        jnp.repeat(jnp.arange(b), t),
        # A key for each frame, so that dropout does not depend on the size of a step.
        None if rngs is None else split_keys(rngs.dropout(), b * t),
    )
    if frames_per_step is None or b * t <= frames_per_step:
        return jax.vmap(run)(frames).reshape(tokens.shape)
    return jax.lax.map(run, frames, batch_size=frames_per_step).reshape(tokens.shape)


def join_masks(batch: int, *parts: tuple[jax.Array | None, int]) -> jax.Array | None:
    """Joins masks bool [b, length], given as (mask or None, length), along the length; None if all are None."""
    if all(mask is None for mask, _ in parts):
        return None
    filled = [jnp.ones((batch, length), bool) if mask is None else mask for mask, length in parts]
    return jnp.concatenate(filled, axis=1)
