"""Speed of training: `python -m benchmarks.train_step CONFIG`, see --help.

It measures steps per second, the share of the peak arithmetic of the devices, and the share of time spent waiting for
input. Parameters are drawn at random, since their values do not change the time. So are batches, unless --tokenizer is
given: then they come from the experiment's own data, through its whole input pipeline.

With --against, another implementation is timed in alternation with this one, under the same load of the machine.
COMMAND must read a line from standard input, run one step of the same size, print {"seconds": x} in one line,
and so on until the input ends.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from benchmarks.forward import Other, matmul_rate, peak_memory_mb
from stvg_jax.commands.inspect import without_steps
from stvg_jax.core.config import load_config_file
from stvg_jax.core.registry import make_model
from stvg_jax.core.tree import flatten, unflatten
from stvg_jax.experiment.building import Experiment
from stvg_jax.grounding.task import GroundingTask
from stvg_jax.models.loading import DTYPES
from stvg_jax.nn.declare import PureModule, initialize
from stvg_jax.parallel.mesh import ahead, make_mesh, to_mesh
from stvg_jax.runtime.tokenizer import Tokenizer
from stvg_jax.train.inspection import step_flops
from stvg_jax.train.optim import make_optimizer
from stvg_jax.train.state import place_state, state_shapes, state_shardings
from stvg_jax.train.step import make_train_step


def drawn_batches(experiment: Experiment, rows: int, args: argparse.Namespace) -> Iterator[dict[str, np.ndarray]]:
    """The same random batch for ever: whole videos, with the tube in their middle half."""
    rng = np.random.default_rng(0)
    model = experiment.model
    sizes = {"frames": args.frames, "width": args.width, "tokens": args.tokens}
    shapes = experiment.family.batch(experiment.config, model, experiment.clip, rows=rows, **sizes)
    frames = shapes["frames"].shape[1]
    batch = {name: np.ones(leaf.shape, leaf.dtype) for name, leaf in shapes.items()}
    batch["frames"] = rng.integers(0, 256, shapes["frames"].shape, np.uint8)
    batch["text_ids"] = rng.integers(4, model.roberta.vocab_size, shapes["text_ids"].shape, np.int32)
    batch["sizes"] *= np.array(shapes["frames"].shape[2:4], np.int32)
    batch["in_tube"] = np.abs(np.arange(frames) - frames / 2) <= frames / 4
    batch["in_tube"] = np.broadcast_to(batch["in_tube"], shapes["in_tube"].shape)
    batch["boxes_cxcywh"] *= np.array([0.5, 0.5, 0.2, 0.4], np.float32)
    while True:
        yield batch


def stored_batches(experiment: Experiment, tokenizer: Path, rows: int) -> Iterator[dict[str, np.ndarray]]:
    """Batches of the experiment's training data that have the shape of the first, so that one program runs."""
    loader = experiment.family.inputs(experiment.config, experiment.train.split).loader(
        experiment.model,
        experiment.clip,
        Tokenizer(tokenizer, experiment.family.text(experiment.model).max_tokens),
        training=True,
        batch_size=rows,
        hosts=(0, 1),
        seed=experiment.train.seed,
    )
    wanted = None
    for batch in loader.batches():
        shape = (batch["frames"].shape, batch["text_ids"].shape)
        wanted = wanted or shape
        if shape == wanted:
            yield {name: batch[name] for name in loader.sent}


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """The arguments, and the overrides of the configuration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, metavar="CONFIG", help="experiment, see configs/; can be overridden")
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="of the experiment, to read its own data")
    parser.add_argument("--batch-size", type=int, help="videos in a step (one for each device)")
    parser.add_argument("--frames", type=int, help="of a drawn video (as `stvg-jax inspect` shows)")
    parser.add_argument("--width", type=int, help="columns of a drawn frame (as `stvg-jax inspect` shows)")
    parser.add_argument("--tokens", type=int, default=32, help="of a drawn text (%(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="timed (%(default)s)")
    parser.add_argument("--warmup", type=int, default=1, help="steps before them (%(default)s)")
    parser.add_argument("--peak", type=float, metavar="TFLOPS", help="of a device; else a large product's rate")
    parser.add_argument("--against", metavar="COMMAND", help="another implementation to alternate with; see above")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result here")
    return parser.parse_known_args()


def main() -> None:
    args, overrides = parse_arguments()
    experiment = Experiment.build(load_config_file(args.config, overrides=overrides))
    train, mesh = experiment.train, make_mesh(experiment.train.fsdp)
    rows = args.batch_size or mesh.size * train.parts
    rates = experiment.rates(total_steps=1000)
    optimizer = make_optimizer(experiment.optim, experiment.groups, rates, experiment.uses)
    shapes = state_shapes(experiment.module.declarations, experiment.groups, optimizer)
    shardings = state_shardings(shapes, mesh)
    parameters = flatten(initialize(unflatten(experiment.module.declarations), seed=0))
    state = place_state(parameters, experiment.groups, optimizer, shardings)
    options = {"seed": train.seed, "parts": train.parts, "remat": train.remat}
    step = make_train_step(experiment.task, optimizer, rates, experiment.optim, mesh, shardings, **options)
    if args.tokenizer:
        source = stored_batches(experiment, args.tokenizer, rows)
    else:
        source = drawn_batches(experiment, rows, args)
    feed = ahead(source, lambda batch: to_mesh(batch, mesh))
    batch = next(feed)
    start = time.perf_counter()
    compiled = step.lower(state, batch).compile()
    compile_seconds = time.perf_counter() - start
    other = Other(args.against) if args.against else None
    waits, seconds, others = [], [], []
    for number in range(args.warmup + args.steps):
        start = time.perf_counter()
        batch = next(feed)
        waited = time.perf_counter() - start
        state, metrics = compiled(state, batch)
        loss = float(metrics["loss"])
        whole = time.perf_counter() - start
        theirs = other.seconds() if other else None
        line = f"  step {number}: {whole:.3f} s, waiting {waited:.3f} s, loss {loss:.3f}"
        print(line + (f", other {theirs:.3f} s" if other else ""), file=sys.stderr)
        if number >= args.warmup:
            waits.append(waited)
            seconds.append(whole)
            others.append(theirs)
    if other:
        other.close()
    dtype = DTYPES[train.dtype]
    whole_model = PureModule(
        make_model(experiment.config["name"], without_steps(experiment.config["model"]), DTYPES[train.dtype])
    )
    batch_now = {name: jax.ShapeDtypeStruct(value.shape, value.dtype) for name, value in batch.items()}
    flops = step_flops(GroundingTask(whole_model, experiment.task.losses), shapes, batch_now).training
    peak = (args.peak * 1e12 if args.peak else matmul_rate(dtype)) * mesh.size
    median = statistics.median(seconds)
    result = {
        "device": f"{mesh.size} x {jax.devices()[0].device_kind} ({jax.default_backend()})",
        "frames": list(batch["frames"].shape),
        "dtype": train.dtype,
        **options,
        "steps_per_second": 1 / median,
        "all_seconds": seconds,
        "waiting_for_input": sum(waits) / sum(seconds),
        "tflop": flops / 1e12,
        "gflop_per_second": flops / median / 1e9,
        "of_peak": flops / median / peak,
        "compile_seconds": compile_seconds,
        "peak_memory_mb": peak_memory_mb(),
    }
    if other:
        ratios = [ours / theirs for ours, theirs in zip(seconds, others, strict=True)]
        result |= {"other_all_seconds": others, "ratio": statistics.median(ratios)}
    text = json.dumps(result)
    print(text)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
