"""Parts that both query decoders share: their inputs, and attention to a context."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.encoder import EncodedVideo, join_masks
from stvg_jax.nn.attention import CrossAttentionBlock
from stvg_jax.nn.positions import time_positions


@dataclasses.dataclass(frozen=True)
class Reads:
    """The tokens that a decoder attends to.

    Attributes:
        streams: of "appearance", "text" and "motion", those whose tokens it reads.
        placed: the one among them whose tokens keep their positions; the others get zeros.
        context: whether all layers but the first also attend to a Context.
    """

    streams: tuple[str, ...]
    placed: str
    context: bool = False


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Context:
    """Tokens of a whole video that guide the queries of all its frames.

    Attributes:
        tokens: [b, c, d].
        valid: bool [b, c]; a video without a valid token gets no guidance.
    """

    tokens: jax.Array
    valid: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class DecoderInputs:
    """Inputs of every layer of a decoder, besides its queries.

    Attributes:
        time: [t, d], positions of the frames.
        tokens: [b, t, n, d], tokens of each frame.
        positions: [b or 1, n, d], positions of the tokens.
        tokens_valid: bool [b, n] or None.
        frames_valid: bool [b, t] or None.
    """

    time: jax.Array
    tokens: jax.Array
    positions: jax.Array
    tokens_valid: jax.Array | None
    frames_valid: jax.Array | None


def attend_to_context(
    attention: CrossAttentionBlock, queries: jax.Array, context: Context | None, rngs: nnx.Rngs | None
) -> jax.Array:
    """Queries [b, t, d] -> [b, t, d], unchanged for a video without context (released: CG-STVG's `ca2`)."""
    if context is None:
        return queries
    guided, _ = attention(queries, context.tokens, key_valid=context.valid, rngs=rngs)
    return jnp.where(context.valid.any(1)[:, None, None], guided, queries)


def decoder_inputs(encoded: EncodedVideo, reads: Reads) -> DecoderInputs:
    """The tokens of the streams that a decoder reads, joined, with their positions and masks."""
    parts = [getattr(encoded, stream) for stream in reads.streams]
    places, (*_, t, _, d) = len(encoded.positions), parts[0].shape
    positions = [
        encoded.positions if stream == reads.placed else jnp.zeros((places, part.shape[2], d), part.dtype)
        for stream, part in zip(reads.streams, parts, strict=True)
    ]
    masks = [encoded.text_valid if stream == "text" else encoded.grid_valid for stream in reads.streams]
    return DecoderInputs(
        time=jnp.asarray(time_positions(t, d), parts[0].dtype),
        tokens=jnp.concatenate(parts, axis=2),
        positions=jnp.concatenate(positions, axis=1),
        tokens_valid=join_masks(
            len(parts[0]), *((mask, part.shape[2]) for mask, part in zip(masks, parts, strict=True))
        ),
        frames_valid=encoded.frames_valid,
    )
