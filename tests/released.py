"""Stand-ins for released checkpoints: the names and shapes of the real ones, values by rule.

The golden numbers in `goldens/` were computed by the released PyTorch systems after every floating-point entry of
their state dicts had been set to `weight(name, shape)`, with computed tables left as they are.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stvg_jax.convert import convert_state_dict
from stvg_jax.convert.rules import Format

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


def converted(tensors: Mapping[str, np.ndarray], format: str, config: Any = None) -> dict[str, jax.Array]:
    """Tensors through the converter, and then once on the device instead of for every call."""
    arrays = convert_state_dict(tensors, format=format, config=config)
    return {path: jnp.asarray(arrays.pop(path)) for path in list(arrays)}


def parameters(system: str, format: str) -> dict[str, jax.Array]:
    """The stand-in for a released checkpoint, 0.7 to 0.9 GB."""
    return converted(state_dict(system), format)


def blank_state_dict(system: str = "tastvg") -> dict[str, np.ndarray]:
    """The same names and shapes, all zero and without memory of their own."""
    return {name: np.broadcast_to(np.zeros((), dtype), shape) for name, (shape, dtype) in manifest(system).items()}


def state_dict_for(
    declared: Mapping[str, Any], fmt: Format, names: Iterable[str], *, patch_frames: int = 1
) -> dict[str, np.ndarray]:
    """A stand-in state dict for a model of any size.

    Args:
        declared: path -> declared parameter of the model.
        fmt: the format whose names these are.
        names: of a full-size state dict; those of layers that the model lacks are left out.
        patch_frames: frames that the video's patch kernel spans.

    Returns:
        Name -> float32 array; tensors that the format drops have one value.
    """
    out = {}
    for name in names:
        if any(re.fullmatch(pattern, name) for pattern, _ in fmt.dropped):
            out[name] = np.zeros(1, np.float32)
            continue
        first = _first_name(name)
        ((rule, match),) = [(r, m) for r in fmt.rules if (m := re.fullmatch(r.source, first))]
        targets = [match.expand(target) for target in rule.targets]
        if all(target in declared for target in targets):
            shapes = [tuple(declared[target].shape) for target in targets]
            out[name] = weight(first, _source_shape(name, shapes, patch_frames))
    return out


# Tables, whose axes PyTorch has in the same order.
_BARE = ("embeddings.weight", "bias_table", "_cls.weight", "_embed.weight")


def _source_shape(name: str, shapes: list[tuple[int, ...]], patch_frames: int) -> tuple[int, ...]:
    """The shape of the tensor that parameters of these shapes are made of, by what PyTorch's layers hold."""
    shape = shapes[0]
    if name.endswith(("in_proj_weight", "in_proj_bias")):
        return (3 * shape[-1], *shape[:-1])
    if name.endswith("patch_embed.proj.weight"):
        side = math.isqrt(shape[0] // 3)
        return (shape[1], 3, patch_frames, side, side)
    if len(shape) == 4:
        height, width, features_in, features_out = shape
        return (features_out, features_in, height, width)
    if len(shape) == 2 and not name.endswith(_BARE):
        return (*shape[::-1], 1, 1) if "input_proj" in name else shape[::-1]
    return shape
