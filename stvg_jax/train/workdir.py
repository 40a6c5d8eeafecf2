"""The folder of a training run: what it was started with, kept from being mixed up with another run.

WORKDIR/config.json    the resolved configuration of the last start
WORKDIR/starts.jsonl   every start: time, command, hosts, devices, package versions, changed settings
WORKDIR/lock           held while a process trains here
WORKDIR/checkpoints/   `stvg_jax.train.checkpoints`
WORKDIR/replay/        `stvg_jax.train.replay`
"""

from __future__ import annotations

import datetime
import errno
import fcntl
import importlib.metadata
import json
import logging
import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

import stvg_jax
from stvg_jax.errors import InputError, first_line
from stvg_jax.files import whole_file

_log = logging.getLogger(__name__)
_CONFIG = "config.json"
_STARTS = "starts.jsonl"
_LOCK = "lock"
_PACKAGES = ("stvg-jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "tensorflow")

T = TypeVar("T")


class Workdir:
    """Opens or continues the folder of a run and holds its lock until `close`, or the end of the process.

    All hosts make one with the same arguments, from their main threads; host 0 reads and writes.

    Args:
        path: made if missing; on several hosts, a folder that all of them see.
        config: resolved, as JSON values in nested mappings.
        command: what the run was started with.
        may_change: dotted names of settings, or of sections, that may differ from the last start's because they do not
            decide what is trained ("eval", "checkpoints.keep").

    Attributes:
        path: absolute.
        config: path of config.json.
        checkpoints, replay: folders for them.

    Raises:
        InputError: the folder cannot be written, is something else, belongs to a run with another configuration (all
            differences are named), is in use, or is not shared by all hosts.
    """

    def __init__(
        self, path: Path, config: Mapping[str, Any], command: Sequence[str], *, may_change: Sequence[str] = ()
    ):
        self.path = path.absolute()
        self.config = self.path / _CONFIG
        self.checkpoints = self.path / "checkpoints"
        self.replay = self.path / "replay"
        self._lock: TextIO | None = None
        start = from_first_host(lambda: self._open(json.loads(json.dumps(config)), list(command), may_change))
        seen = self.config.is_file() and len(self.starts()) >= start
        if not np.all(multihost_utils.process_allgather(np.array(seen))):
            self.close()
            raise InputError(f"not all {jax.process_count()} hosts see the files in {self.path}; give a shared folder")

    def close(self) -> None:
        """Lets another process in."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Workdir:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def describe(self) -> str:
        """One line for people: how often it was started, and the newest checkpoint."""
        starts = self.starts()
        steps = [int(entry.name) for entry in self.checkpoints.glob("*") if entry.name.isdigit()]
        newest = f"the newest checkpoint is of step {max(steps):,}" if steps else "there are no checkpoints yet"
        return f"{self.path}: start {len(starts)}, the first at {starts[0]['time']}; {newest}"

    def starts(self) -> list[dict[str, Any]]:
        """Every start of the run, this one last.

        Raises:
            InputError: the file that lists them is damaged.
        """
        try:
            lines = (self.path / _STARTS).read_text(encoding="utf-8").splitlines()
            return [json.loads(line) for line in lines]
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise InputError(f"{self.path / _STARTS} cannot be read ({first_line(error)}); move it away") from error

    def _open(self, config: dict[str, Any], command: list[str], may_change: Sequence[str]) -> int:
        """What host 0 does. Returns the number of starts, with this one."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path / _LOCK)
            changed = self._compare(config, may_change)
            with whole_file(self.config) as file:
                json.dump(config, file, indent=1)
            return self._append_start(command, changed)
        except OSError as error:
            self.close()
            raise InputError(f"cannot write into {self.path}: {error.strerror}; choose another workdir") from error
        except InputError:
            self.close()
            raise

    def _compare(self, config: dict[str, Any], may_change: Sequence[str]) -> dict[str, Any]:
        """Settings that differ from the last start's and may: name -> [before, now]."""
        if not self.config.exists():
            others = [f for f in self.path.iterdir() if f.name != _LOCK and not f.name.endswith(".partial")]
            if others:
                raise InputError(
                    f"{self.path} is not the workdir of a run: it holds {others[0].name} but no {_CONFIG}; choose "
                    "another workdir"
                )
            return {}
        try:
            before = _leaves(json.loads(self.config.read_text(encoding="utf-8")))
        except ValueError as error:
            raise InputError(f"{self.config} cannot be read ({first_line(error)}); choose another workdir") from error
        now = _leaves(config)
        changed = {
            name: [before.get(name), now.get(name)]
            for name in sorted(before.keys() | now.keys())
            if before.get(name) != now.get(name)
        }
        refused = {
            name: values
            for name, values in changed.items()
            if not any(name == free or name.startswith(f"{free}.") for free in may_change)
        }
        if refused:
            lines = [
                f"config.{name} was {_text(was)} there and is {_text(now)}" for name, (was, now) in refused.items()
            ]
            raise InputError(
                f"{self.path} belongs to a run with another configuration: {'; '.join(lines)}; choose another workdir, "
                "or start with the configuration of that run to continue it"
            )
        return changed

    def _append_start(self, command: list[str], changed: dict[str, Any]) -> int:
        starts = self.starts()
        now = versions()
        if starts and starts[-1].get("versions") != now:
            before = starts[-1].get("versions", {})
            news = [f"{k} {before.get(k)} -> {now.get(k)}" for k in before | now if before.get(k) != now.get(k)]
            _log.warning("versions changed since the last start (%s); numbers may differ slightly", ", ".join(news))
        device = jax.devices()[0]
        record = {
            "time": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "command": command,
            "hosts": jax.process_count(),
            "devices": {"count": jax.device_count(), "kind": device.device_kind, "platform": device.platform},
            "versions": now,
            "changed": changed,
        }
        # With the earlier ones anew: a kill during an append would leave half a line.
        with whole_file(self.path / _STARTS) as file:
            file.writelines(json.dumps(line) + "\n" for line in [*starts, record])
        return len(starts) + 1


def _locked(path: Path) -> TextIO:
    """The file, locked for this process; a process that dies lets go.

    Raises:
        InputError: another process holds it.
    """
    file = path.open("a+", encoding="utf-8")
    try:
        # Not flock: worker processes forked from this one would hold that lock on after its death.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        raise InputError(
            f"another run works in {path.parent}: {holder or 'a process'}; wait for its end, or choose another workdir"
        ) from error
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file


