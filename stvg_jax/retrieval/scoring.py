"""Scores of videos and texts by a model: similarities of all, and what matching adds to those of some.

Pure functions over a `stvg_jax.retrieval.types.RetrievalModel`, which evaluation and search use.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule
from stvg_jax.retrieval.types import RetrievalModel

# Videos and texts whose similarities are computed at once: 64 MB with 32 embeddings of a video.
_VIDEOS, _TEXTS = 256, 2048


def encode_texts(model: RetrievalModel, ids: jax.Array, valid: jax.Array, chunks: jax.Array) -> jax.Array:
    """Embeddings of the texts of one video.

    Args:
        model: the model.
        ids, valid: int32 and bool [c, p, l], chunks of p texts.
        chunks: int32 scalar, number of chunks at the beginning that have a text.

    Returns:
        float32 [c, p, e]; 0 for the other chunks, which are not computed.
    """
    return _filled(lambda ids, valid: model.encode_texts(ids, valid).embeddings, ids, valid, chunks)


def match_texts(
    model: RetrievalModel, tokens: jax.Array, ids: jax.Array, valid: jax.Array, chunks: jax.Array
) -> jax.Array:
    """Terms of re-ranking of one video and its texts; what matching keeps of the video is computed once.

    Args:
        model: the model.
        tokens: [n, d], of the encoded video.
        ids, valid, chunks: as for `encode_texts`.

    Returns:
        float32 [c, p].
    """
    return _filled(functools.partial(model.match, model.video_memory(tokens)), ids, valid, chunks)


def _filled(
    function: Callable[[jax.Array, jax.Array], jax.Array], ids: jax.Array, valid: jax.Array, chunks: jax.Array
) -> jax.Array:
    """`function` of the first chunks, one after another, so that no result depends on the others."""
    shape = jax.eval_shape(function, ids[0], valid[0])

    def body(number: jax.Array, results: jax.Array) -> jax.Array:
        return results.at[number].set(function(ids[number], valid[number]).astype(jnp.float32))

    return jax.lax.fori_loop(0, chunks, body, jnp.zeros((len(ids), *shape.shape), jnp.float32))


def all_similarities(module: PureModule, videos: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """Similarity of all videos and all texts, on this process's first device.

    Args:
        module: the model, of whose `similarity` no parameter is read.
        videos: float32 [v, q, e].
        texts: float32 [t, e].

    Returns:
        float32 [v, t].
    """
    # Declarations stand for parameters.
    model: Any = module.bind(unflatten(module.declarations))
    compiled = jax.jit(model.similarity)
    result = np.empty((len(videos), len(texts)), np.float32)
    with jax.default_matmul_precision("highest"), jax.default_device(jax.local_devices()[0]):
        for row in range(0, len(videos), _VIDEOS):
            some = _padded(videos[row : row + _VIDEOS], min(_VIDEOS, len(videos)))
            for column in range(0, len(texts), _TEXTS):
                others = _padded(texts[column : column + _TEXTS], min(_TEXTS, len(texts)))
                block = np.asarray(compiled(some, others))
                place = result[row : row + _VIDEOS, column : column + _TEXTS]
                place[...] = block[: place.shape[0], : place.shape[1]]
    return result


def _padded(rows: np.ndarray, length: int) -> np.ndarray:
    """`rows` and zeros, so that all parts have one program."""
    return np.pad(rows, ((0, length - len(rows)), *((0, 0),) * (rows.ndim - 1)))
