"""Time, memory and arithmetic of one evaluation: `python -m benchmarks.forward --help`.

One evaluation grounds a sentence in a clip of 20 seconds: all passes of the family's protocol as rows of one batch,
through backbones, encoder and decoders. Parameters are drawn at random, since their values do not change the time.
--config.model.NAME=VALUE changes the model, such as --config.model.stride=2 for TubeDETR.

With --against, another implementation is timed in alternation with this one, under the same load of the machine.
COMMAND must read a line from standard input, run one evaluation of the same size, print {"seconds": x} in one
line, and so on until the input ends.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stvg_jax.core.config import build, load_config_file
from stvg_jax.core.registry import FAMILIES, build_config, get_family
from stvg_jax.core.tree import unflatten
from stvg_jax.data_pipeline.frame_rules import Amount, get_frame_rule
from stvg_jax.family import Family
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.grounding.types import GroundingBatch
from stvg_jax.models.loading import DTYPES
from stvg_jax.nn.declare import PureModule, initialize
from stvg_jax.runtime.compilation import compiler_options


def matmul_rate(dtype, size: int = 4096) -> float:
    """FLOP/s of a large square matrix product in this dtype, the rate that the chip reaches in practice."""
    x = jnp.ones((size, size), dtype)
    with jax.default_matmul_precision("highest"):
        product = jax.jit(lambda a: a @ a, compiler_options=compiler_options()).lower(x).compile()
    product(x).block_until_ready()
    best = min(_seconds(lambda: product(x).block_until_ready()) for _ in range(5))
    return 2 * size**3 / best


def _seconds(work, clock=time.perf_counter) -> float:
    start = clock()
    work()
    return clock() - start


@dataclasses.dataclass(frozen=True)
class System:
    """A family with its released model of HC-STVG v1."""

    family: Family
    config: Any
    clip: ClipConfig

    @classmethod
    def load(cls, name: str, overrides: Sequence[str]) -> System:
        config = load_config_file(Path(f"{name}_hcstvg1"), overrides=overrides)
        model = build_config(config["name"], config["model"])
        return cls(get_family(config["name"]), model, build(ClipConfig, config["clip"], "config.clip"))

    @property
    def frames(self) -> int:
        """Frames of a row."""
        amount = Amount(self.clip.frames_per_pass, self.clip.sample_fps)
        return get_frame_rule(self.clip.sampling).usual_frames(amount)

    def module(self, dtype, resolution: int | None = None) -> PureModule:
        """The model with step sizes for pictures of this resolution; without loops for None."""
        config = self.config
        if resolution is not None:
            config = self.family.fit(config, dataclasses.replace(self.clip, resolution=resolution))
        return PureModule(self.family.model(config, dtype=dtype))


def count_flops(module: PureModule, args) -> float:
    """FLOPs by XLA's cost analysis of the program without loops, as the analysis counts the body of a loop once."""
    lowered = jax.jit(lambda p, f, i: module.apply(p, lambda m: m(_batch(f, i)))).lower(
        unflatten(module.declarations), *args
    )
    return lowered.cost_analysis()["flops"]


def _batch(frames, ids):
    return GroundingBatch(frames=frames, text_ids=ids)


def peak_memory_mb() -> float:
    """Peak memory of the device if it reports it, else of this process, in MB."""
    stats = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"] / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