def _leaves(value: Any, name: str = "") -> dict[str, Any]:
    """Dotted names and values of what nested dictionaries hold."""
    if not isinstance(value, dict) or not value:
        return {name: value}
    return {k: v for key, part in value.items() for k, v in _leaves(part, f"{name}.{key}" if name else key).items()}


def _text(value: Any) -> str:
    return "absent" if value is None else json.dumps(value)


def versions() -> dict[str, str]:
    """Of Python, of the packages that numbers depend on, and of this one's source where it is a git checkout."""
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
        # An installed package may lie in a checkout of something else, which does not track it.
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def require_space(folder: Path, needed: int, what: str) -> None:
    """InputError unless `needed` bytes are free on the disk of `folder`, which exists; `what` says what for."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(
            f"{what} {needed / 1e9:,.2f} GB in {folder}, where {free / 1e9:,.2f} GB are free; free space there, or "
            "choose another workdir"
        )


def from_first_host(work: Callable[[], T]) -> T:
    """Does `work` on host 0 and returns its result, a JSON value, on all hosts; all hosts call it at the same place.

    Raises:
        InputError: on all hosts, where `work` raised it. Another exception of `work` is raised on host 0 as it is, and
            as an InputError on the others, so that nobody waits for a host that is gone.
    """
    if jax.process_count() == 1:
        return work()
    outcome: dict[str, Any] = {}
    failure: Exception | None = None
    if jax.process_index() == 0:
        try:
            outcome = {"result": work()}
        except Exception as error:
            failure = error
            outcome = {"error": str(error) if isinstance(error, InputError) else f"host 0 failed: {first_line(error)}"}
    text = json.dumps(outcome).encode()
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    # Only host 0's bytes count; the others' must have the same number.
    mine = np.frombuffer(text.ljust(length)[:length], np.uint8)
    outcome = json.loads(bytes(np.asarray(multihost_utils.broadcast_one_to_all(mine))))
    if failure is not None:
        raise failure
    if "error" in outcome:
        raise InputError(outcome["error"])
    return outcome["result"]
