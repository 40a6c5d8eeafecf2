"""Outputs of retrieval models, the interface that evaluation and search use, and the glossary of their axes.

Axes, in this order wherever several meet:

    b  videos or texts of a batch   v  videos               t  texts, or frames of a video
    p  pairs of a video and a text  n  tokens of a video    q  embeddings of a video
    l  text tokens                  d  channels             e  channels of an embedding

A model scores pairs in two steps. `similarity` compares embeddings, and is cheap; the best pairs are then read together
by `match`, whose result is added to their similarity.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, TypeAlias

import jax

# What matching keeps of one video, a tree of arrays without an axis of videos. Those of several videos are stacked, and
# `match` is called on one at a time, or under `jax.vmap`.
Memory: TypeAlias = Any


class Videos(NamedTuple):
    """A batch of encoded videos.

    Attributes:
        tokens: [b, n, d], read by matching (`RetrievalModel.video_memory`).
        embeddings: float32 [b, q, e], of unit length.
    """

    tokens: jax.Array
    embeddings: jax.Array


class Texts(NamedTuple):
    """A batch of encoded texts.

    Attributes:
        embeddings: float32 [b, e], of unit length.
    """

    embeddings: jax.Array


class RetrievalModel(Protocol):
    """The part of a model that evaluation and search use. Every method is traceable."""

    def encode_videos(self, frames: jax.Array) -> Videos:
        """Encodes normalised frames, float [b, t, h, w, 3]."""
        ...

    def encode_texts(self, ids: jax.Array, valid: jax.Array) -> Texts:
        """Encodes token ids int32 [b, l] that are padded at the end; `valid`, bool [b, l], is True for real ones."""
        ...

    def similarity(self, videos: jax.Array, texts: jax.Array) -> jax.Array:
        """Similarity float32 [v, t] of embeddings of videos [v, q, e] and of texts [t, e]."""
        ...

    def video_memory(self, tokens: jax.Array) -> Memory:
        """The memory of one video with these tokens [n, d], for `match`."""
        ...

    def match(self, memory: Memory, ids: jax.Array, valid: jax.Array) -> jax.Array:
        """Term float32 [p] that re-ranking adds to the similarities of one video and the texts ids int32 [p, l], valid
        bool [p, l]."""
        ...
