"""A training of a toy that uses the workdir, checkpoints and interruption as a real one does, for tests to kill.

`python -m tests.train.toy_run WORKDIR --steps N` prints a line per step and leaves WORKDIR/final-HOST.npz: this host's
first copy of everything in the last state.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from stvg_jax.core.errors import InputError
from stvg_jax.parallel import hosts


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--save-every", type=int, default=2)
    parser.add_argument("--rows", type=int, default=8, help="of the parameter; a row has 4 KiB")
    parser.add_argument("--step-seconds", type=float, default=0.0, help="makes a step last")
    parser.add_argument("--fsdp", type=int, default=1)
    parser.add_argument("--nan-at", type=int, default=-1, help="step whose loss is NaN")
    hosts.add_arguments(parser)
    return parser


def program(rows: int, fsdp: int):
    """Compiled `init() -> state` and `step(state, value) -> (state, loss)`, and the shapes of the state."""
    import jax
    import jax.numpy as jnp
    import optax
    from jax.sharding import NamedSharding, PartitionSpec

    from stvg_jax.parallel.mesh import make_mesh

    optimizer = optax.adam(1e-2)
    mesh = make_mesh(fsdp)

    def init():
        weights = {"a/w": jax.random.normal(jax.random.key(1), (rows, 1024)), "a/b": jnp.zeros(())}
        copies = jax.tree.map(jnp.copy, weights)
        return {"step": jnp.int32(0), "weights": weights, "optimizer": optimizer.init(weights), "average": copies}

    def sharding(leaf):
        return NamedSharding(mesh, PartitionSpec("fsdp") if leaf.ndim == 2 else PartitionSpec())

    shapes = jax.eval_shape(init)
    shardings = jax.tree.map(sharding, shapes)
    shapes = jax.tree.map(
        lambda leaf, where: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), shapes, shardings
    )

    def step(state, data):
        noise = jax.random.normal(jax.random.fold_in(jax.random.key(7), state["step"]), (1024,))

        def loss(weights):
            return jnp.mean((weights["a/w"] - data - 0.1 * noise) ** 2) + weights["a/b"] ** 2

        value, gradient = jax.value_and_grad(loss)(state["weights"])
        updates, inner = optimizer.update(gradient, state["optimizer"])
        weights = optax.apply_updates(state["weights"], updates)
        average = jax.tree.map(lambda mean, new: 0.9 * mean + 0.1 * new, state["average"], weights)
        return {"step": state["step"] + 1, "weights": weights, "optimizer": inner, "average": average}, value

    return (
        jax.jit(init, out_shardings=shardings),
        jax.jit(step, donate_argnums=0, out_shardings=(shardings, None)),
        shapes,
    )


def train(args: argparse.Namespace) -> int:
    import jax
    import numpy as np

    from stvg_jax.train.checkpoints import Checkpoints
    from stvg_jax.train.interruption import Interruption
    from stvg_jax.train.replay import check_finite
    from stvg_jax.train.workdir import Workdir

    init, step, shapes = program(args.rows, args.fsdp)
    config = {"rows": args.rows, "save_every": args.save_every}
    with (
        Workdir(args.workdir, config, sys.argv, may_change=["save_every"]) as workdir,
        Checkpoints(workdir.checkpoints, keep=2) as checkpoints,
        Interruption() as interruption,
    ):
        checkpoints.require_space(shapes)
        restored = checkpoints.restore(shapes)
        state, extra = restored or (init(), {"seen": 0})
        first = int(state["step"])
        assert extra["seen"] == 3 * first
        print("from", first, flush=True)
        workdir.begin()
        for number in range(first, args.steps):
            # Of the (seed, step) alone, as batches are.
            data = np.random.default_rng((5, number)).normal() if number != args.nan_at else np.nan
            state, loss = step(state, np.float32(data))
            time.sleep(args.step_seconds)
            stop = interruption.should_stop()
            check_finite(
                {"loss": np.asarray(loss)},
                workdir.replay,
                step=number,
                seed=5,
                samples=[f"sample{number}"],
                config=workdir.config,
                checkpoint=max(checkpoints.steps(), default=None),
            )
            checkpoints.raise_if_failed()
            print("step", number + 1, flush=True)
            if stop or (number + 1) % args.save_every == 0:
                checkpoints.save(state, number + 1, {"seen": 3 * (number + 1)})
            if stop:
                return interruption.exit_code
    leaves = [np.asarray(leaf.addressable_data(0)) for leaf in jax.tree.leaves(state)]
    np.savez(args.workdir / f"final-{jax.process_index()}.npz", *leaves)
    return 0


if __name__ == "__main__":
    arguments = make_parser().parse_args()
    hosts.join(arguments)
    try:
        sys.exit(train(arguments))
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
