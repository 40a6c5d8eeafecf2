"""The process that reads inputs under watch: time, memory, files, and whether anything is run."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

CPU_SECONDS = 2.0
MEMORY_BYTES = 2**30
LINE_CHARACTERS = 2_000
MESSAGE_CHARACTERS = 200_000
OUTPUT_BYTES = 200_000
# A line break and a tab are fine; anything else that is not printed could steer a terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|/\S*|[\d,]+")
_REPOSITORY = str(Path(__file__).resolve().parents[2])
_RUNNING = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "pty.spawn"}
_RUNNING |= {
    "pickle.find_class",
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "urllib.Request",
    "webbrowser.open",
}
# Events about files: where among their arguments the path stands, and the folder that it counts from.
_FILES = {"os.remove": [(0, 1)], "os.rename": [(0, 2), (1, 3)], "os.mkdir": [(0, 2)], "os.rmdir": [(0, 1)]}
_FILES |= {"os.link": [(1, 3)], "os.symlink": [(1, 2)], "os.chmod": [(0, 2)], "os.truncate": [(0, None)]}


@dataclasses.dataclass(frozen=True)
class Place:
    """The folders of a worker.

    Attributes:
        seeds: what the target's `seeds` has left; not to be changed.
        input: where the target puts what is read.
        out: where the reader may write.
    """

    root: Path

    @property
    def seeds(self) -> Path:
        return self.root.parent / "seeds"

    @property
    def input(self) -> Path:
        return self.root / "input"

    @property
    def out(self) -> Path:
        return self.root / "out"

    def file(self, name: str, data: bytes) -> Path:
        """A file in the empty folder `input`."""
        shutil.rmtree(self.input)
        self.input.mkdir()
        path = self.input / name
        path.write_bytes(data)
        return path

    def replaced(self, template: Path, name: str, data: bytes) -> Path:
        """A copy of a folder, in `out`, with other content in one file."""
        folder = self.out / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, folder)
        (folder / name).write_bytes(data)
        return folder


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of an input.

    Attributes:
        fault: what is wrong with that; None when it was read or refused as it should be.
        where: places in the code that the result or the exception came by; what is told apart by.
        seconds: CPU time.
        is_read: whether there was a result.
    """

    fault: str | None
    where: tuple[str, ...]
    seconds: float = 0.0
    is_read: bool = False


def serve(connection: Connection, target: Any, root: Path) -> None:
    """Reads what comes through the connection until it ends. The first inputs, which are sound, warm up."""
    reading = Reading(target, Place(root))
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return
        if message is None:
            reading.arm()
        else:
            connection.send(reading.read(message))


class Reading:
    """A target in this process, whose folders, terminal and limits become those of `place`."""

    def __init__(self, target: Any, place: Place) -> None:
        self._target, self._place = target, place
        self._watch = _Watch(place)
        self._is_armed = False
        _move_into(place)

    def arm(self) -> None:
        """Begins to watch."""
        self._watch.arm()
        self._is_armed = True

    def read(self, data: bytes) -> Outcome:
        return _attempt(self._target, data, self._place, self._watch if self._is_armed else None)

    def unwatched(self) -> contextlib.AbstractContextManager[None]:
        """For what the fuzzing itself writes."""
        return self._watch.paused()


