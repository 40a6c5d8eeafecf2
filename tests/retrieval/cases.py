"""The golden cases of retrieval: stand-in weights, inputs drawn as documented, and comparison with the recorded."""

from __future__ import annotations

import dataclasses
import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from flax import nnx

from stvg_jax.convert.formats.stgt import FORMAT
from stvg_jax.convert.renaming import rename
from stvg_jax.convert.rules import Format
from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule
from tests import released
from tests.released import GOLDENS

Shapes = Mapping[str, tuple[int, ...]]

# Entries that are louder or quieter than those of other systems; the first pattern that matches decides.
_STANDARD_DEVIATIONS = (
    (r"(.*\.)?(cls_token|pos_embed|time_embed|pos_2D_embed|query_tokens)", 0.3),
    (r".*embeddings\.word_embeddings\.weight", 0.1),
    (r".*embeddings\.(position|token_type)_embeddings\.weight", 0.05),
)


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """float32 array drawn from a generator seeded by the name."""
    if name == "temp":
        return np.array(0.07, np.float32)
    for pattern, std in _STANDARD_DEVIATIONS:
        if re.fullmatch(pattern, name):
            values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(int(np.prod(shape)))
            return (std * values).reshape(shape).astype(np.float32)
    return released.weight(name, shape)


def shapes(part: str = "state_dict", system: str = "stgt") -> dict[str, tuple[int, ...]]:
    """Tensor name -> shape of a system's released state dict, or, for another part, of a small model's; without
    counters and second names."""
    manifest = json.loads((GOLDENS / f"{system}_manifest.json").read_text())
    entries, tied = manifest[part].items(), manifest.get("tied", {})
    return {name: tuple(shape) for name, (shape, dtype) in entries if dtype == "float32" and name not in tied}


def parameters(wanted: Shapes, prefix: str = "", form: Format = FORMAT) -> dict[str, np.ndarray]:
    """Parameters, by path, that the converter makes of the stand-ins for the names that begin with `prefix`."""
    tensors = {name: weight(name, shape) for name, shape in wanted.items() if name.startswith(prefix)}
    converted = rename(tensors, form)
    assert not converted.problems
    return converted.parameters


def run(module: nnx.Module, parameters: Mapping[str, np.ndarray], call: Callable[..., Any], *args: Any) -> Any:
    """`call(module, *args)` under jit, with these flat parameters, which are all that the module declares."""
    pure = PureModule(module)
    assert {path: p.shape for path, p in parameters.items()} == {p: d.shape for p, d in pure.declarations.items()}
    return jax.jit(lambda p, *a: pure.apply(p, lambda m: call(m, *a)))(unflatten(parameters), *args)


def within(parameters: Mapping[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    """The parameters of a part of a model, by their paths in that part."""
    return {path.removeprefix(f"{part}/"): p for path, p in parameters.items() if path.startswith(f"{part}/")}


@dataclasses.dataclass(frozen=True)
class Case:
    """One golden file: what was computed, by name, and its description."""

    golden: dict[str, np.ndarray]
    meta: dict[str, Any]

    def difference(self, name: str, ours: Any, rows: int | None = None) -> float:
        """Largest difference of an array and the recorded one, of which the file may hold a sample, by the recorded
        one's largest value; of its first `rows`, or of all."""
        key = next(key for key in self.golden if key == name or key.startswith(f"{name}["))
        theirs, ours = (
            self.golden[key] if rows is None else self.golden[key][:rows],
            np.asarray(ours)[_index(key.removeprefix(name))],
        )
        assert ours.shape == theirs.shape, (name, ours.shape, theirs.shape)
        return float(np.abs(ours - theirs).max() / np.abs(theirs).max())

    def assert_close(self, tolerance: float, rows: int | None = None, **ours: Any) -> None:
        """Each array is the recorded one, or its first `rows`, within `tolerance` of its largest value; "__" stands for
        a dot."""
        differences = {name: self.difference(name.replace("__", "."), array, rows) for name, array in ours.items()}
        assert max(differences.values()) <= tolerance, differences


def gradients_by_source(
    wanted: Shapes, gradients: Mapping[str, np.ndarray], prefix: str = "", form: Format = FORMAT
) -> dict[str, np.ndarray]:
    """Gradients of parameters, by path, as those of the tensors that the parameters are made of, by name."""
    out = {}
    for name, shape in wanted.items():
        if not name.startswith(prefix):
            continue
        claim = form.claim(name)
        assert claim is not None
        rule, match = claim
        places = rule.transform(np.arange(int(np.prod(shape))).reshape(shape))
        flat = np.zeros(int(np.prod(shape)), np.float32)
        for target, place in zip(rule.targets, places, strict=True):
            flat[place.ravel()] = np.asarray(gradients[match.expand(target)]).ravel()
        out[name] = flat
    return out


def load(name: str) -> Case:
    """The case of a file in `tests/goldens`."""
    with np.load(GOLDENS / f"{name}.npz") as file:
        golden = {key: file[key] for key in file.files}
    return Case(golden, json.loads(str(golden.pop("meta"))))


def _index(text: str) -> Any:
    """The index that "[:, ::37]" means; "" and "[...]" mean everything."""
    if text in ("", "[...]"):
        return ...
    return tuple(slice(*(int(n) if n else None for n in part.split(":"))) for part in text.strip("[]").split(", "))


def mosaic(
    seed: int, videos: int, frames: int = 8, *, kinds: int = 6, amplitude: float = 1.0, noise: float = 0.1
) -> np.ndarray:
    """Videos float32 [videos, frames, 224, 224, 3]: 16 x 16 cells, each with one of `kinds` random patterns of its
    video, and noise; a frame repeats three quarters of the one before."""
    rng, cell, grid = np.random.default_rng(seed), 14, 16
    patterns = amplitude * rng.standard_normal((videos, kinds, 3, cell, cell))
    which = rng.integers(0, kinds, (videos, frames, grid, grid))
    keep = rng.random((videos, frames, grid, grid)) < 0.75
    for f in range(1, frames):
        which[:, f] = np.where(keep[:, f], which[:, f - 1], which[:, f])
    side = grid * cell
    out = np.empty((videos, frames, 3, side, side), np.float32)
    for v in range(videos):
        out[v] = patterns[v][which[v]].transpose(0, 3, 1, 4, 2, 5).reshape(frames, 3, side, side)
    out += noise * rng.standard_normal(out.shape)
    return np.ascontiguousarray(out.transpose(0, 1, 3, 4, 2)).astype(np.float32)


def clusters(
    seed: int,
    videos: int,
    frames: int,
    width: int,
    *,
    kinds: int,
    groups: int = 1,
    common: float = 0.0,
    spread: float = 0.1,
    scale: float = 1.0,
) -> np.ndarray:
    """Tokens float32 [videos, frames, 257, width] around `kinds` centres; those of a group have `common` times a
    direction in common."""
    rng, tokens = np.random.default_rng(seed), 257
    directions = rng.standard_normal((videos, groups, width))
    centres = rng.standard_normal((videos, kinds, width))
    which = rng.integers(0, kinds, (videos, frames, tokens))
    noise = rng.standard_normal((videos, frames, tokens, width))
    x = [centres[v][which[v]] + common * directions[v][which[v] % groups] for v in range(videos)]
    return (scale * (np.stack(x) + spread * noise)).astype(np.float32)


def normal(seed: int, *shape: int) -> np.ndarray:
    """Standard normal float32 array."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
