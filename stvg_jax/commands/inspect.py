"""`stvg-jax inspect`."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax

    from stvg_jax.train.inspection import Flops

DESCRIPTION = """\
Show what a training needs before it runs: parameters by part and group, their split over devices, the shapes
of a batch, the operations of a step, and bytes on each device. Nothing is allocated, and no data is needed."""

EPILOG = """\
examples:
  stvg-jax inspect ta_stvg_hcstvg1
  stvg-jax inspect ta_stvg_vidstg --devices 32 --fsdp 8 --batch-size 64 --config.train.remat=layers
  JAX_NUM_CPU_DEVICES=8 stvg-jax inspect ta_stvg_hcstvg1 --devices 8 --batch-size 8 --compile

--compile compiles the whole step for this machine's devices, which takes minutes, and shows the memory that XLA plans
for it. On a CPU, bfloat16 arrays are kept as float32; the plan of an accelerator is smaller.

--config.SECTION.KEY=VALUE changes a setting of the configuration."""


# More than any device has: the planned device may be one that this machine lacks.
_MOST_BYTES = 2**40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="experiment, see configs/")
    mesh = parser.add_argument_group("devices")
    mesh.add_argument("--devices", type=int, default=1, metavar="N", help="devices of all hosts (%(default)s)")
    mesh.add_argument(
        "--fsdp", type=int, metavar="N", help="devices that share a copy of the state (config.train.fsdp)"
    )
    mesh.add_argument("--compile", action="store_true", help="show XLA's plan of memory too; see below")
    batch = parser.add_argument_group("a batch")
    batch.add_argument("--batch-size", type=int, metavar="B", help="samples on all devices (config.train.batch_size)")
    batch.add_argument(
        "--frames", type=int, metavar="T", help="frames of a row (default: those of one pass, or config.loader.window)"
    )
    batch.add_argument("--width", type=int, metavar="W", help="width of a frame (default: that of a wide video)")
    batch.add_argument("--tokens", type=int, default=32, metavar="L", help="tokens of a text (%(default)s)")


def run(args: argparse.Namespace) -> None:
    import jax
    from jax.sharding import AbstractMesh

    from stvg_jax.core.config import load_config_file
    from stvg_jax.core.errors import InputError
    from stvg_jax.core.registry import build_config
    from stvg_jax.devices import find_devices
    from stvg_jax.experiment.building import Experiment
    from stvg_jax.models.loading import DTYPES
    from stvg_jax.nn.declare import PureModule
    from stvg_jax.parallel.mesh import make_mesh
    from stvg_jax.runtime.memory import Rows, check_memory
    from stvg_jax.train import inspection
    from stvg_jax.train.optim import make_optimizer
    from stvg_jax.train.state import state_shapes, state_shardings
    from stvg_jax.train.step import make_train_step

    config = load_config_file(args.config, overrides=args.overrides)
    find_devices()
    experiment = Experiment.build(config)
    family, train, groups = experiment.family, experiment.train, experiment.groups
    fsdp = train.fsdp if args.fsdp is None else args.fsdp
    videos = train.batch_size if args.batch_size is None else args.batch_size
    _check_counts(args, fsdp, videos, train.parts)
    most = family.text(experiment.model).max_tokens
    if args.tokens > most:
        raise InputError(f"--tokens is {args.tokens}; the text encoder takes at most {most}")
    sizes = {"frames": args.frames, "width": args.width, "tokens": args.tokens}
    batch = family.batch(config, experiment.model, experiment.clip, rows=videos, **sizes)
    if "frames" in batch:
        rows = Rows(videos // (args.devices * train.parts), *batch["frames"].shape[1:4], pixel_bytes=1, number_bytes=2)
        what = f"a batch of {videos:,} videos on {args.devices:,} devices"
        check_memory(family.least_bytes(experiment.model, rows), rows, what, _MOST_BYTES)
    if args.compile and len(jax.devices()) != args.devices:
        raise InputError(
            f"--compile needs {args.devices} devices here, there are {len(jax.devices())}; "
            f"on a CPU set JAX_NUM_CPU_DEVICES={args.devices}"
        )
    # The number of steps does not matter here.
    rates = experiment.rates(total_steps=1)
    optimizer = make_optimizer(experiment.optim, groups, rates, experiment.uses)
    shapes = state_shapes(experiment.module.declarations, groups, optimizer)
    shardings = state_shardings(shapes, AbstractMesh((args.devices // fsdp, fsdp), ("data", "fsdp")))
    print(f"{config['name']}, {train.dtype}, on {args.devices} devices: data {args.devices // fsdp} x fsdp {fsdp}\n")
    by_part = inspection.parameters_by_part(shapes, shardings, groups)
    by_sharding = inspection.parameters_by_sharding(shapes, shardings, groups)
    print(*inspection.parameter_lines(("part", "group"), by_part), "", sep="\n")
    print(*inspection.parameter_lines(("how they lie", ""), by_sharding), "", sep="\n")
    _print_batch(batch, args.devices)
    _print_bytes("of each device, by shapes", inspection.state_bytes(shapes, shardings))
    # A model without loops, because the bodies of loops are counted once.
    whole = family.model(build_config(config["name"], without_steps(config["model"])), dtype=DTYPES[train.dtype])
    task = family.task(PureModule(whole), experiment.losses)
    flops = inspection.step_flops(task, shapes, batch, train.remat)
    _print_flops(flops, args.devices, train.remat)
    if args.compile:
        mesh = make_mesh(fsdp)
        step = make_train_step(
            experiment.task,
            optimizer,
            rates,
            experiment.optim,
            mesh,
            state_shardings(shapes, mesh),
            seed=train.seed,
            parts=train.parts,
            remat=train.remat,
        )
        _print_bytes("of each device, by XLA's plan", inspection.compiled_memory(step, shapes, batch))


def without_steps(config: Mapping[str, Any]) -> dict[str, Any]:
    """A model's configuration without step sizes such as `images_per_step`, so that it has no loops."""
    whole = copy.deepcopy(dict(config))
    for part in filter(lambda value: isinstance(value, dict), whole.values()):
        part |= {key: None for key in part if key.endswith("_per_step")}
    return whole


