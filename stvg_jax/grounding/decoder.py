"""What both query decoders share: what they read, and how a context guides them."""

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
    """What a decoder looks at.

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
        valid: bool [b, c]; a video without any gets no guidance.
    """

    tokens: jax.Array
    valid: jax.Array


def attend_to_context(
    attention: CrossAttentionBlock, queries: jax.Array, context: Context | None, rngs: nnx.Rngs | None
) -> jax.Array:
    """queries [b, t, d] -> [b, t, d]; those of a video without context stay as they are (CG-STVG's `ca2`)."""
    if context is None:
        return queries
    guided, _ = attention(queries, context.tokens, key_valid=context.valid, rngs=rngs)
    return jnp.where(context.valid.any(1)[:, None, None], guided, queries)


def decoder_inputs(encoded: EncodedVideo, reads: Reads) -> tuple:
    """What every layer of a decoder takes besides its queries.

    Returns:
        positions of the frames [t, d]; tokens [b, t, n, d]; their positions [b or 1, n, d]; which tokens are real,
        bool [b, n] or None; which frames are, bool [b, t] or None.
    """
    parts = [getattr(encoded, stream) for stream in reads.streams]
    places, (*_, t, _, d) = len(encoded.positions), parts[0].shape
    positions = [
        encoded.positions if stream == reads.placed else jnp.zeros((places, part.shape[2], d), part.dtype)
        for stream, part in zip(reads.streams, parts, strict=True)
    ]
    masks = [encoded.text_valid if stream == "text" else encoded.grid_valid for stream in reads.streams]
    valid = join_masks(len(parts[0]), *((mask, part.shape[2]) for mask, part in zip(masks, parts, strict=True)))
    time = jnp.asarray(time_positions(t, d), parts[0].dtype)
    return time, jnp.concatenate(parts, axis=2), jnp.concatenate(positions, axis=1), valid, encoded.frames_valid
