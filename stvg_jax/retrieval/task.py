"""Training of STGT: embeddings of pairs of a video and a text, and losses over the whole batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp

from stvg_jax.core.pixels import CLIP_MEAN, CLIP_STD, normalize
from stvg_jax.nn.declare import PureModule
from stvg_jax.nn.keys import DropoutKeys
from stvg_jax.retrieval.losses import (
    Counts,
    Embeddings,
    Negatives,
    PairTexts,
    STGTLossConfig,
    draw_negatives,
    negative_logits,
    stgt_losses,
)
from stvg_jax.train.task import Losses, WholeBatch, stage_keys

if TYPE_CHECKING:
    from stvg_jax.retrieval.stgt import STGT


class Pairs(NamedTuple):
    """Inputs of a training batch.

    Attributes:
        frames: float32 [b, t, h, w, 3], normalised.
        ids: int32 [b, l].
        valid: bool [b, l].
    """

    frames: jax.Array
    ids: jax.Array
    valid: jax.Array


@dataclasses.dataclass(frozen=True)
class RetrievalTask:
    """Contrastive, matching and captioning losses of pairs (`stvg_jax.train.task.ContrastiveTask`).

    Attributes:
        module: the model.
        losses: weights and settings of the losses.
    """

    module: PureModule
    losses: STGTLossConfig = STGTLossConfig()

    def count(self, batch: Mapping[str, jax.Array]) -> Counts:
        """Divisors of the losses of a whole batch (`stvg_jax.retrieval.family.batch_shapes`)."""
        return Counts.of(_texts(batch))

    def prepare(self, batch: Mapping[str, jax.Array]) -> tuple[Pairs, PairTexts]:
        """Inputs and targets of some rows of a batch."""
        frames = normalize(batch["frames"].astype(jnp.float32) / 255, CLIP_MEAN, CLIP_STD)
        return Pairs(frames, batch["text_ids"], batch["text_valid"]), _texts(batch)

    def embed(self, parameters: dict, inputs: Pairs, key: jax.Array | None) -> Embeddings:
        """Embeddings of pairs; see `ContrastiveTask.embed`."""
        rngs = None if key is None else DropoutKeys(key)

        def embed(model: STGT) -> Embeddings:
            videos = model.encode_videos(inputs.frames, rngs=rngs)
            return Embeddings(*videos, model.encode_texts(inputs.ids, inputs.valid, rngs=rngs).embeddings)

        return self.module.apply(parameters, embed)

    def contrast(
        self,
        parameters: dict,
        inputs: Pairs,
        targets: PairTexts,
        whole: WholeBatch,
        counts: Counts,
        key: jax.Array | None,
    ) -> Losses:
        """Losses of some pairs; see `ContrastiveTask.contrast`. Without keys the draws are always the same."""
        dropout_keys, draw_keys = stage_keys(key)
        if draw_keys is None:
            draw_keys = jax.vmap(lambda row: jax.random.fold_in(jax.random.key(0), row))(whole.rows)
        rngs = None if dropout_keys is None else DropoutKeys(dropout_keys)

        def terms(model: STGT) -> dict[str, jax.Array]:
            own: Embeddings = whole.own()
            negatives: Negatives = draw_negatives(
                negative_logits(own, whole.embeddings, whole.rows, whole.targets.real, model.temperature[...]),
                draw_keys,
            )
            return stgt_losses(
                model,
                whole.embeddings,
                whole.targets,
                whole.rows,
                negatives,
                counts,
                soft=self.losses.soft_targets,
                rngs=rngs,
            )

        found = self.module.apply(parameters, terms)
        return sum((getattr(self.losses, name) * term for name, term in found.items()), jnp.zeros(())), (found, {})


def _texts(batch: Mapping[str, jax.Array]) -> PairTexts:
    return PairTexts(batch["text_ids"], batch["text_valid"], batch["sample"] >= 0)