class Other:
    """Another implementation, timed by its own clock."""

    def __init__(self, command: str):
        self._process = subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds(self) -> float:
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith("{") and "seconds" in line:
                return json.loads(line)["seconds"]
        raise SystemExit("the command given by --against ended without an answer")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def measure(
    system: System, args: argparse.Namespace, batch: int, size: tuple[int, int], dtype: str, parameters, peak: float
) -> dict:
    """Measures one row of the table."""
    module = system.module(DTYPES[dtype], size[0])
    rng = np.random.default_rng(0)
    inputs = (
        jax.device_put(rng.standard_normal((batch, args.frames, *size, 3), np.float32)),
        jax.device_put(rng.integers(4, 50_000, (batch, args.tokens)).astype(np.int32)),
    )
    function = jax.jit(lambda p, f, i: module.apply(p, lambda m: m(_batch(f, i))), compiler_options=compiler_options())
    with jax.default_matmul_precision("highest"):
        start = time.perf_counter()
        compiled = function.lower(parameters, *inputs).compile()
        compile_seconds = time.perf_counter() - start
    run = lambda: jax.block_until_ready(compiled(parameters, *inputs))  # noqa: E731
    other = Other(args.against) if args.against else None
    for _ in range(args.warmup):
        run()
        if other:
            other.seconds()
    ours, theirs = [], []
    for repeat in range(args.repeats):
        ours.append(_seconds(run, time.process_time if args.cpu_time else time.perf_counter))
        if other:
            theirs.append(other.seconds())
        print(
            f"  repeat {repeat + 1}: {ours[-1]:.3f} s" + (f", other {theirs[-1]:.3f} s" if other else ""),
            file=sys.stderr,
        )
    if other:
        other.close()
    seconds, flops = statistics.median(ours), count_flops(system.module(DTYPES[dtype]), inputs)
    row = {
        "family": args.family,
        "rows": batch,
        "frames": args.frames,
        "height": size[0],
        "width": size[1],
        "dtype": dtype,
        "seconds": seconds,
        "seconds_per_row": seconds / batch,
        "all_seconds": ours,
        "compile_seconds": compile_seconds,
        "peak_memory_mb": peak_memory_mb(),
        "tflop": flops / 1e12,
        "gflop_per_second": flops / seconds / 1e9,
        "of_matmul_rate": flops / seconds / peak,
    }
    if other:
        row |= {
            "other_all_seconds": theirs,
            "ratio": statistics.median(o / t for o, t in zip(ours, theirs, strict=True)),
        }
    return row


def print_table(rows: list[dict], device: str) -> None:
    columns = {
        "rows": "rows",
        "size": "size",
        "dtype": "dtype",
        "seconds": "s",
        "per row": "s/row",
        "compile": "compile s",
        "memory": "peak MB",
        "TFLOP": "TFLOP",
        "rate": "GFLOP/s",
        "share": "of matmul",
        "ratio": "ratio",
    }
    print(f"\n{rows[0]['family']} on {device}, {rows[0]['frames']} frames a row")
    print("  ".join(f"{title:>10}" for title in columns.values()))
    for r in rows:
        cells = [
            str(r["rows"]), f"{r['height']}x{r['width']}", r["dtype"], f"{r['seconds']:.3f}",
            f"{r['seconds_per_row']:.3f}", f"{r['compile_seconds']:.1f}", f"{r['peak_memory_mb']:.0f}",
            f"{r['tflop']:.2f}", f"{r['gflop_per_second']:.0f}", f"{r['of_matmul_rate']:.0%}",
            f"{r['ratio']:.2f}" if "ratio" in r else "-",
        ]  # fmt: skip
        print("  ".join(f"{cell:>10}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    families = [name for name in FAMILIES if get_family(name).evaluator is not None]
    parser.add_argument("--family", choices=families, default="ta_stvg", help="the system (%(default)s)")
    parser.add_argument("--frames", type=int, help="of each row (those of a clip of 20 seconds)")
    parser.add_argument("--sizes", nargs="+", default=["224x313"], metavar="HxW", help="(%(default)s)")
    parser.add_argument("--rows", nargs="+", type=int, help="batch sizes (that of one clip, a row for each pass)")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=["float32"])
    parser.add_argument("--tokens", type=int, default=20, help="of the sentence (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs (%(default)s)")
    parser.add_argument("--warmup", type=int, default=1, help="runs before them (%(default)s)")
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="count seconds of CPU, on a machine with other work; COMMAND must do the same (run both on one core, as "
        "threads that wait for each other count too)",
    )
    parser.add_argument("--against", metavar="COMMAND", help="another implementation to alternate with; see above")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    args, overrides = parser.parse_known_args()
    system = System.load(args.family, overrides)
    args.frames = args.frames or system.frames
    args.rows = args.rows or [system.family.protocol.rows]
    declared = system.module(np.float32).declarations
    parameters = jax.device_put(initialize(unflatten(declared), seed=0))
    device = f"{jax.devices()[0].device_kind} ({jax.default_backend()})"
    rows = []
    for dtype in args.dtypes:
        peak = matmul_rate(DTYPES[dtype])
        print(f"{device}: {peak / 1e9:.0f} GFLOP/s in a {dtype} matrix product", file=sys.stderr)
        for size in args.sizes:
            height, width = map(int, size.split("x"))
            rows += [measure(system, args, n, (height, width), dtype, parameters, peak) for n in args.rows]
    print_table(rows, device)
    text = json.dumps({"device": device, "jax": jax.__version__, "rows": rows})
    print(text)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
