"""Losses of STGT's training (released: `forward` of its model), and the draws of hard negatives.

    contrastive  cross-entropy of similarities against soft targets, or against a pair's own index, both ways
    matching     cross-entropy of a text describing a video, of the pair, of its text with another video and of its
                 video with another text
    caption      cross-entropy of the next token, given the video

Every loss is a sum over the pairs of a batch, divided by their number, or by that of tokens. A device computes those of
its own pairs (b) from the embeddings of all (W), as `stvg_jax.train.task.ContrastiveTask` describes.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from stvg_jax.nn.keys import DropoutKeys
from stvg_jax.retrieval.similarity import similarities, unit
from stvg_jax.retrieval.types import Memory

if TYPE_CHECKING:
    from stvg_jax.retrieval.stgt import STGT

# Constants of the release: label smoothing, and what turns products of cosines into soft targets.
_SOFT_SMOOTHING, _HARD_SMOOTHING, _CAPTION_SMOOTHING = 0.01, 0.1, 0.1
_LEAST_ALIKE, _SHARPNESS, _UNLIKE = 0.05, 5.0, -100.0
NEVER = float(jnp.finfo(jnp.float32).min)


@dataclasses.dataclass(frozen=True)
class STGTLossConfig:
    """Weights of the terms, and their settings; the defaults are the released fine-tuning.

    Attributes:
        contrastive, matching, caption: weight of the term of this name.
        soft_targets: whether pairs that are alike share the targets of `contrastive`, as in the paper's alignment by
            cross-similarity.
    """

    contrastive: float = 1.0
    matching: float = 1.0
    caption: float = 1.0
    soft_targets: bool = True

    def terms(
        self,
        model: STGT,
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
        return stgt_losses(model, whole, texts, rows, negatives, counts, soft=self.soft_targets, rngs=rngs)


class Embeddings(NamedTuple):
    """Outputs of a model for pairs, which the losses of other pairs need with their gradient.

    Attributes:
        tokens: [W, n, d], of videos.
        videos: float32 [W, q, e], of unit length.
        texts: float32 [W, e], of unit length.
    """

    tokens: jax.Array
    videos: jax.Array
    texts: jax.Array


class PairTexts(NamedTuple):
    """Captions of pairs, which the losses of other pairs need too.

    Attributes:
        ids: int32 [W, l].
        valid: bool [W, l], real tokens.
        real: bool [W], pairs that do not only fill up the batch.
    """

    ids: jax.Array
    valid: jax.Array
    real: jax.Array


class Negatives(NamedTuple):
    """For each pair the number among the W of a wrong video for its text, and of a wrong text for its video: int32 [b],
    or, before they are drawn, their logits, float32 [b, W]."""

    videos: jax.Array
    texts: jax.Array


def contrastive_logits(own: Embeddings, whole: Embeddings, temperature: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Similarities float32 [b, W] of own videos to all texts and of own texts to all videos, divided by the temperature
    (scalar); without gradient to `whole`, as released."""
    videos, texts = jax.lax.stop_gradient((whole.videos, whole.texts))
    return similarities(own.videos, texts) / temperature, similarities(videos, own.texts).T / temperature


def contrastive_losses(
    own: Embeddings, whole: Embeddings, rows: jax.Array, real: jax.Array, temperature: jax.Array, *, soft: bool
) -> jax.Array:
    """Mean of both directions for each own pair, float32 [b].

    Args:
        own: b pairs.
        whole: W pairs.
        rows: int32 [b], the numbers of the own pairs among the W.
        real: bool [W].
        temperature: scalar.
        soft: see STGTLossConfig.soft_targets.
    """
    if soft:
        targets, smoothing = _soft_targets(own, whole, real), _SOFT_SMOOTHING
    else:
        targets, smoothing = jax.nn.one_hot(rows, len(real)), _HARD_SMOOTHING
    targets = (1 - smoothing) * targets + smoothing / jnp.maximum(real.sum(), 1)

    def losses(logits: jax.Array) -> jax.Array:
        log_p = jax.nn.log_softmax(jnp.where(real, logits, NEVER))
        return -jnp.where(real, targets * log_p, 0).sum(axis=1)

    to_texts, to_videos = contrastive_logits(own, whole, temperature)
    return (losses(to_texts) + losses(to_videos)) / 2


def _soft_targets(own: Embeddings, whole: Embeddings, real: jax.Array) -> jax.Array:
    """Distribution over the W pairs [b, W] by how alike both videos and both texts are; with gradient to `own`."""
    videos, texts = jax.lax.stop_gradient((whole.videos, whole.texts))
    alike_videos = jax.nn.relu(unit(own.videos.mean(axis=1)) @ unit(videos.mean(axis=1)).T)
    alike = alike_videos * jax.nn.relu(own.texts @ texts.T)
    alike = jnp.where(alike < _LEAST_ALIKE, _UNLIKE, alike)
    return jax.nn.softmax(jnp.where(real, _SHARPNESS * alike, NEVER))


def negative_logits(logits: tuple[jax.Array, jax.Array], rows: jax.Array, real: jax.Array) -> Negatives:
    """Logits of the draws of negatives for own pairs, without gradient: those of `contrastive_logits` for other pairs,
    and for the own pair and for pairs that are not real a number so small that they are never drawn. Equal captions and
    the same video twice are not excluded, as released."""
    other = real & (jnp.arange(len(real)) != rows[:, None])
    to_texts, to_videos = jax.lax.stop_gradient(logits)
    return Negatives(jnp.where(other, to_videos, NEVER), jnp.where(other, to_texts, NEVER))