def _check_counts(args: argparse.Namespace, fsdp: int, videos: int, parts: int) -> None:
    from stvg_jax.core.errors import InputError

    for name in ("devices", "frames", "width", "tokens"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise InputError(f"--{name} is {value}; it must be at least 1")
    if fsdp < 1 or args.devices % fsdp:
        raise InputError(f"--devices is {args.devices}; it must be a multiple of fsdp={fsdp}")
    if videos < 1 or videos % (args.devices * parts):
        raise InputError(
            f"the batch size is {videos}; it must be a multiple of {args.devices} devices times parts={parts}"
        )


def _print_batch(batch: Mapping[str, jax.ShapeDtypeStruct], devices: int) -> None:
    line = "{:<24} {:<40} {:>14}"
    print(line.format("batch", "shape on all devices", "MB per device"))
    for name, leaf in batch.items():
        size = leaf.size * leaf.dtype.itemsize / devices
        print(line.format(name, f"{leaf.dtype}{list(leaf.shape)}", f"{size / 1e6:,.3f}"))
    print()


def _print_flops(flops: Flops, devices: int, remat: str) -> None:
    line = "{:<41} {:>23} {:>14}"
    print(line.format("TFLOP of a step", "all devices", "per device"))
    rows = {"forward": flops.forward, "training": flops.training, f"training, with remat={remat}": flops.computed}
    for name, value in rows.items():
        print(line.format(name, f"{value / 1e12:,.4g}", f"{value / devices / 1e12:,.4g}"))
    print(flush=True)


def _print_bytes(title: str, parts: Mapping[str, int]) -> None:
    print(f"{title:<65} {'GB per device':>14}")
    for name, value in parts.items():
        print(f"{name:<65} {value / 1e9:>14.3f}")
    print(flush=True)
