"""Opening a checkpoint of any supported container, and finding the weights in it."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convert.readers import torch_legacy, torch_zip
from convert.readers.pickles import MAX_DEPTH
from convert.readers.safetensors import read_safetensors
from convert.readers.tensors import FileSource, TensorRef
from convert.readers.torch_legacy import read_torch_legacy
from convert.readers.torch_zip import read_torch_zip
from stvg_jax.errors import InputError

ACCEPTED = "a checkpoint written by torch.save (.pth, .pt, .bin) or a .safetensors file"
MAX_NODES = 1_000_000  # visited while naming tensors; shared containers could otherwise be walked exponentially often
_STATE_DICT_DEPTH = 4
_HEAD_BYTES = 512

_READERS = {"torch-zip": read_torch_zip, "torch-legacy": read_torch_legacy, "safetensors": read_safetensors}
_OTHERS = (
    (b"version https://git-lfs", "a git-LFS pointer (fetch the real file with `git lfs pull`)"),
    (b"\x1f\x8b", "a gzip file (unpack it first)"),
    (b"BZh", "a bzip2 file (unpack it first)"),
    (b"\xfd7zXZ", "an xz file (unpack it first)"),
    (b"\x28\xb5\x2f\xfd", "a zstd file (unpack it first)"),
    (b"7z\xbc\xaf", "a 7-zip file (unpack it first)"),
    (b"Rar!", "a RAR file (unpack it first)"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a .npy file"),
    (b"\x80", "a plain pickle, not a file of torch.save"),
)


@dataclasses.dataclass
class Checkpoint:
    """An open checkpoint. Close it (or use `with`) when the tensors have been read; they are lazy.

    Attributes:
        path: the file.
        container: "torch-zip", "torch-legacy" or "safetensors".
        tree: the content: dict, list, tuple, str, bytes, int, float, bool, None, `TensorRef` and `Opaque`, nested.
            Subclasses of dict in `collections` are plain dicts, numpy numbers are Python numbers, numpy arrays and
            bare storages are `TensorRef`s. For safetensors a dict of `TensorRef` by name.
    """

    path: Path
    container: str
    tree: Any
    _source: FileSource = dataclasses.field(repr=False)

    def close(self) -> None:
        """Close the file; tensors that were not read yet cannot be read any more."""
        self._source.close()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Open a checkpoint without running anything in it; the container is decided by the content, not the name.

    Only the description of the contents is read; tensors stay in the file until `TensorRef.read`.

    Raises:
        InputError: no such file, not a checkpoint, cut short, damaged, or made to run code when opened.
    """
    path = Path(path)
    source = FileSource(path)
    try:
        container = _container(source)
        return Checkpoint(path, container, _READERS[container](source), source)
    except BaseException:
        source.close()
        raise


def flat_tensors(tree: Any) -> dict[str, TensorRef]:
    """The tensors of nested dicts by name, keys joined with ".", in the order of the file.

    A dict's own tensors come before those of the dicts in it. Anything that is neither a dict nor a tensor
    is left out, lists included.

    Raises:
        InputError: two tensors get the same name, or the dicts contain themselves.
    """
    found: dict[str, TensorRef] = {}
    for keys, node in _walk_dicts(tree, MAX_DEPTH):
        for key, value in node.items():
            if isinstance(value, TensorRef):
                name = ".".join(map(str, (*keys, key)))
                if name in found:
                    raise InputError(f"two tensors of the checkpoint are both named {name!r}")
                found[name] = value
    return found


def find_state_dicts(checkpoint: Checkpoint) -> dict[str, dict[str, TensorRef]]:
    """The dicts of a checkpoint that hold tensors directly, by their path ("" is the whole, else "model", "a/b").

    Values are the node's own tensors by name; its other entries are left out. Nodes below a key that is no text are
    not looked at (an optimizer keeps its tensors under numbers).

    Raises:
        InputError: the dicts contain themselves.
    """
    found = {}
    for keys, node in _walk_dicts(checkpoint.tree, _STATE_DICT_DEPTH):
        tensors = {k: v for k, v in node.items() if isinstance(v, TensorRef) and type(k) is str}
        if tensors and all(type(key) is str for key in keys):
            found["/".join(keys)] = tensors
    return found


def sha256(path: str | os.PathLike, progress: Callable[[int, int], None] | None = None) -> str:
    """SHA-256 of a file as 64 hex digits.

    Args:
        path: the file.
        progress: called with (bytes done, bytes in all), about every 4 MiB.

    Raises:
        InputError: the file is missing or no file.
    """
    source = FileSource(Path(path))
    digest, done, chunk = hashlib.sha256(), 0, 2**22
    try:
        while done < source.size:
            data = source.read_array(done, min(chunk, source.size - done))
            digest.update(data)
            done += len(data)
            if progress:
                progress(done, source.size)
    finally:
        source.close()
    return digest.hexdigest()


def _walk_dicts(tree: Any, max_depth: int):
    """(keys, dict) for every dict reached through dicts, parents first, in file order."""
    visited = 0
    pending = [((), tree)] if isinstance(tree, dict) else []
    while pending:
        keys, node = pending.pop()
        visited += 1
        if visited > MAX_NODES or len(keys) > MAX_DEPTH:
            raise InputError("the checkpoint's dicts contain themselves or are shared too often")
        yield keys, node
        if len(keys) < max_depth:
            below = [((*keys, key), value) for key, value in node.items() if isinstance(value, dict)]
            pending.extend(reversed(below))


def _container(source: FileSource) -> str:
    head = source.read(0, min(source.size, _HEAD_BYTES))
    if head.startswith(torch_zip.MAGICS):
        return "torch-zip"
    if head.startswith(torch_legacy.MAGICS):
        return "torch-legacy"
    if len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**40:
        return "safetensors"
    raise InputError(f"{source.path} is {_describe(source, head)}; accepted is {ACCEPTED}")


def _describe(source: FileSource, head: bytes) -> str:
    """What a file that is no checkpoint seems to be."""
    if not head:
        return "empty (0 bytes)"
    for magic, what in _OTHERS:
        if head.startswith(magic):
            return what
    if head[257:262] == b"ustar":
        return "a tar archive (unpack it first)"
    if not any(head):
        return f"{source.size:,} bytes that start with zeros, as after a failed download"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, as after a download that needed a login"
    if head.isascii() and all(byte >= 32 or byte in b"\t\n\r" for byte in head):
        return f"a text file that starts with {head[:40].decode('ascii')!r}"
    return f"a file of unknown kind that starts with the bytes {head[:8].hex(' ')}"
