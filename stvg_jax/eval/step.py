"""One step of an evaluation: the outputs of a batch that is split over the mesh."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax.sharding import Mesh

from stvg_jax.family import Evaluator
from stvg_jax.nn.functional import PureModule
from stvg_jax.parallel.mesh import BATCH, REPLICATED
from stvg_jax.runtime.compilation import compiler_options

EvalStep = Callable[[Any, Mapping[str, jax.Array]], dict[str, jax.Array]]


def make_step(module: PureModule, evaluator: Evaluator, mesh: Mesh) -> EvalStep:
    """Makes a compiled function: (parameters on every device, batch split by rows) -> `Evaluator.outputs` by rows.

    Each device computes its own rows without communication.

    Args:
        module: the model.
        evaluator: the evaluator of its family.
        mesh: mesh of all devices.
    """

    def rows(parameters: Any, batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        return module.apply(parameters, lambda model: evaluator.outputs(model, batch))

    split = jax.shard_map(rows, mesh=mesh, in_specs=(REPLICATED, BATCH), out_specs=BATCH, check_vma=False)
    compiled = jax.jit(split, compiler_options=compiler_options())

    def step(parameters: Any, batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        with jax.default_matmul_precision("highest"):
            return compiled(parameters, batch)

    return step
