"""All figures of an accelerator in one call of at most 8 minutes, from a clone: `python -m benchmarks.accelerator`.

Parts, in this order; what the time does not suffice for is named in the result:

    device      rate of large matrix products, rate of copies to the device and back
    goldens     the tests of the full-size TA-STVG against the numbers of the released code, with its bounds in float32
                and bfloat16; they need `pip install '.[dev]'`
    forward     an evaluation at 224x313 and 420x588 with 1 to 16 rows (`benchmarks.forward`)
    train       a training step of 64 frames of 420x588, with as many videos as fit (`benchmarks.train_step`)
    attention   `jax.nn.dot_product_attention`, by cuDNN and by XLA, against the attention of this library
    families    the forward pass of the other systems

Each part is a process of its own, so that its peak of memory is its own and a failure costs nothing else. --small uses
sizes for a CPU, to try the script before a machine is rented. With --against COMMAND, as of `benchmarks.forward`, the
forward pass alternates with another implementation, such as the released code where PyTorch with CUDA is installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

GOLDENS = ["pytest", "tests/grounding/test_goldens.py", "-m", "slow or not slow", "-k", "evaluation or bfloat16", "-rN"]
# Seconds for each part at most, of eight minutes; a part also ends when all of the time is over.
PARTS = {"device": 60, "goldens": 180, "forward": 200, "train": 200, "attention": 60, "families": 200}


def device_part(small: bool) -> dict[str, Any]:
    """Kind, memory, rates of products in FLOP/s and of copies in bytes/s."""
    import jax
    import numpy as np

    from benchmarks.forward import matmul_rate
    from stvg_jax.models.loading import DTYPES

    device = jax.devices()[0]
    pixels = np.ones((1 if small else 16, 64, 420, 588, 3), np.float32)
    on_device = jax.block_until_ready(jax.device_put(pixels))
    return {
        "device": f"{device.device_kind} ({jax.default_backend()})",
        "devices": jax.device_count(),
        "memory_gb": (device.memory_stats() or {}).get("bytes_limit", 0) / 1e9,
        "jax": jax.__version__,
        "product": {name: matmul_rate(dtype, 1024 if small else 8192) for name, dtype in DTYPES.items()},
        "to_device": pixels.nbytes / best(lambda: jax.block_until_ready(jax.device_put(pixels))),
        # A copy of another array each time, as JAX keeps what it has copied.
        "from_device": pixels.nbytes / best(lambda: np.asarray(on_device + 0)),
    }


def attention_part(small: bool) -> list[dict[str, Any]]:
    """Seconds of self-attention in bfloat16, forward and with gradients, for the sizes of the encoder and of Swin."""
    import jax
    import jax.numpy as jnp

    from stvg_jax.nn.attention import attention_weights, mix_values

    def ours(q, k, v):
        scores = jnp.einsum("...qhc,...khc->...hqk", q * q.shape[-1] ** -0.5, k)
        return mix_values(attention_weights(scores, None), v).reshape(q.shape)

    def theirs(implementation: str | None) -> Callable:
        return lambda q, k, v: jax.nn.dot_product_attention(q, k, v, implementation=implementation)

    ways = {"ours": ours, "xla": theirs("xla"), "cudnn": theirs("cudnn")}
    sizes = {"encoder": (64, 293, 8, 32), "Swin, first stage": (4096, 392, 3, 32), "frames": (256, 64, 8, 32)}
    rows = []
    for part, (batch, tokens, heads, channels) in sizes.items():
        shape = (2 if small else batch, tokens, heads, channels)
        inputs = [jax.random.normal(jax.random.key(i), shape, jnp.bfloat16) for i in range(3)]
        for name, way in ways.items():
            gradient = jax.grad(lambda *inputs, way=way: way(*inputs).sum().astype(jnp.float32), (0, 1, 2))
            rows.append(
                {
                    **{"part": part, "shape": shape, "way": name},
                    **{"forward": seconds_of(way, inputs), "gradient": seconds_of(gradient, inputs)},
                }
            )
    return rows


def seconds_of(function: Callable, inputs: Sequence[Any]) -> float | str:
    """Seconds of a call of a compiled function, or why there are none: cuDNN takes some sizes on some machines only."""
    import jax

    try:
        compiled = jax.jit(function).lower(*inputs).compile()
        return best(lambda: jax.block_until_ready(compiled(*inputs)))
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"


def best(work: Callable[[], Any], times: int = 5) -> float:
    """Seconds of the fastest of some calls, after one that does not count."""
    work()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


OWN = {"device": device_part, "attention": attention_part}


def forward_commands(family: str, small: bool, against: str | None) -> Iterator[list[str]]:
    """`benchmarks.forward` for each type and size: rows that do not fit end a process, and smaller ones came before."""
    sizes, rows = (["96x128"], ["1", "2"]) if small else (["224x313", "420x588"], ["1", "2", "8", "16"])
    for dtype in ("bfloat16", "float32"):
        for size in sizes:
            command = ["benchmarks.forward", "--family", family, "--dtypes", dtype, "--sizes", size, "--rows", *rows]
            command += ["--frames", "4"] if small else []
            yield [*command, *(["--against", against] if against and dtype == "float32" else [])]


def train_commands(small: bool) -> Iterator[list[str]]:
    """`benchmarks.train_step` with fewer videos each time, until they fit."""
    frames, width = ("4", "96") if small else ("64", "588")
    resolution = ["--config.clip.resolution=64"] if small else []
    for videos in (1,) if small else (16, 12, 8, 6, 4, 2, 1):
        yield [
            *("benchmarks.train_step", "ta_stvg_hcstvg1", "--batch-size", str(videos), "--frames", frames),
            *("--width", width, "--steps", "3", *resolution),
        ]


class Clock:
    """Time that is left of all, and of a part."""

    def __init__(self, minutes: float):
        self._end = time.monotonic() + 60 * minutes

    def left(self, most: float) -> float:
        return min(most, self._end - time.monotonic())


def run(command: Sequence[str], seconds: float, log: Path) -> list[Any]:
    """JSON values in the output of `python -m COMMAND`; what it says goes into a file, and its end into the error.

    Raises:
        RuntimeError: it failed, or took too long.
    """
    if seconds <= 0:
        raise RuntimeError("no time was left")
    try:
        done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"took longer than {seconds:.0f} s") from None
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ python -m {' '.join(command)}\n{done.stdout}{done.stderr}\n")
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        told = next((line for line in reversed(lines) if "RESOURCE_EXHAUSTED" in line), lines[-1] if lines else "")
        raise RuntimeError(told[:300])
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("{", "["))]


def measure(part: str, args: argparse.Namespace, clock: Clock, log: Path) -> Any:
    """The result of one part; errors are results too."""
    limit = time.monotonic() + PARTS[part] * args.minutes / 8
    left = lambda: clock.left(limit - time.monotonic())  # noqa: E731
    small = ["--small"] if args.small else []
    if part in OWN:
        return run(["benchmarks.accelerator", "--part", part, *small], left(), log)[-1]
    if part == "goldens":
        run(GOLDENS, left(), log)
        return "passed"
    if part == "train":
        for command in train_commands(args.small):
            try:
                return run(command, left(), log)[-1]
            except RuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
        raise RuntimeError("not one video fits")
    rows, errors = [], []
    families = ["ta_stvg"] if part == "forward" else ["cg_stvg", "stcat", "tubedetr"]
    for family in families:
        for command in forward_commands(family, args.small, args.against if part == "forward" else None):
            try:
                rows += run(command, left(), log)[-1]["rows"]
            except RuntimeError as error:
                errors.append(f"{' '.join(command[1:])}: {error}")
    return {"rows": rows, "errors": errors}


def table(results: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [f"# {results.get('device', {}).get('device', 'unknown device')}", ""]
    for part in ("device", "goldens", "train"):
        lines += [f"- {part}: {json.dumps(results.get(part, 'not run'))}"]
    heads = ("family", "dtype", "size", "rows", "seconds", "s/row", "compile s", "peak MB", "of product", "ratio")
    lines += ["", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for part in ("forward", "families"):
        for row in results.get(part, {}).get("rows", ()):
            cells = [row["family"], row["dtype"], f"{row['height']}x{row['width']}", row["rows"]]
            cells += [f"{row['seconds']:.4f}", f"{row['seconds_per_row']:.4f}", f"{row['compile_seconds']:.1f}"]
            cells += [f"{row['peak_memory_mb']:.0f}", f"{row['of_matmul_rate']:.0%}"]
            cells += [f"{row['ratio']:.2f}" if "ratio" in row else ""]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    if isinstance(attention := results.get("attention"), list):
        lines += ["", "| attention | way | forward | gradient |", "|---|---|---|---|"]
        for row in attention:
            times = [f"{t * 1e3:.3f} ms" if isinstance(t, float) else t for t in (row["forward"], row["gradient"])]
            lines.append(f"| {row['part']} {row['shape']} | {row['way']} | {' | '.join(times)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("accelerator"), help="folder for results (%(default)s)")
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything (%(default)s)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="(all)")
    parser.add_argument("--small", action="store_true", help="sizes for a CPU")
    parser.add_argument("--against", metavar="COMMAND", help="another implementation; see above")
    parser.add_argument("--part", choices=OWN, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part:
        print(json.dumps(OWN[args.part](args.small)))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    clock, results = Clock(args.minutes), {}
    for part in args.parts:
        start = time.monotonic()
        try:
            results[part] = measure(part, args, clock, args.out / "log.txt")
        except RuntimeError as error:
            results[part] = {"error": str(error)}
        print(f"{part}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        # Kept after every part, as a rented machine may end at any time.
        (args.out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (args.out / "table.md").write_text(table(results), encoding="utf-8")
    print((args.out / "table.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
