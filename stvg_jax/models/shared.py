"""Converted checkpoints in repositories of the Hugging Face hub, by the names of these: `owner/name`."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from stvg_jax.core import checkpoint, hub
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.progress import Progress
from stvg_jax.models.keeping import changed, locked, read_note, write_note

SCHEME = "hf://"
_NAME = r"[A-Za-z0-9][\w.-]{0,95}"
_ADDRESS = re.compile(rf"(?P<repository>{_NAME}/{_NAME})(?:@(?P<revision>[\w./-]{{1,100}}))?", re.ASCII)
_DESCRIPTION = "checkpoint.json"
_PATTERNS = (
    _DESCRIPTION,
    checkpoint.CONVERSION,
    checkpoint.TRAINING,
    checkpoint.CALIBRATION,
    checkpoint.PARAMETERS_FILE,
    "parameters/*",
    f"{checkpoint.TOKENIZER}/tokenizer.json",
)


class Address(NamedTuple):
    """A repository of the hub, and its branch, tag or commit; None for the newest."""

    repository: str
    revision: str | None

    @property
    def name(self) -> str:
        """Name in the cache."""
        return "--".join(filter(None, (self.repository.replace("/", "--"), (self.revision or "").replace("/", "--"))))


def parse_address(text: str) -> Address | None:
    """Address in `owner/name`, `owner/name@revision` or the same behind hf://; None for anything else.

    Raises:
        InputError: what stands behind hf:// is none.
    """
    match = _ADDRESS.fullmatch(text.removeprefix(SCHEME))
    if match is None and text.startswith(SCHEME):
        raise InputError(f"{quoted(text)} names no repository; write {SCHEME}owner/name or {SCHEME}owner/name@revision")
    return None if match is None else Address(match["repository"], match["revision"])


def fetch_shared(address: Address, progress: Progress) -> Path:
    """Folder of a checkpoint of the hub, in the hub's local cache; fetched and verified at first use.

    Raises:
        InputError: it cannot be fetched, is no checkpoint of this library, or is not the one that was fetched before.
    """
    if (folder := _cached(address)) is not None:
        return folder
    with locked(address.name):
        return _cached(address) or _fetch(address, progress)


def _cached(address: Address) -> Path | None:
    """Folder of a checkpoint that was fetched and verified before, if it is still there."""
    note = read_note(address.name)
    if note is None or (path := hub.cached_file(address.repository, _DESCRIPTION, note.revision)) is None:
        return None
    try:
        _check_complete(path.parent)
    except InputError:
        return None
    return path.parent


def _fetch(address: Address, progress: Progress) -> Path:
    repository, revision = address
    try:
        # Before gigabytes of something else are fetched.
        hub.locate(repository, _DESCRIPTION, revision)
        with progress.stage(f"fetching {repository}"):
            folder = hub.fetch_folder(repository, _PATTERNS, revision)
    except InputError as error:
        raise InputError(f"{repository} is no folder here and no checkpoint on the hub: {error}") from error
    _check_complete(folder)
    with progress.bar(f"verifying {repository}", len(checkpoint.describe(folder).parameters), "parameter") as step:
        checkpoint.verify(folder, progress=lambda _: step())
    digest, note = folder_digest(folder), read_note(address.name)
    if note is not None and note.sha256 != digest:
        raise changed(address.name, repository, digest, note)
    # The same files may have come to another commit.
    write_note(address.name, repository, digest, folder.name)
    return folder


def _check_complete(folder: Path) -> None:
    description = checkpoint.describe(folder)
    checkpoint.check_files(folder, description)
    if description.kind == "model" and not (folder / checkpoint.TOKENIZER / "tokenizer.json").is_file():
        raise InputError(f"{folder} is incomplete: it has no {checkpoint.TOKENIZER}/tokenizer.json")


def folder_digest(folder: Path) -> str:
    """SHA-256 of a text with a line `SHA-256  path` for each file that decides what a checkpoint computes."""
    description = checkpoint.describe(folder)
    tokenizer = f"{checkpoint.TOKENIZER}/tokenizer.json"
    names = [_DESCRIPTION, *description.files, *([tokenizer] if (folder / tokenizer).is_file() else [])]
    lines = []
    for name in sorted(names):
        with (folder / name).open("rb") as file:
            lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()
