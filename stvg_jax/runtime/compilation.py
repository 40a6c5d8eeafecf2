"""Programs that are compiled once per machine: the executable is kept on disk and loaded by later processes.

JAX's own persistent cache saves the compilation but not the tracing before it, which for these models takes as long as
reading the parameters. Here the executable is stored under a hash of everything that it depends on.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import pickle
import platform
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jaxlib.version

from stvg_jax.core.cache import cache_directory
from stvg_jax.core.errors import first_line
from stvg_jax.core.files import whole_path
from stvg_jax.core.progress import Progress, Silent
from stvg_jax.runtime.memory import exhaustion_told

# On a CPU, matrix products are about a fifth faster with this option, with the same results. A later jaxlib may not
# know it; programs are then compiled without.
_CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}

_ADVICE = "take a lower resolution, or search a shorter part"

_log = logging.getLogger(__name__)


@functools.cache
def compiler_options() -> dict[str, Any]:
    """Compiler options for this process's backend, tested on a trivial program."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda x: x + 1, compiler_options=_CPU_OPTIONS).lower(1.0).compile()
    except Exception:  # jaxlib reports an unknown option in several ways
        return {}
    return _CPU_OPTIONS


def keep_compiled() -> None:
    """Turns on JAX's persistent cache for all programs that this process compiles later.

    It serves programs on several devices or hosts, for which `Program` is not made.
    """
    folder = _usable_cache()
    if folder is None:
        return
    try:
        _make_private(folder / "xla")
    except OSError as error:
        _log.warning("compiled programs are not kept: %s", error)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


def _usable_cache() -> Path | None:
    """The cache's folder, made if missing; None with one warning if it cannot be written."""
    return _made(cache_directory())


@functools.cache
def _made(folder: Path | None) -> Path | None:
    if folder is None:
        _log.warning("compiled programs are not kept: there is no home folder; set STVG_JAX_CACHE to an absolute path")
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        reason = error.strerror or first_line(error)
        _log.warning("compiled programs are not kept in %s (%s); STVG_JAX_CACHE names another folder", folder, reason)
        return None


class Program:
    """A function that is compiled once for each combination of input shapes and reports its progress.

    Matrix products have full float32 precision where the model computes in float32; the default of GPUs and TPUs is
    coarser.

    Args:
        title: name of the program in progress reports.
        function: traceable function.
        identity: everything apart from the library's code that decides the results, such as configuration and dtype.
    """

    def __init__(self, title: str, function: Callable, identity: str):
        self._title = title
        self._function = function
        self._identity = identity
        self._compiled: dict[Any, jax.stages.Compiled] = {}

    def prepare(self, *args: Any, progress: Progress | None = None) -> jax.stages.Compiled:
        """Loads or compiles the executable for these arguments: arrays, or anything with a shape and a dtype."""
        leaves, structure = jax.tree.flatten(args)
        shapes = tuple((tuple(leaf.shape), str(leaf.dtype)) for leaf in leaves)
        if (structure, shapes) not in self._compiled:
            path = self._path(f"{structure}{shapes}")
            with (progress or Silent()).stage(f"preparing the {self._title}"), exhaustion_told(_ADVICE):
                stored = None if path is None else _load(path)
                self._compiled[structure, shapes] = stored or self._compile(args, path)
        return self._compiled[structure, shapes]

    def __call__(self, *args: Any, progress: Progress | None = None) -> Any:
        """Runs the program on arrays and pytrees of arrays, and waits for the result."""
        compiled = self.prepare(*args, progress=progress)
        with (progress or Silent()).stage(f"running the {self._title}"), exhaustion_told(_ADVICE):
            return jax.block_until_ready(compiled(*args))

    def _compile(self, args: Any, path: Path | None) -> jax.stages.Compiled:
        jitted = jax.jit(self._function, compiler_options=compiler_options())
        with jax.default_matmul_precision("highest"), _without_jax_cache():
            compiled = jitted.lower(*args).compile()
        # A cache that cannot be written may still be readable.
        if path is not None and _usable_cache() is not None:
            _store(path, compiled)
        return compiled

    def _path(self, signature: str) -> Path | None:
        if (folder := cache_directory()) is None:
            return None
        key = "\n".join([self._title, self._identity, signature, _environment()])
        return folder / "programs" / hashlib.sha256(key.encode()).hexdigest()[:40]


@contextlib.contextmanager
def _without_jax_cache() -> Iterator[None]:
    """Keeps JAX from compiling with its own persistent cache.

    An executable that it takes from there cannot be stored again: on a CPU the copy lacks functions, and fails when it
    is run.
    """
    from jax.experimental.compilation_cache import compilation_cache

    folder = jax.config.values["jax_compilation_cache_dir"]
    if folder is None:
        yield
        return
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_compilation_cache_dir", folder)
        compilation_cache.reset_cache()


@functools.cache
def _environment() -> str:
    """Everything that the executable of a program depends on: this library's source, JAX and the machine."""
    source = hashlib.sha256()
    for file in sorted(Path(__file__).parent.parent.rglob("*.py")):
        source.update(file.read_bytes())
    device = jax.devices()[0]
    machine = (platform.machine(), platform.processor(), _cpu_features(), os.cpu_count())
    versions = (jax.__version__, jaxlib.version.__version__, device.client.platform_version)
    return repr(
        (source.hexdigest(), versions, device.platform, device.device_kind, machine, os.environ.get("XLA_FLAGS"))
    )


def _cpu_features() -> str:
    """Instruction sets of this CPU if the system lists them; a home folder may be shared by several machines."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _make_private(folder: Path) -> None:
    """Makes the cache and a folder in it that only this user can read.

    Raises:
        OSError: they cannot be made, or exist and others can write into them.
    """
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    for level in (folder.parent, folder):
        level.mkdir(mode=0o700, exist_ok=True)
        if not _is_private(level.stat()):
            raise PermissionError(
                f"other users can write into {level}; delete it, or remove their permission (chmod go-w)"
            )


def _is_private(status: os.stat_result) -> bool:
    """True if no other user can have written a file, or into a folder."""
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)


def _load(path: Path) -> jax.stages.Compiled | None:
    """Loads a stored executable; None if there is none that can be used."""
    from jax.experimental import serialize_executable

    try:
        with path.open("rb") as file:
            # A program is code, so no other user may have written it. In a folder of another user, a link to a file of
            # this user could lead to foreign code.
            for place in (path, path.parent, path.parent.parent):
                if not _is_private(os.fstat(file.fileno()) if place == path else place.stat()):
                    _log.warning("compiling again: another user could have written %s", place)
                    return None
            return serialize_executable.deserialize_and_load(*pickle.load(file))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    except Exception as error:  # any fault of a cached file is mended by compiling again
        _log.warning("compiling again: %s cannot be loaded (%s)", path, error)
        return None


def _store(path: Path, compiled: jax.stages.Compiled) -> None:
    """Stores an executable; a failure only costs the next process time."""
    from jax.experimental import serialize_executable

    try:
        content = pickle.dumps(serialize_executable.serialize(compiled))
        _make_private(path.parent)
        with whole_path(path) as partial:
            partial.touch(0o600)
            partial.write_bytes(content)
    except Exception as error:  # a full disk, or a backend that cannot serialise
        _log.warning("the compiled program is not kept in %s: %s", path.parent, error)
