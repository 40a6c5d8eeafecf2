"""A state dict in several files, as transformers, accelerate and diffusers write it.

`model.safetensors.index.json` (or `pytorch_model.bin.index.json`) says which file beside it holds each tensor. The
index and the files must agree. A variant such as fp16 has its name in the names of its files: in
`model.safetensors.index.fp16.json` and `model.fp16-00001-of-00002.safetensors`, or, as older diffusers wrote it,
`model.safetensors.fp16.index.json` and `model-00001-of-00002.fp16.safetensors`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.json_files import parse_json

# Files of a folder, best first: in the order of transformers, then variants.
_USUAL = ("*.safetensors.index.json", "*.bin.index.json", "model.safetensors", "pytorch_model.bin")
_VARIANTS = (
    ("*.safetensors.index.*.json", "*.safetensors.*.index.json"),
    ("*.bin.index.*.json", "*.bin.*.index.json"),
    ("model.*.safetensors",),
    ("pytorch_model.*.bin",),
)
_INDEX = re.compile(r".+\.index(\.[\w-]+)?\.json")
_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<kind>(?:\.[\w-]+)?\.[A-Za-z]+)")
_MAX_INDEX_BYTES = 2**26
_MAX_SHARDS = 1_000
_MAX_NAMED = 3


def is_index(path: Path) -> bool:
    """True if the name of a file is that of an index."""
    return _INDEX.fullmatch(path.name) is not None and path.is_file()


def resolve(path: Path) -> Path:
    """The file to open for `path`: the index or the file of a folder, the index of a part, else `path` itself.

    Raises:
        InputError: the folder holds no checkpoint or several, or `path` is a part without an index.
    """
    if path.is_dir():
        return _in_folder(path)
    part = _PART.fullmatch(path.name)
    if part and path.is_file():
        names = _indexes_of(part)
        if index := next((path.with_name(name) for name in names if path.with_name(name).is_file()), None):
            return index
        if int(part["count"]) > 1:
            raise InputError(
                f"{path} is part {int(part['number'])} of {int(part['count'])}, and {quoted(names[0])}, which lists "
                "the other parts, is not beside it; fetch it and all parts"
            )
    return path


def _indexes_of(part: re.Match) -> list[str]:
    """The names that the index of a part may have, the likeliest first."""
    stem, kind = part["stem"], part["kind"]
    base, _, variant = stem.rpartition(".")
    if kind.count(".") == 2:
        _, variant, kind = kind.split(".")
        base, kind = stem, f".{kind}"
    plain = f"{stem}{kind}.index.json"
    if not base:
        return [plain]
    return [f"{base}{kind}.index.{variant}.json", f"{base}{kind}.{variant}.index.json", plain]


def _in_folder(folder: Path) -> Path:
    for patterns in (*((pattern,) for pattern in _USUAL), *_VARIANTS):
        found = sorted(
            {path for pattern in patterns for path in folder.glob(pattern) if not _PART.fullmatch(path.name)}
        )
        if len(found) > 1:
            names = ", ".join(quoted(path.name) for path in found[:_MAX_NAMED])
            raise InputError(f"{folder} holds several checkpoints: {names}; give one of these files")
        if found:
            return found[0]
    raise InputError(
        f"{folder} is a directory that holds none of {', '.join(_USUAL)}; give the file of the checkpoint (.pth, .pt, "
        ".bin or .safetensors)"
    )


def read_index(path: Path) -> dict[Path, set[str]]:
    """Names of the tensors that each file must hold.

    Raises:
        InputError: the index is damaged, names a file outside its folder or one that is missing, or leaves out a part.
    """
    shards = _shards(path)
    _check_complete(path, shards)
    return {path.with_name(file): names for file, names in sorted(shards.items())}


def shard_names(path: Path) -> list[str]:
    """The names of the files that an index lists; they need not be there yet.

    Raises:
        InputError: the index is damaged, or names a file outside its folder.
    """
    return sorted(_shards(path))


def _shards(path: Path) -> dict[str, set[str]]:
    """Names of the tensors that the index lists, by the name of the file."""
    weight_map = _weight_map(path)
    shards: dict[str, set[str]] = {}
    for name, file in weight_map.items():
        if type(file) is not str:
            raise InputError(f"{path} is damaged: the file of tensor {quoted(name)} is not text; download it again")
        shards.setdefault(file, set()).add(name)
    if not shards or len(shards) > _MAX_SHARDS:
        raise InputError(f"{path} lists {len(shards):,} files; from 1 to {_MAX_SHARDS:,} are readable")
    for file in shards:
        if not file or file in (".", "..") or re.search(r"[/\\:\x00-\x1f\x7f]", file) or len(file) > 255:
            raise InputError(f"{path} names the file {quoted(file)}; the parts of a checkpoint lie beside its index")
    return shards


def check_shard(path: Path, held: Collection[str], listed: set[str]) -> None:
    """Raises InputError unless a file holds exactly the tensors that the index lists for it."""
    if held_only := [name for name in held if name not in listed]:
        raise InputError(f"{path} holds {_named(held_only)}, which the index does not list there; fetch both again")
    if missing := sorted(listed.difference(held)):
        raise InputError(f"{path} lacks {_named(missing)}, which the index lists there; fetch both again")


def _weight_map(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    if size > _MAX_INDEX_BYTES:
        raise InputError(f"{path} has {size:,} bytes; an index has at most {_MAX_INDEX_BYTES:,}")
    try:
        index = parse_json(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path} is not a valid index: {quoted(str(error), 300)}; download it again") from error
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict):
        raise InputError(f"{path} is not the index of a checkpoint: it has no weight_map")
    return weight_map


def _check_complete(index: Path, shards: Collection[str]) -> None:
    """Raises InputError if a file is missing, or one of the same series is not in the index."""
    if missing := [name for name in shards if not index.with_name(name).is_file()]:
        raise InputError(f"{index} needs {_named(missing)}, which is not beside it; fetch all parts")
    parts = [part for name in shards if (part := _PART.fullmatch(name))]
    series = {(part["stem"], part["count"], part["kind"]) for part in parts}
    for path in index.parent.iterdir():
        part = _PART.fullmatch(path.name)
        if part and path.name not in shards and (part["stem"], part["count"], part["kind"]) in series:
            raise InputError(
                f"{path} is part {int(part['number'])} of {int(part['count'])}, but {quoted(index.name)} does not name "
                "it; the index and the parts are of different checkpoints"
            )
    for stem, count, kind in series:
        found = sum((part["stem"], part["count"], part["kind"]) == (stem, count, kind) for part in parts)
        if found != int(count):
            raise InputError(f"{index} names {found} of {int(count)} parts; fetch it again")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(quoted(name) for name in names[:_MAX_NAMED]) + more
