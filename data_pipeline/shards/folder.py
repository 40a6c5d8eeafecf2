"""The files of a store: shards, a journal of the run in progress, and the manifest of what is finished.

    manifest.json     settings, an entry per video, failures, totals; sealed with a checksum
    shards/           a file per video: the path of the video below its folder, and a tag of the stored frames
    settings.json     settings, and the number of videos of the latest run; written when a run starts, sealed
    journal.jsonl     a sealed line per video that the run in progress has finished; the manifest replaces it
    failed.json       reasons why videos failed in the latest run
    lock              held by the process that writes or checks; lock.holder names it

A shard gets its name only when it is whole and on the disk, and counts only if the journal or the manifest has it. A
name is never used for other frames: a video that is stored again with more frames gets a new file, and the old one is
deleted after the manifest has changed. So all entries are true whenever a process is killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.core.files import PARTIAL, check_kinds, seal, unseal, whole_file
from stvg_jax.core.json_files import parse_json
from stvg_jax.core.locks import FolderLock, HeldElsewhere
from stvg_jax.data_pipeline.shards.entries import StoredVideo
from stvg_jax.data_pipeline.shards.jpeg import Settings, make_identity

FORMAT = "stvg_jax.frames/2"
# With shards that have no identity, and at first with a settings.json that has no seal.
_FIRST_FORMAT = "stvg_jax.frames/1"
SUFFIX = ".arrayrecord"
# Errors for content that no run has written, although its seal fits.
_MADE_UP = (KeyError, TypeError, AttributeError, ValueError, InputError)
DAMAGED = ".damaged"


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A finished store: its settings, its videos by name, and the videos that failed, with the reasons."""

    settings: Settings
    videos: dict[str, StoredVideo]
    failed: dict[str, str]


