"""Training of a retrieval model on pairs of a video and a caption (`stvg_jax.train.task.ContrastiveTask`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from stvg_jax.core.pixels import normalize_as_clip
from stvg_jax.nn.declare import PureModule
from stvg_jax.nn.keys import DropoutKeys
from stvg_jax.retrieval.losses import Counts, Embeddings, PairTexts
from stvg_jax.train.task import WholeBatch


class Pairs(NamedTuple):
    """Inputs of some pairs.

    Attributes:
        videos: frames, uint8 [b, t, h, w, 3]; or their features, float16 [b, ...], for a model that keeps them
            (`stvg_jax.retrieval.features`).
        texts: their captions.
    """

    videos: jax.Array
    texts: PairTexts


class Losses(Protocol):
    """Section `loss` of a configuration: a field with the weight of each term, and the terms themselves."""

    def terms(
        self,
        model: Any,
        whole: Embeddings,
        texts: PairTexts,
        rows: jax.Array,
        counts: Counts,
        key: jax.Array | None,
    ) -> dict[str, jax.Array]:
        """Every term of some pairs, unweighted; those of all pairs add up to the terms of the batch.

        Args:
            model: the model.
            whole, texts: W pairs.
            rows: int32 [b], the numbers among the W of the pairs whose losses are computed.
            counts: of the whole batch.
            key: keys of the rows [b], for draws and dropout; None to train without dropout, on the hardest negatives.
        """
        ...


@dataclasses.dataclass(frozen=True)
class RetrievalTask:
    """Training on pairs, each of which is compared with all of its batch.

    Attributes:
        module: the model, whose `encode_videos` and `encode_texts` take `rngs`.
        losses: of its family.
    """

    module: PureModule
    losses: Any

    def count(self, batch: Mapping[str, jax.Array]) -> Counts:
        """Divisors of the losses of a whole batch of `data_pipeline.loading.caption_pairs`."""
        return Counts.of(_texts(batch))

    def prepare(self, batch: Mapping[str, jax.Array]) -> tuple[Pairs, PairTexts]:
        """Inputs, and the texts that the losses of other pairs need."""
        texts = _texts(batch)
        return Pairs(batch["features"] if "features" in batch else batch["frames"], texts), texts

    def embed(self, parameters: dict, inputs: Pairs, key: jax.Array | None) -> Embeddings:
        """Encodes videos and texts."""
        rngs = None if key is None else DropoutKeys(key)

        def encode(model: Any) -> Embeddings:
            if inputs.videos.dtype == jnp.uint8:
                tokens, videos = model.encode_videos(normalize_as_clip(inputs.videos), rngs=rngs)
            else:
                tokens, videos = model.encode_features(inputs.videos, rngs=rngs)
            texts = model.encode_texts(inputs.texts.ids, inputs.texts.valid, rngs=rngs)
            return Embeddings(tokens, videos, texts.embeddings)

        return self.module.apply(parameters, encode)

    def contrast(
        self,
        parameters: dict,
        inputs: Pairs,
        targets: PairTexts,
        whole: WholeBatch,
        counts: Counts,
        key: jax.Array | None,
    ) -> tuple[jax.Array, tuple[dict[str, jax.Array], dict[str, jax.Array]]]:
        """The total loss of some pairs, and its terms; see `ContrastiveTask.contrast`."""
        terms = self.module.apply(
            parameters,
            lambda model: self.losses.terms(model, whole.embeddings, whole.targets, whole.rows, counts, key),
        )
        total = sum(getattr(self.losses, name) * value for name, value in terms.items())
        return jnp.asarray(total), (terms, {})


def _texts(batch: Mapping[str, jax.Array]) -> PairTexts:
    return PairTexts(batch["text_ids"], batch["text_valid"], batch["sample"] >= 0)
