"""Checkpoints of the catalogue: fetched from their authors and converted at first use."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from stvg_jax.core import hub
from stvg_jax.core.config import load_config_file
from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import Bar, Progress, size_text
from stvg_jax.models.catalogue import CATALOGUE, Record
from stvg_jax.models.keeping import (
    changed,
    fetching_folder,
    folder_of,
    is_here,
    locked,
    read_note,
    remove_unfinished,
    write_note,
)

_TOKENIZER = "FacebookAI/roberta-base"


class _Released(NamedTuple):
    """A released file on this machine, its revision, and its SHA-256 as the hub states it."""

    path: Path
    revision: str | None = None
    stated: str | None = None


def fetch(record: Record, progress: Progress, *, given: Path | None = None, backbone: Path | None = None) -> Path:
    """Folder of a checkpoint of the catalogue, made at first use.

    Several processes may ask at the same time; one works and the others wait. An interrupted fetch is continued.

    Args:
        record: a record of the catalogue that has a file.
        progress: shows the work.
        given: the released file, if it is on this machine already. It stays as it is.
        backbone: the file of its frozen backbone, likewise.

    Raises:
        InputError: the file cannot be fetched, is not the one that is known, or cannot be converted; or there is no
            room.
    """
    if not is_here(record.name):
        with locked(record.name):
            if not is_here(record.name):
                remove_unfinished(record.name)
                _make(record, progress, given, backbone)
    return folder_of(record.name)


def _make(record: Record, progress: Progress, given: Path | None, backbone: Path | None) -> None:
    if not record.backbone and backbone is not None:
        raise InputError(f"{record.name} lacks no backbone; leave out --backbone {backbone}")
    released, digest = _get(record, progress, given)
    if not record.backbone:
        _convert(record, released, digest, progress)
        return
    other = CATALOGUE[record.backbone]
    with locked(other.name):
        beside, its_digest = _get(other, progress, backbone)
        _convert(record, released, digest, progress, backbone=beside.path)
        _note(other, beside, its_digest)
        shutil.rmtree(fetching_folder(other.name), ignore_errors=True)


def _convert(record: Record, released: _Released, digest: str, progress: Progress, **options: Any) -> None:
    """Converts a released file and notes it."""
    from stvg_jax.convert.convert_file import convert_file

    config = load_config_file(Path(record.config), record.overrides) if record.config else None
    needs_tokenizer = record.kind == "start" and record.tokenizer
    convert_file(
        released.path,
        folder_of(record.name),
        format=record.format,
        config=config,
        tokenizer=Path(_TOKENIZER) if needs_tokenizer else None,
        verify=True,
        progress=progress,
        **options,
    )
    _note(record, released, digest)


def _note(record: Record, released: _Released, digest: str) -> None:
    """Notes what was converted, not before: a file that cannot be converted is not the one to compare others with."""
    if record.sha256 is None and read_note(record.name) is None:
        write_note(record.name, record.source, digest, released.revision)
    shutil.rmtree(fetching_folder(record.name), ignore_errors=True)


def _get(record: Record, progress: Progress, given: Path | None) -> tuple[_Released, str]:
    """The released file and its SHA-256."""
    released = _Released(given) if given is not None else _find(record, progress)
    return released, _checked_digest(record, released, progress)


def _checked_digest(record: Record, released: _Released, progress: Progress) -> str:
    """SHA-256 of the file; InputError if it is not the one that is known."""
    from stvg_jax.convert.readers import sha256

    with progress.stage(f"checksum of {record.file}"):
        digest = sha256(released.path)
    try:
        if released.stated not in (None, digest):
            raise InputError(
                f"{record.source} arrived damaged: its SHA-256 is {digest}, and the hub has {released.stated}; start "
                "again"
            )
        _check_known(record, digest)
    except InputError:
        shutil.rmtree(fetching_folder(record.name), ignore_errors=True)
        raise
    return digest


def _check_known(record: Record, digest: str) -> None:
    """Raises InputError if a file with this SHA-256 is not the one of the catalogue, or of the first fetch."""
    if record.sha256 is not None:
        if record.sha256 != digest:
            raise InputError(
                f"{record.source} is another file: its SHA-256 is {digest}, and the catalogue of this library has "
                f"{record.sha256}; convert it with `stvg-jax convert` if you trust it"
            )
    elif (note := read_note(record.name)) is not None and note.sha256 != digest:
        raise changed(record.name, record.source, digest, note)


def _find(record: Record, progress: Progress) -> _Released:
    """The released file, out of the hub's local cache or fetched."""
    if record.repository is None and record.url is None:
        raise InputError(
            f"{record.name}: its authors' file has no fixed address; download it from {record.by_hand}, "
            f"{_by_hand(record)}"
        )
    if record.repository is None:
        remote = hub.Remote(str(record.url), record.file)
    elif cached := hub.cached_file(record.repository, record.file, record.revision):
        return _Released(cached, cached.parent.name)
    else:
        try:
            remote = hub.locate(record.repository, record.file, record.revision)
        except InputError as error:
            raise InputError(f"{record.name}: {error}; or get {record.file} elsewhere, {_by_hand(record)}") from error
    if remote.sha256 is not None:
        _check_known(record, remote.sha256)
    return _Released(_download(record, remote, progress), remote.revision, remote.sha256)


def _by_hand(record: Record) -> str:
    return f"and then: stvg-jax checkpoints {record.name} --file {record.file}"


def _download(record: Record, remote: hub.Remote, progress: Progress) -> Path:
    # What is left of another version is not continued.
    folder = fetching_folder(record.name) / (remote.sha256 or "file")
    path, partial = folder / record.file, folder / f"{record.file}.partial"
    if path.exists():
        return path
    if not folder.is_dir():
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.mkdir(parents=True)
    size = remote.size or record.size
    _check_space(record, partial, size)
    title = f"fetching {record.file}" + (f", {size_text(size)}" if size else "")
    with progress.bar(title, max(round(size / 1e6), 1), "megabyte") as bar:
        hub.download(remote, partial, step=_megabytes(bar))
    return partial.rename(path)


def _megabytes(bar: Bar) -> Callable[[int], Any]:
    """A function that takes bytes and reports whole megabytes."""
    done = reported = 0

    def step(size: int) -> None:
        nonlocal done, reported
        done += size
        if new := int(done / 1e6) - reported:
            bar(new)
            reported += new

    return step


def _check_space(record: Record, partial: Path, size: int) -> None:
    """Raises InputError unless the rest of the file and the converted checkpoint have room."""
    here = partial.stat().st_size if partial.exists() else 0
    # Released files of models hold their weights twice.
    needed = size - here + (size // 2 if record.kind == "model" else size)
    free = shutil.disk_usage(partial.parent).free
    if free < needed:
        raise InputError(
            f"{record.name} needs {size_text(needed)} in {partial.parents[2]}, which has {size_text(free)} left; make "
            "room, or set STVG_JAX_CACHE to a folder on another disk"
        )
