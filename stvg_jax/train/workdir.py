"""The folder of a training run, protected from other runs and from other configurations.

WORKDIR/config.json    the resolved configuration of the last start
WORKDIR/starts.jsonl   every start: time, command, hosts, devices, package versions, changed settings, notes
WORKDIR/lock           lock of the process that trains here; lock.holder names it
WORKDIR/checkpoints/   `stvg_jax.train.checkpoints`
WORKDIR/replay/        `stvg_jax.train.replay`
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import logging
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

import stvg_jax
from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.core.files import check_kinds, read_json_lines, sealed_line, whole_file
from stvg_jax.core.json_files import parse_json
from stvg_jax.core.locks import FolderLock, HeldElsewhere, holder_of
from stvg_jax.core.tree import differing_settings
from stvg_jax.parallel.hosts import from_first_host

_log = logging.getLogger(__name__)
_CONFIG = "config.json"
_STARTS = "starts.jsonl"
_LOCK = "lock"
_KINDS = {"time": str, "command": list, "hosts": int, "devices": dict, "versions": dict, "changed": dict}
# Files of a start that ends before its first step, and files of a run.
_OF_A_START = {_LOCK, f"{_LOCK}.holder", f"{_LOCK}.soft", _STARTS, "checkpoints", "tokenizer", "parameters.txt"}
_RESULTS = {"best", "last"}
_OF_A_RUN = {*_OF_A_START, *_RESULTS, _CONFIG, "metrics.jsonl", "tensorboard", "validation", "replay"}
_PACKAGES = ("stvg-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "tensorflow")
# Characters of a value in a message.
_TEXT_LENGTH = 200


class Workdir:
    """The folder of a new or continued run. Its lock is held until `close` or the end of the process.

    A run takes the folder with its first step: before `begin` no file of an earlier run changes, and until there is a
    checkpoint, a run with any configuration may begin.

    All hosts make one with the same arguments, from their main threads; host 0 reads and writes.

    Args:
        path: the folder; made if missing. All hosts share it.
        config: resolved configuration, as JSON values in nested mappings.
        command: command of this start.
        may_change: dotted names of settings or sections that may differ from the last start because they do not decide
            what is trained ("eval", "checkpoints.keep").
        defaults: values of settings that the configuration of an earlier version may lack, nested likewise.

    Attributes:
        path: absolute path of the folder.
        config: path of config.json.
        checkpoints, replay: folders for checkpoints and for replay files.
        previous: configuration of the last start of a continued run; None for a new run.

    Raises:
        InputError: the folder cannot be written, is not a workdir, belongs to a run with another configuration, is in
            use, is damaged, or is not shared by all hosts.
    """

    def __init__(
        self,
        path: Path,
        config: Mapping[str, Any],
        command: Sequence[str],
        *,
        may_change: Sequence[str] = (),
        defaults: Mapping[str, Any] | None = None,
    ):
        self.path = path.absolute()
        self.config = self.path / _CONFIG
        self.checkpoints = self.path / "checkpoints"
        self.replay = self.path / "replay"
        self._new, self._command = json.loads(json.dumps(config)), list(command)
        self._defaults = defaults
        self._lock: FolderLock | None = None
        self.previous, holder = from_first_host(lambda: self._open(may_change))
        if not np.all(multihost_utils.process_allgather(np.array(holder_of(self.path / _LOCK) == holder))):
            self.close()
            raise InputError(
                f"not all {jax.process_count()} hosts see the files in {self.path}; give a folder that all hosts share"
            )

    def begin(self, **notes: str) -> None:
        """Writes the configuration and this start with its notes. All hosts call it before the first step."""
        from_first_host(lambda: self._begin(notes))

    def close(self) -> None:
        """Releases the lock."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Workdir:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def steps(self) -> list[int]:
        """Steps of the run's checkpoints, ascending."""
        return sorted(int(entry.name) for entry in self.checkpoints.glob("*") if entry.name.isdecimal())

    def describe(self) -> str:
        """One line for people: number of starts and newest checkpoint."""
        starts, steps = self.starts(), self.steps()
        newest = f"the newest checkpoint is of step {steps[-1]:,}" if steps else "there are no checkpoints yet"
        first = f", the first at {starts[0]['time']}" if starts else ""
        return f"{self.path}: start {len(starts)}{first}; {newest}"

    def starts(self) -> list[dict[str, Any]]:
        """Starts of the run, including this one after `begin`.

        Raises:
            InputError: the file of starts is damaged.
        """
        return read_json_lines(self.path / _STARTS, _KINDS)

    def _open(self, may_change: Sequence[str]) -> tuple[dict[str, Any] | None, str]:
        """Takes the lock and checks the folder, on host 0. Returns `previous` and the holder of the lock."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self.path / _LOCK)
            previous = self._previous()
            if previous is not None:
                self._refuse_other(previous, may_change)
                if not self.starts():
                    raise InputError(f"{self.path / _STARTS} is empty; restore it from a copy")
            return previous, holder_of(self.path / _LOCK)
        except HeldElsewhere as holder:
            raise InputError(
                f"another run works in {self.path}: {holder}; wait for its end, or choose another workdir"
            ) from holder
        except OSError as error:
            self.close()
            raise InputError(f"cannot write into {self.path}: {error.strerror}; choose another workdir") from error
        except InputError:
            self.close()
            raise

    def _previous(self) -> dict[str, Any] | None:
        """Configuration of the run in the folder; None if there is no run, or it ended before its first checkpoint."""
        names = {file.name for file in self.path.iterdir() if not file.name.endswith(".partial")}
        absent = [name for name in (_CONFIG, _STARTS) if name not in names]
        others = sorted(names - (_OF_A_START if absent else _OF_A_RUN))
        if not others and not self.steps() and names.isdisjoint(_RESULTS):
            return None
        if absent:
            what = (others or ["checkpoints"])[0]
            raise InputError(
                f"{self.path} is not the workdir of a run: it holds {what} but no {absent[0]}; choose another workdir"
            )
        try:
            previous = parse_json(self.config.read_bytes())
            check_kinds(previous, {})
            return previous
        except ValueError as error:
            raise InputError(
                f"{self.config} cannot be read ({first_line(error)}); restore it from a copy, or choose another workdir"
            ) from error

    def _refuse_other(self, previous: dict[str, Any], may_change: Sequence[str]) -> None:
        """Raises InputError if settings that may not change differ from the last start."""
        refused = {
            name: values
            for name, values in differing_settings(previous, self._new, self._defaults).items()
            if not any(name == free or name.startswith(f"{free}.") for free in may_change)
        }
        if refused:
            lines = [
                f"config.{_printable(name)} was {_text(was)} there and is {_text(now)}"
                for name, (was, now) in refused.items()
            ]
            raise InputError(
                f"{self.path} belongs to a run with another configuration: {'; '.join(lines)}; choose another workdir, "
                "or start with the configuration of that run to continue it"
            )

    def _begin(self, notes: Mapping[str, str]) -> None:
        starts = [] if self.previous is None else self.starts()
        if self.previous is None:
            # Answers and metrics of a run that ended before its first checkpoint would be taken for this run's.
            shutil.rmtree(self.path / "validation", ignore_errors=True)
            (self.path / "metrics.jsonl").unlink(missing_ok=True)
        now = versions()
        if starts and starts[-1]["versions"] != now:
            before = starts[-1]["versions"]
            news = [f"{k} {before.get(k)} -> {now.get(k)}" for k in before | now if before.get(k) != now.get(k)]
            _log.warning("versions changed since the last start (%s); numbers may differ slightly", ", ".join(news))
        device = jax.devices()[0]
        record = {
            "time": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "command": self._command,
            "hosts": jax.process_count(),
            "devices": {"count": jax.device_count(), "kind": device.device_kind, "platform": device.platform},
            "versions": now,
            "changed": {} if self.previous is None else differing_settings(self.previous, self._new, self._defaults),
            **notes,
        }
        # All starts are written anew, because a kill during an append would leave half a line; and before the
        # configuration, because a config.json alone does not mark a workdir.
        with whole_file(self.path / _STARTS) as file:
            file.writelines(map(sealed_line, [*starts, record]))
        with whole_file(self.config) as file:
            json.dump(self._new, file, indent=1)


def _printable(name: str) -> str:
    return name if name.isprintable() and len(name) <= _TEXT_LENGTH else quoted(name, _TEXT_LENGTH)


def _text(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value)
    return text if len(text) <= _TEXT_LENGTH else f"{text[:_TEXT_LENGTH]}..."


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on, and this library's commit in a git checkout."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    if commit := _commit(Path(stvg_jax.__file__).parent):
        found["commit"] = commit
    return found


def _commit(folder: Path) -> str | None:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()

    try:
        # An installed package may lie in the checkout of another project, which does not track it.
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raises InputError unless `needed` bytes are free on the disk of an existing folder; `what` begins the message."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{what} {needed / 1e9:,.2f} GB in {folder}, where {free / 1e9:,.2f} GB are free; free space there, or "
            "choose another workdir"
        )