class StoreFolder:
    """Reads and writes the files of the store at `root`."""

    def __init__(self, root: str | os.PathLike) -> None:
        self.root = pathlib.Path(root)
        self.shards = self.root / "shards"
        self.failures = self.root / "failed.json"
        self._manifest = self.root / "manifest.json"
        self._settings = self.root / "settings.json"
        self._journal = self.root / "journal.jsonl"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from writing. The lock ends with the process in any case.

        Raises:
            InputError: another process holds it.
        """
        try:
            lock = FolderLock(self.root / "lock")
        except HeldElsewhere as holder:
            raise InputError(
                f"{self.root}: another process is writing or checking this store ({holder}); wait for it or stop it"
            ) from holder
        with lock:
            yield

    def read_manifest(self) -> Manifest | None:
        """The finished part of the store; None if no run has ended yet.

        Raises:
            InputError: the manifest is damaged or of another version.
        """
        if not self._manifest.exists():
            return None
        content = unseal(self._manifest.read_text(encoding="utf-8", errors="replace"))
        if content is None:
            raise InputError(
                f"{self._manifest}: the manifest is damaged, its checksum does not fit; "
                "restore it from a copy, or delete the folder and prepare the frames again"
            )
        _check_format(content.get("format"), self._manifest)
        try:
            settings = _read_settings(content["settings"])
            videos = {name: StoredVideo(**entry) for name, entry in content["videos"].items()}
            for name, entry in videos.items():
                # An entry of another video would vouch for that one's frames.
                own = make_identity(name, entry.frames, entry.source_sha256, settings)
                if entry.identity not in (None, own):
                    raise ValueError(f"the entry of {quoted(name)} is of another video, or of other frames")
            return Manifest(settings, videos, {name: str(reason) for name, reason in content["failed"].items()})
        except _MADE_UP as error:
            raise InputError(
                f"{self._manifest}: the manifest is damaged ({first_line(error)}); restore it from a copy, or delete "
                "the folder and prepare the frames again"
            ) from error

    def read_journal(self) -> dict[str, StoredVideo]:
        """Videos finished by the run in progress, or by an interrupted one. A line cut off by a kill does not count."""
        if not self._journal.exists():
            return {}
        lines = self._journal.read_text(encoding="utf-8", errors="replace").splitlines()
        contents = (unseal(line) for line in lines)
        try:
            return {c["video"]: StoredVideo(**c["entry"]) for c in contents if c is not None}
        except _MADE_UP as error:
            raise InputError(
                f"{self._journal}: the journal is damaged ({first_line(error)}); delete it and run again; the videos "
                "in it will be stored once more"
            ) from error

    def asked_for(self) -> int | None:
        """Number of videos of the latest run; None if there was none."""
        begun = self._begun()
        return begun.videos if begun else None

    def begin(self, settings: Settings, videos: int) -> None:
        """Notes the settings and the number of videos of a run that starts."""
        _write(self._settings, seal(json.dumps({"format": FORMAT, "settings": settings.values, "videos": videos})))

    def check_settings(self, settings: Settings) -> None:
        """Raises InputError if the store was made with other settings."""
        known = self._begun() or self.read_manifest()
        if known is None:
            return
        stored, asked = dataclasses.asdict(known.settings), dataclasses.asdict(settings)
        other = [f"{name} {stored[name]} (now {asked[name]})" for name in stored if stored[name] != asked[name]]
        if other:
            raise InputError(
                f"{self.root}: this store was made with {', '.join(other)}; use the same settings or another folder"
            )

    def intact(self, entry: StoredVideo) -> bool:
        """True if the shard of an entry exists and has its length."""
        try:
            return (self.root / entry.file).stat().st_size == entry.bytes
        except OSError:
            return False

    def record(self, video: str, entry: StoredVideo) -> None:
        """Notes a finished video, so that it survives a crash of the machine."""
        line = seal(json.dumps({"video": video, "entry": dataclasses.asdict(entry)}))
        with self._journal.open("ab") as file:
            # The line break comes first, so that a line cut off by a kill does not spoil the next one.
            file.write(f"\n{line}".encode())
            file.flush()
            os.fsync(file.fileno())

    def finish(self, manifest: Manifest) -> None:
        """Writes the manifest, which replaces the journal, and removes files that are not in it."""
        totals = {
            "videos": len(manifest.videos),
            "frames": sum(entry.stored_count for entry in manifest.videos.values()),
            "bytes": sum(entry.bytes for entry in manifest.videos.values()),
        }
        # With shards of an earlier version the store keeps the format of that version.
        identified = all(entry.identity is not None for entry in manifest.videos.values())
        version = FORMAT if identified else _FIRST_FORMAT
        head = {"format": version, "settings": manifest.settings.values, "totals": totals}
        lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
        lines.append(f'"failed": {json.dumps(manifest.failed)}')
        videos = sorted(manifest.videos.items())
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(dataclasses.asdict(entry))}" for name, entry in videos)
        _write(self._manifest, seal("{" + ",\n".join(lines) + ',\n"videos": {\n' + rows + "\n}}"))
        self._journal.unlink(missing_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Removes shards that are neither in the manifest nor in the journal, and unfinished files."""
        manifest = self.read_manifest()
        entries = [*(manifest.videos.values() if manifest else ()), *self.read_journal().values()]
        known = {self.root / entry.file for entry in entries}
        for path in self.root.glob(f"*{PARTIAL}"):
            path.unlink()
        for path in self.shards.rglob("*"):
            if path.suffix in (SUFFIX, PARTIAL, DAMAGED) and path not in known and path.is_file():
                path.unlink()

    def write_failures(self, failed: Mapping[str, str]) -> None:
        """Writes the report of failed videos, or removes that of an earlier run."""
        if failed:
            _write(self.failures, json.dumps(dict(sorted(failed.items())), indent=1, ensure_ascii=False))
        else:
            self.failures.unlink(missing_ok=True)

    def _begun(self) -> _Begun | None:
        try:
            text = self._settings.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        try:
            content = unseal(text)
            sealed = content is not None
            content = content if sealed else parse_json(text)
            if not sealed and isinstance(content, dict) and "sha256" in content:
                raise ValueError("its checksum does not fit")
            _check_fields(content, _Begun, settings=dict)
            if not sealed and content["format"] == FORMAT:
                raise ValueError("it has no checksum")
            begun = _Begun(content["format"], _read_settings(content["settings"]), content["videos"])
        except (ValueError, InputError) as error:
            raise InputError(
                f"{self._settings}: damaged ({first_line(error)}); restore it from a copy of the store, or delete the "
                "folder and prepare the frames again"
            ) from error
        _check_format(begun.format, self._settings)
        return begun


@dataclasses.dataclass(frozen=True)
class _Begun:
    """Content of settings.json: version of the store, settings, and number of videos of the latest run."""

    format: str
    settings: Settings
    videos: int


def _read_settings(values: Any) -> Settings:
    """The inverse of `Settings.values`; raises ValueError or InputError for anything else."""
    if isinstance(values, dict):
        values = {"sizing": Settings.sizing} | values
    _check_fields(values, Settings)
    return Settings(**values)


def _check_fields(content: Any, kind: type, **others: type) -> None:
    """Raises ValueError unless this is an object with exactly the fields of a dataclass, of their types or `others`."""
    kinds = typing.get_type_hints(kind) | others
    check_kinds(content, kinds)
    if unknown := sorted(content.keys() - kinds.keys()):
        raise ValueError(f"it has an unknown key, {quoted(unknown[0], 40)}")


def _check_format(found: Any, path: pathlib.Path) -> None:
    """Raises InputError for a store of a version that cannot be read."""
    if found not in (_FIRST_FORMAT, FORMAT):
        raise InputError(
            f"{path}: a store of version {quoted(found)}; this version of the library reads {FORMAT!r} and "
            f"{_FIRST_FORMAT!r}; prepare the frames again into another folder"
        )


def _write(path: pathlib.Path, text: str) -> None:
    with whole_file(path) as file:
        file.write(text)