def _move_into(place: Place) -> None:
    for name in ("input", "out", "home", "tmp", "work"):
        (place.root / name).mkdir(exist_ok=True)
    (place.root / "home" / "precious.txt").write_text("to stay as it is\n")
    os.environ |= {"HOME": str(place.root / "home"), "TMPDIR": str(place.root / "tmp")}
    os.environ |= {"XDG_CACHE_HOME": str(place.root / "out" / "cache"), "HF_HUB_OFFLINE": "1"}
    tempfile.tempdir = str(place.root / "tmp")
    os.chdir(place.root / "work")
    log = os.open(place.root / "log", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _attempt(target: Any, data: bytes, place: Place, watch: _Watch | None) -> Outcome:
    from stvg_jax.core.errors import InputError

    fault, where, is_read = None, (), False
    begin = _cpu_seconds()
    with watch.limits(begin) if watch else contextlib.nullcontext():
        try:
            where, is_read = (str(target.read(data, place)),), True
        except InputError as error:
            fault, where = _fault_of(str(error)), _where(error)
            # Many faults of an input are told from one line of code, in different words.
            where = where if fault else (*where, _VALUES.sub("", str(error))[:200])
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # pyo3's panics are no Exceptions
            fault, where = f"{type(error).__name__}: {_cut(error)}", _where(error)
    seconds = _cpu_seconds() - begin
    if seconds > CPU_SECONDS:
        fault = fault or f"took {seconds:.1f} s of CPU time"
    if watch:
        fault = watch.fault() or fault
    return Outcome(fault, where, seconds, is_read)


def _cut(error: BaseException) -> str:
    # Making text of what a hostile file holds may never end; this is the library's own message or Python's.
    return ascii(str(error)[:300])


def _fault_of(message: str) -> str | None:
    longest = max(map(len, message.splitlines()), default=0)
    if len(message) > MESSAGE_CHARACTERS or longest > LINE_CHARACTERS:
        return f"a message of {len(message):,} characters, {longest:,} in a line: {ascii(message[:100])}..."
    if found := _CONTROL.search(message):
        return f"a message with the control character {found.group()!a}: {ascii(message[:300])}"
    return None


def check_text(message: str) -> None:
    """For messages that a target does not raise. Raises AssertionError."""
    if fault := _fault_of(message):
        raise AssertionError(fault)


def _where(error: BaseException) -> tuple[str, ...]:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f.filename.startswith(_REPOSITORY) and "/tests/fuzz/" not in f.filename]
    return (type(error).__name__, *(f"{f.filename[len(_REPOSITORY) + 1 :]}:{f.lineno}" for f in ours[-6:]))


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class _Watch:
    """Notices what a reader must not do. It is armed after the imports; an audit hook cannot be removed."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._allowed = tuple(os.path.realpath(place.root / name) for name in ("input", "out", "tmp"))
        self._armed = False
        self._events: list[str] = []

    def arm(self) -> None:
        self._before = self._others()
        self._log_size = (self._place.root / "log").stat().st_size
        sys.addaudithook(self._hook)
        self._armed = True

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self._armed = False
        try:
            yield
        finally:
            self._armed = True

    def fault(self) -> str | None:
        """The events since the last call."""
        events, self._events = self._events, []
        if events:
            return events[0]
        now = self._others()
        if now != self._before:
            changed = sorted(now.items() ^ self._before.items())[0][0]
            self._before = now
            return f"outside its folders the file {changed!r} has appeared, gone or changed"
        sys.stdout.flush()
        before, self._log_size = self._log_size, (self._place.root / "log").stat().st_size
        written = self._log_size - before
        return f"wrote {written:,} bytes to the terminal" if written > OUTPUT_BYTES else None

    @contextlib.contextmanager
    def limits(self, begin: float) -> Iterator[None]:
        """Ends the process some seconds beyond the limit of time; refuses memory beyond that of memory."""
        resource.setrlimit(resource.RLIMIT_CPU, (int(begin + CPU_SECONDS) + 3, resource.RLIM_INFINITY))
        data = _data_bytes()
        if data:
            resource.setrlimit(resource.RLIMIT_DATA, (data + MEMORY_BYTES, resource.RLIM_INFINITY))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def _others(self) -> dict[str, tuple[int, int]]:
        """Size and time of every file in the worker's folder but those that a reader may change."""
        found = {}
        for top in ("home", "work"):
            for folder, _, files in os.walk(self._place.root / top):
                for name in files:
                    path = os.path.join(folder, name)
                    status = os.lstat(path)
                    found[os.path.relpath(path, self._place.root)] = (status.st_size, status.st_mtime_ns)
        names = {name: (0, 0) for name in os.listdir(self._place.root)}
        return found | names

    def _hook(self, event: str, arguments: tuple) -> None:
        if not self._armed:
            return
        if event in _RUNNING:
            self._refuse(f"{event} {ascii(arguments)[:200]}")
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if (writes or (isinstance(mode, str) and set(mode) & set("wax+"))) and self._is_outside(path):
                self._refuse(f"opened {path!a} for writing")
        for path, folder in _FILES.get(event, ()):
            if self._is_outside(arguments[path], -1 if folder is None else arguments[folder]):
                self._refuse(f"{event} {ascii(arguments)[:200]}")

    def _is_outside(self, path: Any, folder: int = -1) -> bool:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return False
        above = os.readlink(f"/proc/self/fd/{folder}") if folder >= 0 else os.getcwd()
        real = os.path.realpath(os.path.join(above, os.fsdecode(path)))
        return real != os.devnull and not any(real == a or real.startswith(a + os.sep) for a in self._allowed)

    def _refuse(self, what: str) -> None:
        self._events.append(what)
        raise PermissionError(what)


def _data_bytes() -> int:
    """Memory that the process has reserved for data; 0 where the system does not tell."""
    with contextlib.suppress(OSError), Path("/proc/self/status").open() as file:
        for line in file:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0
