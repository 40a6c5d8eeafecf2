"""Opening a checkpoint of any supported container."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

from stvg_jax.convert.readers.safetensors import read_safetensors
from stvg_jax.convert.readers.sharded import check_shard, is_index, read_index, resolve
from stvg_jax.convert.readers.tensors import FileSource, TensorRef
from stvg_jax.convert.readers.torch_files import LEGACY_MAGICS, ZIP_MAGICS, read_torch_legacy, read_torch_zip
from stvg_jax.core.errors import InputError, quoted

ACCEPTED = "a checkpoint written by torch.save (.pth, .pt, .bin) or a .safetensors file"
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
    """An open checkpoint. Its tensors are lazy: close it (or use `with`) after they have been read.

    Attributes:
        path: the file, or the index of several.
        container: "torch-zip", "torch-legacy" or "safetensors", and the number of parts.
        tree: the content: dict, list, tuple, str, bytes, int, float, bool, None, `TensorRef` and `Opaque`, nested.
            Subclasses of dict in `collections` are plain dicts, numpy numbers are Python numbers, numpy arrays and
            bare storages are `TensorRef`s. For safetensors a dict of `TensorRef` by name.
    """

    path: Path
    container: str
    tree: Any
    _sources: tuple[FileSource, ...] = dataclasses.field(repr=False)

    @property
    def files(self) -> list[Path]:
        """All files of the checkpoint, the one at `path` first."""
        return list(dict.fromkeys((self.path, *(source.path for source in self._sources))))

    def close(self) -> None:
        """Closes the files; tensors cannot be read any more."""
        for source in self._sources:
            source.close()

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Opens a checkpoint without running anything in it. The container is recognised by the content, not by the name.

    Of a checkpoint in several parts, `path` is the index, one of the parts, or the folder. Only the description of the
    contents is read; tensors stay in the file until `TensorRef.read`.

    Raises:
        InputError: the file is missing, not a checkpoint, cut short, damaged, or made to run code when opened.
    """
    path = resolve(Path(path))
    if is_index(path):
        return _open_shards(path)
    source = FileSource(path)
    try:
        container = _container(source)
        return Checkpoint(path, container, _READERS[container](source), (source,))
    except BaseException:
        source.close()
        raise


def _open_shards(index: Path) -> Checkpoint:
    """Several files as one state dict."""
    with contextlib.ExitStack() as stack:
        tensors: dict[str, TensorRef] = {}
        sources, containers = [], {}
        for path, listed in read_index(index).items():
            source = FileSource(path)
            stack.callback(source.close)
            sources.append(source)
            container = _container(source)
            containers[container] = None
            tree = _READERS[container](source)
            if not isinstance(tree, dict) or not all(isinstance(value, TensorRef) for value in tree.values()):
                raise InputError(f"{path} is not a part of a state dict: it holds more than tensors by name")
            check_shard(path, tree, listed)
            tensors |= tree
        stack.pop_all()
    return Checkpoint(index, f"{', '.join(containers)} in {len(sources)} parts", tensors, tuple(sources))


def sha256(path: str | os.PathLike) -> str:
    """SHA-256 of a file as 64 hex digits.

    Raises:
        InputError: the file is missing or no file.
    """
    source = FileSource(Path(path))
    digest, done, chunk = hashlib.sha256(), 0, 2**22
    try:
        while done < source.size:
            data = source.read_array(done, min(chunk, source.size - done))
            digest.update(data.data)
            done += len(data)
    finally:
        source.close()
    return digest.hexdigest()


def _container(source: FileSource) -> str:
    head = source.read(0, min(source.size, _HEAD_BYTES))
    if head.startswith(ZIP_MAGICS):
        return "torch-zip"
    if head.startswith(LEGACY_MAGICS):
        return "torch-legacy"
    if len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**40:
        return "safetensors"
    raise InputError(f"{source.path} is {_describe(source, head)}; give {ACCEPTED}")


def _describe(source: FileSource, head: bytes) -> str:
    """A guess at the kind of a file that is not a checkpoint."""
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
        return f"a text file that starts with {quoted(head[:40].decode('ascii'))}"
    return f"a file of unknown kind that starts with the bytes {head[:8].hex(' ')}"
