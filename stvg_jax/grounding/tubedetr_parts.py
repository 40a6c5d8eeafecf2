"""The parts of TubeDETR that are its own: an encoder of every k-th frame, a light branch for all, one query decoder.

Reference: `models/transformer.py` of antoyang/TubeDETR; sections 3.2 and 3.3 of the paper (Yang et al., CVPR 2022).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.encoder import EncoderLayer, TransformerConfig, join_masks
from stvg_jax.nn.attention import MultiHeadAttention
from stvg_jax.nn.declare import Declared, Initializer, LayerNorm, Linear, zeros
from stvg_jax.nn.keys import DropoutKeys, split_keys
from stvg_jax.nn.layers import FeedForward, dropout
from stvg_jax.nn.masking import masked_mean
from stvg_jax.nn.remat import run_layer

FAST_BRANCHES = ("residual", "gating", "pool", "transformer", "noslow", "off")


def uniform(limit: float, low: float | None = None) -> Initializer:
    """Between -limit, or `low`, and limit."""
    return lambda rng, shape: rng.uniform(-limit if low is None else low, limit, shape)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FrameTokens:
    """Tokens of all frames, with which of them are real.

    Attributes:
        tokens: [b, t, n + l, d], first the n places of the feature grid in row-major order, then the text.
        positions: float [b or 1, n + l, d], zero for the text.
        valid: bool [b, n + l] or None.
        frames_valid: bool [b, t] or None.
    """

    tokens: jax.Array
    positions: jax.Array
    valid: jax.Array | None
    frames_valid: jax.Array | None


class SlowEncoder(nnx.Module):
    """Transformer layers within each slow frame, over its places and the text; no norm at the end."""

    def __init__(self, config: TransformerConfig, *, dtype):
        self.layers = nnx.List([EncoderLayer(config, dtype=dtype) for _ in range(config.encoder_layers)])
        self.frames_per_step = config.frames_per_step

    def __call__(
        self, tokens: jax.Array, positions: jax.Array, valid: jax.Array | None, *, rngs: nnx.Rngs | None = None
    ) -> jax.Array:
        """tokens [b, t, n, d], positions [b or 1, n, d], valid bool [b, n] or None -> [b, t, n, d]."""
        b, t, n, d = tokens.shape

        def run(frame):
            x, positions, valid, key = frame
            rngs = None if key is None else DropoutKeys(key)
            for layer in self.layers:
                x = run_layer(layer, x, positions, valid, rngs=rngs)
            return x

        frames = (
            tokens.reshape(b * t, n, d),
            jnp.broadcast_to(positions[:, None], tokens.shape).reshape(b * t, n, d),
            None if valid is None else jnp.repeat(valid, t, axis=0),
            # A key for each frame, so that dropout does not depend on how many are handled at once.
            None if rngs is None else split_keys(rngs.dropout(), b * t),
        )
        if self.frames_per_step is None or b * t <= self.frames_per_step:
            return jax.vmap(run)(frames).reshape(tokens.shape)
        return jax.lax.map(run, frames, batch_size=self.frames_per_step).reshape(tokens.shape)


class FastBranch(nnx.Module):
    """Adds to the memory of the slow frames what each frame shows by itself (section 3.2, "slow-fast").

    Args:
        kind: of FAST_BRANCHES, but "off".
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
            # Gating starts at one half everywhere; the others as a linear layer of PyTorch does.
            init = zeros if kind == "gating" else uniform(width**-0.5)
            self.project = Linear(width, width, init=init, dtype=dtype)
            self.project.bias = nnx.Param(Declared((width,), init))
        if kind != "gating":
            # Of "noslow" it is in the checkpoints and never acts.
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
        """Aggregates both branches, at the places of the grid.

        Args:
            slow: [b, t, n, d], memory of each frame's slow frame.
            fast: [b, t, n, d], projected features of all frames.
            time: [t, d], positions, for "transformer".
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
            places = None if grid_valid is None else grid_valid[:, None, :, None]
            seen = self.project(masked_mean(fast, places, axis=2))[:, :, None]
        else:
            seen = self.project(fast)
        if self.kind == "noslow":
            return seen
        if self.kind == "gating":
            return slow + slow * nnx.sigmoid(seen)
        return slow + self.residual(slow + seen)


class QueryDecoderLayer(nnx.Module):
    """Self-attention over time, then each frame's query reads that frame's tokens; the position of a query enters both.

    Args:
        along_time: whether queries see those of other frames; else each attends to itself alone.
    """

    def __init__(self, config: TransformerConfig, *, along_time: bool, dtype):
        width, rate = config.width, config.dropout_rate
        self.self_attn = MultiHeadAttention(width, config.heads, dropout_rate=rate, dtype=dtype)
        self.self_norm = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        self.cross_attn = MultiHeadAttention(width, config.heads, dropout_rate=rate, dtype=dtype)
        self.cross_norm = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        self.ffn = FeedForward(width, config.hidden, dropout_rate=rate, dtype=dtype)
        self.ffn_norm = LayerNorm(width, epsilon=1e-5, dtype=dtype)
        self.along_time = along_time
        self.dropout_rate = rate

    def __call__(self, x: jax.Array, place: jax.Array, memory: FrameTokens, rngs: nnx.Rngs | None):
        """x [b, t, d], place [t, d] -> x, and the weights of both attentions averaged over heads, float32
        [b, t, t] (None without attention along time) and [b, t, n + l]."""
        placed = x + place
        if self.along_time:
            attended, weights = self.self_attn(placed, placed, x, key_valid=memory.frames_valid, rngs=rngs)
            weights = weights.mean(1)
        else:
            alone, own = placed[:, :, None], x[:, :, None]
            attended, weights = self.self_attn(alone, alone, own, rngs=rngs)[0][:, :, 0], None
        x = self.self_norm(x + dropout(attended, self.dropout_rate, rngs))
        keys = memory.tokens + memory.positions[:, None]
        valid = None if memory.valid is None else memory.valid[:, None]
        queries = (x + place)[:, :, None]
        read, reading = self.cross_attn(queries, keys, memory.tokens, key_valid=valid, rngs=rngs)
        x = self.cross_norm(x + dropout(read[:, :, 0], self.dropout_rate, rngs))
        x = self.ffn_norm(x + dropout(self.ffn(x, rngs=rngs), self.dropout_rate, rngs))
        return x, weights, reading[..., 0, :].mean(-2)


class QueryDecoder(nnx.Module):
    """Queries of all frames, whose content starts at zero, through the layers (section 3.3)."""

    def __init__(self, config: TransformerConfig, *, along_time: bool, dtype):
        self.layers = nnx.List(
            [QueryDecoderLayer(config, along_time=along_time, dtype=dtype) for _ in range(config.decoder_layers)]
        )
        self.norm = LayerNorm(config.width, epsilon=1e-5, dtype=dtype)

    def __call__(
        self, place: jax.Array, memory: FrameTokens, *, rngs: nnx.Rngs | None = None
    ) -> tuple[jax.Array, jax.Array | None, jax.Array]:
        """Decodes.

        Args:
            place: [t, d], positions of the queries.
            memory: what they read.
            rngs: stream `dropout`, to train.

        Returns:
            The normed state after every layer [k, b, t, d]; weights of the attention along time, before dropout and
            averaged over heads, float32 [k, b, t, t], or None; those of reading, likewise [k, b, t, n + l].
        """
        b, t, _, d = memory.tokens.shape
        x = jnp.zeros((b, t, d), memory.tokens.dtype)
        states, weights, reading = [], [], []
        for layer in self.layers:
            x, along_time, of_tokens = run_layer(layer, x, place, memory, rngs=rngs)
            states.append(self.norm(x))
            weights.append(along_time)
            reading.append(of_tokens)
        attention = None if weights[0] is None else jnp.stack(weights)
        return jnp.stack(states), attention, jnp.stack(reading)


def add_text(
    places: jax.Array, text: jax.Array, grid_valid: jax.Array | None, text_valid: jax.Array | None
) -> tuple[jax.Array, jax.Array | None]:
    """places [b, t, n, d] and text [b, l, d] -> tokens [b, t, n + l, d], and which are real, bool [b, n + l] or
    None."""
    b, t, n, d = places.shape
    repeated = jnp.broadcast_to(text[:, None], (b, t, *text.shape[1:]))
    valid = join_masks(b, (grid_valid, n), (text_valid, text.shape[1]))
    return jnp.concatenate([places, repeated], axis=2), valid
