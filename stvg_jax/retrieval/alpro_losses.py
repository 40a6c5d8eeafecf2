"""Losses of ALPRO's training (released: `forward` of `AlproRetrieval` in LAVIS).

    contrastive  cross-entropy of cosines against a pair's own index, both ways
    matching     cross-entropy of a text describing a video, of the pair, of its text with another video and of its
                 video with another text

As in `stvg_jax.retrieval.losses`, every loss is a sum over pairs, divided by the number of pairs of the batch.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

from stvg_jax.nn.keys import DropoutKeys
from stvg_jax.retrieval.losses import (
    NEVER,
    Counts,
    Embeddings,
    Negatives,
    PairTexts,
    choose_negatives,
    matching_losses,
    negative_logits,
)
from stvg_jax.retrieval.similarity import similarities

if TYPE_CHECKING:
    from stvg_jax.retrieval.alpro import ALPRO

# Bounds of the temperature (released: `temp.clamp_`).
_LEAST_TEMPERATURE, _MOST_TEMPERATURE = 0.001, 0.5


@dataclasses.dataclass(frozen=True)
class ALPROLossConfig:
    """Weights of the terms; the defaults are the released fine-tuning.

    Attributes:
        contrastive, matching: weight of the term of this name.
    """

    contrastive: float = 1.0
    matching: float = 1.0

    def terms(
        self,
        model: ALPRO,
        whole: Embeddings,
        texts: PairTexts,
        rows: jax.Array,
        counts: Counts,
        key: jax.Array | None,
    ) -> dict[str, jax.Array]:
        """See `stvg_jax.retrieval.task.Losses`."""
        own = jax.tree.map(lambda array: array[rows], whole)
        logits = contrastive_logits(own, whole, model.temperature[...])
        negatives, rngs = choose_negatives(negative_logits(logits, rows, texts.real), key)
        return alpro_losses(model, whole, texts, rows, negatives, counts.pairs, rngs=rngs)


def contrastive_logits(own: Embeddings, whole: Embeddings, temperature: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Similarities float32 [b, W] of own videos to all texts and of own texts to all videos, divided by the temperature
    (scalar, kept within its bounds). Unlike STGT's they have a gradient to `whole`."""
    temperature = jnp.clip(temperature, _LEAST_TEMPERATURE, _MOST_TEMPERATURE)
    to_texts, to_videos = similarities(own.videos, whole.texts), similarities(whole.videos, own.texts).T
    return to_texts / temperature, to_videos / temperature


def index_losses(whole: Embeddings, rows: jax.Array, real: jax.Array, temperature: jax.Array) -> jax.Array:
    """Cross-entropy of `contrastive_logits` against a pair's own index, the mean of both ways, float32 [b].

    Args:
        whole: W pairs.
        rows: int32 [b], the numbers among the W of the pairs whose losses are computed.
        real: bool [W].
        temperature: scalar.
    """

    def of_index(logits: jax.Array) -> jax.Array:
        log_p = jax.nn.log_softmax(jnp.where(real, logits, NEVER))
        return -jnp.take_along_axis(log_p, rows[:, None], axis=1)[:, 0]

    own = jax.tree.map(lambda array: array[rows], whole)
    to_texts, to_videos = contrastive_logits(own, whole, temperature)
    return (of_index(to_texts) + of_index(to_videos)) / 2


def alpro_losses(
    model: ALPRO,
    whole: Embeddings,
    texts: PairTexts,
    rows: jax.Array,
    negatives: Negatives,
    pairs: jax.Array,
    *,
    rngs: DropoutKeys | None = None,
) -> dict[str, jax.Array]:
    """Both terms of some pairs, unweighted; those of all pairs add up to the terms of the batch.

    Args:
        model: the model.
        whole, texts: W pairs.
        rows: int32 [b], the numbers among the W of the pairs whose losses are computed.
        negatives: drawn for these pairs.
        pairs: number of real pairs of the whole batch.
        rngs: dropout keys of the rows; None to train without.
    """
    terms = {
        "contrastive": index_losses(whole, rows, texts.real, model.temperature[...]),
        "matching": matching_losses(model, whole, texts, rows, negatives, rngs),
    }
    return {name: jnp.where(texts.real[rows], losses, 0).sum() / pairs for name, losses in terms.items()}