def draw_negatives(logits: Negatives, keys: jax.Array) -> Negatives:
    """Numbers of the negatives, by `negative_logits` and one key for each pair [b]."""
    keys = jax.vmap(lambda key: jax.random.split(key))(keys)
    draw = jax.vmap(jax.random.categorical)
    return Negatives(draw(keys[:, 0], logits.videos), draw(keys[:, 1], logits.texts))


def choose_negatives(logits: Negatives, key: jax.Array | None) -> tuple[Negatives, DropoutKeys | None]:
    """Drawn negatives, or the likeliest ones without keys [b]; and keys for dropout, if there are any."""
    if key is None:
        return Negatives(*(jnp.argmax(side, axis=1) for side in logits)), None
    keys = DropoutKeys(key)
    return draw_negatives(logits, keys.dropout()), keys


class Matcher(Protocol):
    """The part of a model that reads videos and texts together; methods as those of `STGT`."""

    def video_memory(self, tokens: jax.Array, /) -> Memory: ...
    def match_logits(
        self, memory: Any, ids: jax.Array, valid: jax.Array, /, *, rngs: DropoutKeys | None = None
    ) -> jax.Array: ...


def matching_losses(
    model: Matcher,
    whole: Embeddings,
    texts: PairTexts,
    rows: jax.Array,
    negatives: Negatives,
    rngs: DropoutKeys | None,
) -> jax.Array:
    """Mean over a pair, its text with a wrong video and its video with a wrong text, float32 [b].

    Args:
        model: the model.
        whole, texts: W pairs; wrong videos have a gradient too.
        rows: int32 [b], the numbers of the own pairs among the W.
        negatives: drawn.
        rngs: dropout keys of the rows; None to train without.
    """
    videos = jnp.stack([rows, negatives.videos, rows], axis=1)
    of_text = jnp.stack([rows, rows, negatives.texts], axis=1).reshape(-1)
    memory = model.video_memory(whole.tokens[videos.reshape(-1)])
    logits = model.match_logits(memory, texts.ids[of_text], texts.valid[of_text], rngs=rngs)
    log_p = jax.nn.log_softmax(logits.reshape(-1, 3, 2))
    return -(log_p[:, 0, 1] + log_p[:, 1, 0] + log_p[:, 2, 0]) / 3


def caption_losses(logits: jax.Array, ids: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sum over the predicted tokens of each text, and their number.

    Args:
        logits: float32 [b, l, vocabulary], of the token after each.
        ids: int32 [b, l]; the first is not predicted.
        valid: bool [b, l].

    Returns:
        float32 [b] and int32 [b].
    """
    log_p, valid = jax.nn.log_softmax(logits[:, :-1]), valid[:, 1:]
    right = jnp.take_along_axis(log_p, ids[:, 1:, None], axis=-1)[..., 0]
    smoothed = (1 - _CAPTION_SMOOTHING) * right + _CAPTION_SMOOTHING * log_p.mean(axis=-1)
    return -jnp.where(valid, smoothed, 0).sum(axis=1), valid.sum(axis=1)


class Counts(NamedTuple):
    """Divisors of the losses of a whole batch: the numbers of its real pairs and of their predicted tokens."""

    pairs: jax.Array
    tokens: jax.Array

    @classmethod
    def of(cls, texts: PairTexts) -> Counts:
        """Those of a batch."""
        tokens = jnp.where(texts.real[:, None], texts.valid[:, 1:], False).sum()
        return cls(jnp.maximum(texts.real.sum(), 1), jnp.maximum(tokens, 1))


def stgt_losses(
    model: STGT,
    whole: Embeddings,
    texts: PairTexts,
    rows: jax.Array,
    negatives: Negatives,
    counts: Counts,
    *,
    soft: bool,
    rngs: DropoutKeys | None = None,
) -> dict[str, jax.Array]:
    """Every term of the losses of some pairs, unweighted; those of all pairs add up to the terms of the batch.

    Args:
        model: the model.
        whole, texts: W pairs.
        rows: int32 [b], the numbers among the W of the pairs whose losses are computed.
        negatives: drawn for these pairs.
        counts: of the whole batch.
        soft: see STGTLossConfig.soft_targets.
        rngs: dropout keys of the rows; None to train without.
    """
    own = jax.tree.map(lambda array: array[rows], whole)
    ids, valid, real = (array[rows] for array in texts)
    contrastive = contrastive_losses(own, whole, rows, texts.real, model.temperature[...], soft=soft)
    matching = matching_losses(model, whole, texts, rows, negatives, rngs)
    _, read = model.qformer.read(model.video_memory(own.tokens), rngs=rngs)
    captions, _ = caption_losses(model.qformer.caption(read, model.caption_ids(ids), valid, rngs=rngs), ids, valid)
    terms = {
        "contrastive": (contrastive, counts.pairs),
        "matching": (matching, counts.pairs),
        "caption": (captions, counts.tokens),
    }
    return {name: jnp.where(real, losses, 0).sum() / count for name, (losses, count) in terms.items()}
