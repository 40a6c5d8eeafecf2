"""The files of a store: shards, a journal of the run in progress, and the manifest of what is finished.

    manifest.json     settings, one entry per video, failures, totals; sealed with a checksum
    shards/           one file per video, at the video's own path below its folder, and a tag of what it holds
    settings.json     settings, and how many videos the latest run was asked for; written when a run starts
    journal.jsonl     a sealed line per video that the run in progress has finished; the manifest takes it over
    failed.json       why videos failed in the latest run
    lock              held by the process that writes or checks

A shard gets its name only when it is whole and on the disk, and counts only when the journal or the manifest says so.
A name is never used for other frames: a video that is stored again with more frames gets a new file, and the old one
goes after the manifest has changed. So whatever moment a process is killed at, every entry is true.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from data_pipeline.shards.entries import StoredVideo, seal, unseal
from data_pipeline.shards.settings import Settings
from stvg_jax.errors import InputError

FORMAT = "stvg_jax.frames/1"
SUFFIX = ".arrayrecord"
PARTIAL = ".partial"
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
        """Keeps other processes from writing; the lock ends with the process, however that ends.

        Raises:
            InputError: another process holds it.
        """
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
                raise InputError(
                    f"{self.root}: another process is writing or checking this store; wait for it or stop it"
                ) from error
            yield
        finally:
            os.close(descriptor)

    def read_manifest(self) -> Manifest | None:
        """What is finished; None when no run has ended yet.

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
        settings = _settings_in(content, self._manifest)
        videos = {name: StoredVideo(**entry) for name, entry in content["videos"].items()}
        return Manifest(settings, videos, content["failed"])

    def read_journal(self) -> dict[str, StoredVideo]:
        """What the run in progress, or an interrupted one, has finished. A line cut off by a kill does not count."""
        if not self._journal.exists():
            return {}
        lines = self._journal.read_text(encoding="utf-8", errors="replace").splitlines()
        contents = (unseal(line) for line in lines)
        return {c["video"]: StoredVideo(**c["entry"]) for c in contents if c is not None}

    def asked_for(self) -> int | None:
        """How many videos the latest run was asked for; None when there was none."""
        content = self._read_settings()
        return content["videos"] if content else None

    def begin(self, settings: Settings, videos: int) -> None:
        """Notes what a run has been asked for."""
        content = {"format": FORMAT, "settings": dataclasses.asdict(settings), "videos": videos}
        _write(self._settings, json.dumps(content))

    def check_settings(self, settings: Settings) -> None:
        """Raises InputError when the store was made with other settings."""
        content = self._read_settings()
        if content is None:
            return
        stored = dataclasses.asdict(_settings_in(content, self._settings))
        asked = dataclasses.asdict(settings)
        other = [f"{name} {stored[name]} (now {asked[name]})" for name in stored if stored[name] != asked[name]]
        if other:
            raise InputError(
                f"{self.root}: this store was made with {', '.join(other)}; use the same settings or another folder"
            )

    def intact(self, entry: StoredVideo) -> bool:
        """Whether the shard of an entry is there and as long as it should be."""
        try:
            return (self.root / entry.file).stat().st_size == entry.bytes
        except OSError:
            return False

    def record(self, video: str, entry: StoredVideo) -> None:
        """Notes a finished video, so that it survives a crash of the machine."""
        line = seal(json.dumps({"video": video, "entry": dataclasses.asdict(entry)}))
        with self._journal.open("ab") as file:
            # The line break comes first: a line that a kill cut off must not swallow the next one.
            file.write(f"\n{line}".encode())
            file.flush()
            os.fsync(file.fileno())

    def finish(self, manifest: Manifest) -> None:
        """Writes the manifest, which takes over the journal, and removes what nothing refers to."""
        totals = {
            "videos": len(manifest.videos),
            "frames": sum(entry.stored_count for entry in manifest.videos.values()),
            "bytes": sum(entry.bytes for entry in manifest.videos.values()),
        }
        head = {"format": FORMAT, "settings": dataclasses.asdict(manifest.settings), "totals": totals}
        lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in head.items()]
        lines.append(f'"failed": {json.dumps(manifest.failed)}')
        videos = sorted(manifest.videos.items())
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(dataclasses.asdict(entry))}" for name, entry in videos)
        _write(self._manifest, seal("{" + ",\n".join(lines) + ',\n"videos": {\n' + rows + "\n}}"))
        self._journal.unlink(missing_ok=True)
        self.sweep()

    def sweep(self) -> None:
        """Removes shards that neither the manifest nor the journal knows, unfinished ones among them."""
        manifest = self.read_manifest()
        entries = [*(manifest.videos.values() if manifest else ()), *self.read_journal().values()]
        known = {self.root / entry.file for entry in entries}
        for path in self.shards.rglob("*"):
            if path.suffix in (SUFFIX, PARTIAL, DAMAGED) and path not in known and path.is_file():
                path.unlink()

    def write_failures(self, failed: Mapping[str, str]) -> None:
        """Writes the report of failed videos, or removes that of an earlier run."""
        if failed:
            _write(self.failures, json.dumps(dict(sorted(failed.items())), indent=1, ensure_ascii=False))
        else:
            self.failures.unlink(missing_ok=True)

    def _read_settings(self) -> dict[str, Any] | None:
        try:
            return json.loads(self._settings.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise InputError(f"{self._settings}: damaged ({error}); restore it from a copy of the store") from error


def _settings_in(content: dict[str, Any], path: pathlib.Path) -> Settings:
    if content["format"] != FORMAT:
        raise InputError(
            f"{path}: a store of version {content['format']!r}, this version of the library reads {FORMAT!r}; "
            "prepare the frames again into another folder"
        )
    return Settings(**content["settings"])


def _write(path: pathlib.Path, text: str) -> None:
    """The whole file or the one before it, whatever happens."""
    partial = path.with_name(path.name + PARTIAL)
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(path: pathlib.Path) -> None:
    """Makes the names of the files in a folder last."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
