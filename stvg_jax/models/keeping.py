"""Checkpoints in the cache, and notes about the files that they were made of.

CACHE/checkpoints/NAME/              a checkpoint of the catalogue, converted
CACHE/checkpoints/NAME.source.json   SHA-256 and revision of what was fetched; stays when the folder is deleted
CACHE/checkpoints/NAME.fetching/     the released file while it is fetched and converted
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from stvg_jax.core import checkpoint
from stvg_jax.core.cache import cache_directory
from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.files import check_kinds, whole_file
from stvg_jax.core.json_files import read_json
from stvg_jax.core.locks import FolderLock, HeldElsewhere

_POLL_SEC = 0.5
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class Note:
    """Checksum and origin of a file or folder that was fetched before.

    Attributes:
        source: its place, for people.
        sha256: its SHA-256; of a folder, that of the list of its files with theirs.
        revision: the commit on the hub; "" if it was not fetched from there.
        noted: date and time of the first fetch.
    """

    source: str
    sha256: str
    revision: str
    noted: str


def folder_of(name: str) -> Path:
    """Folder of a checkpoint of the catalogue in the cache.

    Raises:
        InputError: there is no home folder.
    """
    cache = cache_directory()
    if cache is None:
        raise InputError("fetched checkpoints have no place: there is no home folder; set STVG_JAX_CACHE to a path")
    return cache / "checkpoints" / name


def note_path(name: str) -> Path:
    """File of the note about a checkpoint."""
    folder = folder_of(name)
    return folder.with_name(f"{folder.name}.source.json")


def fetching_folder(name: str) -> Path:
    """Folder of what is being fetched for a checkpoint."""
    folder = folder_of(name)
    return folder.with_name(f"{folder.name}.fetching")


def is_here(name: str) -> bool:
    """True if a checkpoint of the catalogue has been fetched and converted."""
    return cache_directory() is not None and checkpoint.is_checkpoint(folder_of(name))


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Keeps other processes from fetching a checkpoint of this name; waits for one that does.

    Raises:
        InputError: the cache cannot be written.
    """
    folder = folder_of(name)
    path = folder.with_name(f"{folder.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _wait_for(path, name)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or first_line(error)}; STVG_JAX_CACHE names another folder"
        ) from error
    with lock:
        yield


def _wait_for(path: Path, name: str) -> FolderLock:
    told = False
    while True:
        try:
            return FolderLock(path)
        except HeldElsewhere as holder:
            if not told:
                print(f"{name} is being fetched by {holder}: waiting", file=sys.stderr, flush=True)
            told = True
            time.sleep(_POLL_SEC)


def read_note(name: str) -> Note | None:
    """The note about a checkpoint; None if it was never fetched.

    Raises:
        InputError: the note is damaged.
    """
    path = note_path(name)
    if not path.exists():
        return None
    values = read_json(path)
    try:
        check_kinds(values, {field.name: str for field in dataclasses.fields(Note)})
        note = Note(**values)
        if not _SHA256.fullmatch(note.sha256):
            raise ValueError("its sha256 is none")
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({first_line(error)}); delete it to trust the file anew") from error
    return note


def write_note(name: str, source: str, sha256: str, revision: str | None) -> None:
    """Notes what was fetched, and shows it."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    note = Note(source, sha256, revision or "", now)
    with whole_file(note_path(name)) as file:
        file.write(json.dumps(dataclasses.asdict(note), indent=1) + "\n")
    at = f", revision {revision}" if revision else ""
    print(f"{source}: SHA-256 {sha256}{at}, noted in {note_path(name)}", file=sys.stderr)


def changed(name: str, source: str, found: str, note: Note) -> InputError:
    """Error about a file that is not the one that was fetched before."""
    at = f", revision {note.revision}," if note.revision else ""
    return InputError(
        f"{source} has changed: its SHA-256 is {found}, and was {note.sha256}{at} on {note.noted[:10]}; if you trust "
        f"the new one, delete {note_path(name)} and start again"
    )


def remove_unfinished(name: str) -> None:
    """Removes conversions of a checkpoint that a kill has left, while the name is locked."""
    folder = folder_of(name)
    for unfinished in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(unfinished, ignore_errors=True)


def remove(name: str) -> None:
    """Removes a checkpoint of the catalogue from the cache, and what is noted about it."""
    folder = folder_of(name)
    if folder.parent.is_dir():
        with locked(name):
            remove_unfinished(name)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(fetching_folder(name), ignore_errors=True)
            note_path(name).unlink(missing_ok=True)
