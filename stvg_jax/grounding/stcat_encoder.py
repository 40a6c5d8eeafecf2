"""STCAT's encoder: attention within each frame and attention over time take turns, and meet in one token per frame."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.decoder import DecoderInputs
from stvg_jax.grounding.encoder import EncoderLayer, TransformerConfig, encode_frames, join_masks
from stvg_jax.nn.declare import Declared, LayerNorm, Linear, xavier_uniform
from stvg_jax.nn.masking import within
from stvg_jax.nn.positions import image_positions, time_positions
from stvg_jax.nn.remat import run_layer


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AppearanceFeatures:
    """Features of a batch of videos; they do not depend on the sentence.

    Attributes:
        appearance: [b, t, h, w, d], projected image features.
        frames_valid: bool [b, t] or None.
        sizes: int32 [b, 2], real height and width on this feature grid, or None.
    """

    appearance: jax.Array
    frames_valid: jax.Array | None
    sizes: jax.Array | None


@dataclasses.dataclass(frozen=True)
class EncodedClip:
    """Output of the encoder.

    Attributes:
        tokens: [b, t, n, d], of the feature grid in row-major order, then of the text.
        positions: [b or 1, n, d], of the tokens; zeros for the text.
        token_valid: bool [b, n] or None.
        frames_valid: bool [b, t] or None.
        frame_tokens: [b, t, d], one summary of each frame.
        video_token: [b, d], summary of the video.
    """

    tokens: jax.Array
    positions: jax.Array
    token_valid: jax.Array | None
    frames_valid: jax.Array | None
    frame_tokens: jax.Array
    video_token: jax.Array

    @property
    def decoder_inputs(self) -> DecoderInputs:
        """Inputs of every decoder layer besides its queries."""
        _, t, _, d = self.tokens.shape
        time = jnp.asarray(time_positions(t, d), self.tokens.dtype)
        return DecoderInputs(time, self.tokens, self.positions, self.token_valid, self.frames_valid)


class SpatioTemporalEncoder(nnx.Module):
    """Layers within frames and layers over time, in turns (released: `models/grounding_model/modal_encoder.py`).

    A frame token, learned and the same in all frames, stands before the tokens of each frame. After every layer within
    frames, the frame tokens and a learned video token pass through a layer over time. There is no norm at the end.

    Args:
        config: see TransformerConfig.
        dtype: of the computation.
    """

    def __init__(self, config: TransformerConfig, *, dtype):
        def learned() -> nnx.Param:
            return nnx.Param(Declared((1, config.width), xavier_uniform))

        self.layers = nnx.List([EncoderLayer(config, dtype=dtype) for _ in range(config.encoder_layers)])
        self.temporal_layers = nnx.List([EncoderLayer(config, dtype=dtype) for _ in range(config.encoder_layers)])
        self.frame_token, self.frame_position, self.video_token = learned(), learned(), learned()
        self.appearance_norm = LayerNorm(config.width, epsilon=1e-5, dtype=dtype) if config.placed_tokens else None
        self.frames_per_step = config.frames_per_step

    def __call__(
        self, video: AppearanceFeatures, text: jax.Array, text_valid: jax.Array | None, *, rngs: nnx.Rngs | None = None
    ) -> EncodedClip:
        """Mixes frames, text and time.

        Args:
            video: features [b, t, h, w, d].
            text: [b, l, d].
            text_valid: bool [b, l] or None.
            rngs: stream `dropout`, to train.
        """
        b, t, h, w, d = video.appearance.shape
        n, l, dtype = h * w, text.shape[1], text.dtype
        grid_valid = None if video.sizes is None else within(video.sizes, h, w).reshape(b, n)
        grid = image_positions(h, w, d, video.sizes).reshape(-1, n, d).astype(dtype)
        appearance = video.appearance.reshape(b, t, n, d)
        if self.appearance_norm is not None:
            appearance = self.appearance_norm(appearance) + grid[:, None]
        frame_token, frame_position, video_token = (
            token[...].astype(dtype) for token in (self.frame_token, self.frame_position, self.video_token)
        )
        tokens = jnp.concatenate(
            [
                jnp.broadcast_to(frame_token, (b, t, 1, d)),
                appearance,
                jnp.broadcast_to(text[:, None], (b, t, l, d)),
            ],
            axis=2,
        )
        of_frames = jnp.broadcast_to(frame_position, (len(grid), 1, d))
        positions = jnp.concatenate([of_frames, grid, jnp.zeros((len(grid), l, d), dtype)], axis=1)
        valid = join_masks(b, (None, 1), (grid_valid, n), (text_valid, l))
        time = jnp.asarray(time_positions(t + 1, d), dtype)
        time_valid = join_masks(b, (None, 1), (video.frames_valid, t))
        summary = jnp.broadcast_to(video_token, (b, 1, d))
        steps = {"rngs": rngs, "frames_per_step": self.frames_per_step}
        for within_frames, over_time in zip(self.layers, self.temporal_layers, strict=True):
            tokens = encode_frames([within_frames], tokens, positions, valid, **steps)
            summaries = jnp.concatenate([summary, tokens[:, :, 0]], axis=1)
            summaries = run_layer(over_time, summaries, time, time_valid, rngs=rngs)
            summary = summaries[:, :1]
            tokens = jnp.concatenate([summaries[:, 1:, None], tokens[:, :, 1:]], axis=2)
        return EncodedClip(
            tokens=tokens[:, :, 1:],
            positions=positions[:, 1:],
            token_valid=None if valid is None else valid[:, 1:],
            frames_valid=video.frames_valid,
            frame_tokens=tokens[:, :, 0],
            video_token=summary[:, 0],
        )


class Template(nnx.Module):
    """The queries of both decoders, from the summaries of video and frames (released: `TemplateGenerator`)."""

    def __init__(self, width: int, *, dtype):
        self.content = Linear(width, width, dtype=dtype)
        self.gamma = Linear(width, width, dtype=dtype)
        self.beta = Linear(width, width, dtype=dtype)
        self.anchor = Linear(width, 4, dtype=dtype)

    def __call__(self, frame_tokens: jax.Array, video_token: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Makes a template of each video.

        Args:
            frame_tokens: [b, t, d].
            video_token: [b, d].

        Returns:
            Content [b, d], the same for all frames; logits of an anchor box (cx, cy, w, h) per frame,
            float32 [b, t, 4].
        """
        gamma, beta = (jnp.tanh(part(video_token))[:, None] for part in (self.gamma, self.beta))
        return self.content(video_token), self.anchor(gamma * frame_tokens + beta).astype(jnp.float32)
