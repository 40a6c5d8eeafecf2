"""One step of evaluation: a batch of passes through the model, split over the mesh."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from stvg_jax.grounding.types import GroundingBatch
from stvg_jax.nn.functional import PureModule
from stvg_jax.parallel.mesh import BATCH, REPLICATED
from stvg_jax.runtime.compilation import compiler_options

INPUTS = tuple(field.name for field in dataclasses.fields(GroundingBatch))


EvalStep = Callable[[Any, Mapping[str, jax.Array]], dict[str, jax.Array]]


def make_step(module: PureModule, mesh: Mesh) -> EvalStep:
    """A compiled function of (parameters on every device, batch split by rows).

    Each device runs its own rows and talks to no other. A batch holds INPUTS, as `data_pipeline.loading` makes them.
    The result holds, of the last decoder layers, float32 and split by rows: boxes_cxcywh [b, t, 4], start_end_logits
    [b, t, 2], actioness_logits [b, t], sampling_score [b, t] (ones for a model that does not sample).
    """

    def rows(parameters, batch):
        inputs = GroundingBatch.from_batch(batch)
        output = module.apply(parameters, lambda model: model(inputs))
        score = output.sampling_score
        return {
            "boxes_cxcywh": output.boxes_cxcywh[-1],
            "start_end_logits": output.start_end_logits[-1],
            "actioness_logits": output.actioness_logits[-1],
            "sampling_score": jnp.ones_like(output.actioness_logits[-1]) if score is None else score,
        }

    split = jax.shard_map(rows, mesh=mesh, in_specs=(REPLICATED, BATCH), out_specs=BATCH, check_vma=False)
    compiled = jax.jit(split, compiler_options=compiler_options())

    def step(parameters, batch):
        with jax.default_matmul_precision("highest"):
            return compiled(parameters, {name: batch[name] for name in INPUTS})

    return step
