"""Stand-ins for released checkpoints: the names and shapes of the real ones, values by rule.

The golden numbers in `goldens/` were computed by the released PyTorch systems after every floating-point entry of
their state dicts had been set to `weight(name, shape)`, with computed tables left as they are.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np

GOLDENS = Path(__file__).parent / "goldens"

# A module that the reference registers under two names has one value, that of the left-hand name.
TIED = {
    "bbox_embed.": "ground_decoder.decoder.bbox_embed.",
    "action_embed.": "ground_decoder.time_embed2.",
}


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 array drawn from a generator seeded by the name; scales near 1, matrices with unit gain."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    count = int(np.prod(shape)) if shape else 1
    last = name.split(".")[-1]
    if last == "running_var":
        values = 1.0 + 0.1 * rng.random(count)
    elif last == "running_mean":
        values = 0.05 * rng.standard_normal(count)
    elif last == "weight" and len(shape) == 1:
        values = 1.0 + 0.1 * rng.standard_normal(count)
    elif len(shape) <= 1:
        values = 0.05 * rng.standard_normal(count)
    else:
        values = rng.standard_normal(count) * (1.0 / np.sqrt(int(np.prod(shape[1:]))))
        if "embeddings" in name:
            values = 0.5 * rng.standard_normal(count)
        if "relative_position_bias_table" in name:
            values = 0.2 * rng.standard_normal(count)
    return values.reshape(shape).astype(np.float32)


def manifest(system: str = "tastvg") -> dict[str, tuple[tuple[int, ...], str]]:
    """Tensor name -> (shape, dtype) of a released state dict."""
    entries = json.loads((GOLDENS / f"{system}_manifest.json").read_text())["state_dict"]
    return {name: (tuple(shape), dtype) for name, (shape, dtype) in entries.items()}


def _first_name(name: str) -> str:
    for first, second in TIED.items():
        if name.startswith(second):
            return first + name.removeprefix(second)
    return name


def is_computed(name: str) -> bool:
    return name.endswith((".te", "relative_position_index"))


def state_dict(system: str = "tastvg") -> dict[str, np.ndarray]:
    """A whole released state dict with stand-in values."""
    return {
        name: np.zeros(shape, dtype) if is_computed(name) else weight(_first_name(name), shape)
        for name, (shape, dtype) in manifest(system).items()
    }


def blank_state_dict(system: str = "tastvg") -> dict[str, np.ndarray]:
    """The same names and shapes, all zero and without memory of their own."""
    return {name: np.broadcast_to(np.zeros((), dtype), shape) for name, (shape, dtype) in manifest(system).items()}
