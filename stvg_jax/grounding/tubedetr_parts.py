"""Parts of TubeDETR: an encoder of every k-th frame, a light branch for all frames, one decoder.

Released: `models/transformer.py` of antoyang/TubeDETR. Paper: Yang et al., CVPR 2022, sections 3.2 and 3.3.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.decoder import DecoderInputs
from stvg_jax.grounding.encoder import EncoderLayer, TransformerConfig, encode_frames, join_masks
from stvg_jax.grounding.temporal_decoder import TemporalDecoderLayer
from stvg_jax.nn.declare import Declared, Initializer, LayerNorm, Linear, zeros
from stvg_jax.nn.layers import dropout
from stvg_jax.nn.masking import masked_mean, within
from stvg_jax.nn.positions import image_positions
from stvg_jax.nn.remat import run_layer

FAST_BRANCHES = ("residual", "gating", "pool", "transformer", "noslow", "off")


def uniform(limit: float, low: float | None = None) -> Initializer:
    """Draws between -limit, or `low`, and limit."""
    return lambda rng, shape: rng.uniform(-limit if low is None else low, limit, shape)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SlowFastFeatures:
    """Features of a batch of videos, which do not depend on the sentence.

    Attributes:
        appearance: [b, s, h, w, d], projected features of the slow frames.
        fast: [b, t, h, w, d], of all frames, without gradient to the backbone; None without a fast branch.
        frames: bool [t]; only its length, the number of frames, counts.
        frames_valid: bool [b, t] or None.
        sizes: int32 [b, 2], real height and width on this feature grid, or None.
    """

    appearance: jax.Array
    fast: jax.Array | None
    frames: jax.Array
    frames_valid: jax.Array | None
    sizes: jax.Array | None


@dataclasses.dataclass(frozen=True)
class FrameTokens:
    """Tokens of frames: those of the feature grid in row-major order, then those of the text.

    Attributes:
        tokens: [b, s, n + l, d].
        positions: [b or 1, n + l, d]; zeros for the text.
        valid: bool [b, n + l] or None.
        grid_valid: bool [b, n] or None.
    """

    tokens: jax.Array
    positions: jax.Array
    valid: jax.Array | None
    grid_valid: jax.Array | None


class SlowEncoder(nnx.Module):
    """Transformer layers over the cells of each slow frame and the text, without a norm after the last."""

    def __init__(self, config: TransformerConfig, *, dtype):
        self.layers = nnx.List([EncoderLayer(config, dtype=dtype) for _ in range(config.encoder_layers)])
        self.appearance_norm = LayerNorm(config.width, epsilon=1e-5, dtype=dtype) if config.placed_tokens else None
        self.frames_per_step = config.frames_per_step

    def join(
        self, appearance: jax.Array, text: jax.Array, sizes: jax.Array | None, text_valid: jax.Array | None
    ) -> FrameTokens:
        """Tokens before the first layer.

        Args:
            appearance: [b, s, h, w, d], projected features of the slow frames.
            text: [b, l, d].
            sizes: int32 [b, 2], real height and width on the feature grid, or None.
            text_valid: bool [b, l] or None.
        """
        b, s, h, w, d = appearance.shape
        n, l = h * w, text.shape[1]
        grid_valid = None if sizes is None else within(sizes, h, w).reshape(b, n)
        grid = image_positions(h, w, d, sizes).reshape(-1, n, d).astype(text.dtype)
        cells = appearance.reshape(b, s, n, d)
        if self.appearance_norm is not None:
            cells = self.appearance_norm(cells) + grid[:, None]
        return FrameTokens(
            tokens=jnp.concatenate([cells, jnp.broadcast_to(text[:, None], (b, s, l, d))], axis=2),
            positions=jnp.pad(grid, ((0, 0), (0, l), (0, 0))),
            valid=join_masks(b, (grid_valid, n), (text_valid, l)),
            grid_valid=grid_valid,
        )

    def __call__(self, joined: FrameTokens, *, rngs: nnx.Rngs | None = None) -> jax.Array:
        """Joined tokens -> [b, s, n + l, d]."""
        steps = {"rngs": rngs, "frames_per_step": self.frames_per_step}
        return encode_frames(self.layers, joined.tokens, joined.positions, joined.valid, **steps)


class FastBranch(nnx.Module):
    """Aggregation of the encoder's output for the slow frames with the features of every frame (section 3.2).

    Args:
        kind: one of FAST_BRANCHES, except "off".
    """

    def __init__(self, kind: str, config: TransformerConfig, *, dtype):
        width = config.width
        self.kind = kind
        if kind == "transformer":
            self.layer = EncoderLayer(config, dtype=dtype)
            self.norm = LayerNorm(width, epsilon=1e-5, dtype=dtype)
            attention, ffn = self.layer.self_attn, self.layer.ffn
            for part in (attention.query, attention.key, attention.value, attention.out, ffn.up, ffn.down):
                part.kernel = nnx.Param(Declared(part.kernel.get_value().shape, zeros))
        else:
            # Gates start at one half; the other kinds start as a linear layer of PyTorch does.
            init = zeros if kind == "gating" else uniform(width**-0.5)
            self.project = Linear(width, width, init=init, dtype=dtype)
            self.project.bias = nnx.Param(Declared((width,), init))
        if kind != "gating":
            # The release has it for "noslow" too, where it is not used.
            self.residual = Linear(width, width, init=zeros, dtype=dtype)

    def __call__(
        self,
        slow: jax.Array,
        fast: jax.Array,
        time: jax.Array | None,
        grid_valid: jax.Array | None,
        frames_valid: jax.Array | None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> jax.Array:
        """Aggregates both branches in the cells of the grid.

        Args:
            slow: [b, t, n, d], output of the encoder for the slow frame of each frame's group.
            fast: [b, t, n, d], projected features of all frames.
            time: [t, d], positions of the frames, for "transformer".
            grid_valid: bool [b, n] or None.
            frames_valid: bool [b, t] or None.
            rngs: stream `dropout`, to train.

        Returns:
            [b, t, n, d].
        """
        if self.kind == "transformer":
            along_time = fast.swapaxes(1, 2)
            valid = None if frames_valid is None else frames_valid[:, None]
            seen = self.norm(run_layer(self.layer, along_time, time, valid, rngs=rngs)).swapaxes(1, 2)
        elif self.kind == "pool":
            cells = None if grid_valid is None else grid_valid[:, None, :, None]
            seen = self.project(masked_mean(fast, cells, axis=2))[:, :, None]
        else:
            seen = self.project(fast)
        if self.kind == "noslow":
            return seen
        if self.kind == "gating":
            return slow + slow * nnx.sigmoid(seen)
        return slow + self.residual(slow + seen)


class QueryDecoderLayer(TemporalDecoderLayer):
    """A layer that adds the position of a query to its content in both attentions.

    Args:
        along_time: whether queries attend to those of other frames, or only to themselves.
    """

    def __init__(self, config: TransformerConfig, *, along_time: bool, dtype):
        super().__init__(config, guided=False, dtype=dtype)
        self.along_time = along_time

    def __call__(
        self, x: jax.Array, inputs: DecoderInputs, rngs: nnx.Rngs | None
    ) -> tuple[jax.Array, jax.Array | None, jax.Array]:
        """Queries [b, t, d] -> [b, t, d], and the weights of both attentions, averaged over heads: float32 [b, t, t],
        or None without attention over time, and [b, t, n]."""
        placed = x + inputs.time
        if self.along_time:
            x, weights = self.attend_over_time(x, placed, inputs, rngs)
        else:
            alone, own = placed[:, :, None], x[:, :, None]
            attended, weights = self.self_attn(alone, alone, own, rngs=rngs)[0][:, :, 0], None
            x = self.self_norm(x + dropout(attended, self.dropout_rate, rngs))
        x, reading = self.read_tokens(x, x + inputs.time, inputs, rngs)
        return x, weights, reading


class QueryDecoder(nnx.Module):
    """Layers of queries for interval and boxes (section 3.3)."""

    def __init__(self, config: TransformerConfig, *, along_time: bool, dtype):
        self.layers = nnx.List(
            [QueryDecoderLayer(config, along_time=along_time, dtype=dtype) for _ in range(config.decoder_layers)]
        )
        self.norm = LayerNorm(config.width, epsilon=1e-5, dtype=dtype)

    def __call__(
        self, x: jax.Array, inputs: DecoderInputs, *, rngs: nnx.Rngs | None = None
    ) -> tuple[jax.Array, jax.Array | None, jax.Array]:
        """Decodes.

        Args:
            x: content of the queries [b, t, d]; zeros in the released models.
            inputs: `time` is the whole position of a query.
            rngs: stream `dropout`, to train.

        Returns:
            The normalised states after every layer [k, b, t, d]; the weights of attention over time, before dropout and
            averaged over heads, float32 [k, b, t, t] or None; those of attention to tokens, [k, b, t, n].
        """
        states, over_time, over_tokens = [], [], []
        for layer in self.layers:
            x, *weights = run_layer(layer, x, inputs, rngs=rngs)
            states.append(self.norm(x))
            over_time.append(weights[0])
            over_tokens.append(weights[1])
        attention = None if over_time[0] is None else jnp.stack(over_time)
        return jnp.stack(states), attention, jnp.stack(over_tokens)


def logits_between(start_end_logits: jax.Array, frames_valid: jax.Array | None) -> jax.Array:
    """Logit of each frame being within the interval, by the probabilities of start and end, taken as independent.

    The released model has no such output; pages and pictures show it as actioness.

    Args:
        start_end_logits: float32 [k, b, t, 2].
        frames_valid: bool [b, t] or None.

    Returns:
        float32 [k, b, t], within 14 of 0.
    """
    if frames_valid is not None:
        start_end_logits = jnp.where(frames_valid[..., None], start_end_logits, jnp.finfo(jnp.float32).min)
    probability = jax.nn.softmax(start_end_logits, axis=2)
    started = jnp.cumsum(probability[..., 0], axis=2)
    going_on = jax.lax.cumsum(probability[..., 1], axis=2, reverse=True)
    between = jnp.clip(started * going_on, 1e-6, 1 - 1e-6)
    return jnp.log(between) - jnp.log1p(-between)
