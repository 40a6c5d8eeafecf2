"""Locks on folders, held by one process at a time until it releases them or ends in any way."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.files import whole_file

if TYPE_CHECKING:
    import filelock

_HOLDER_LENGTH = 200
# Errors of file systems without locks.
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


class HeldElsewhere(Exception):
    """Another process holds the lock; the message names it as far as it is known."""


class FolderLock:
    """A lock file, held until `release` or the end of the process.

    On file systems without locks, such as some network file systems, the lock is the existence of the file `path`.soft.

    Args:
        path: the lock file, in an existing folder; `path`.holder beside it names the process that holds the lock.

    Raises:
        HeldElsewhere: another process holds it.
        OSError: the files cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._holder = _holder_file(path)
        self._lock = _acquired(path)
        try:
            # Not in the lock file itself, which no other process can read on Windows.
            with whole_file(self._holder) as file:
                file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        except OSError:
            self._lock.release()
            raise

    def release(self) -> None:
        self._holder.unlink(missing_ok=True)
        self._lock.release()

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def lock_to_write(folder: Path) -> FolderLock:
    """The lock `folder`/lock, for one writer of a folder that exists.

    Raises:
        InputError: another process holds it.
    """
    try:
        return FolderLock(folder / "lock")
    except HeldElsewhere as holder:
        raise InputError(f"{folder} is being written by another process ({holder}); wait for it") from holder


def holder_of(path: Path) -> str:
    """Name of the process that holds a lock, for messages, as far as it is known."""
    with contextlib.suppress(OSError):
        if text := _holder_file(path).read_text(encoding="utf-8", errors="replace").strip():
            return text if text.isprintable() and len(text) <= _HOLDER_LENGTH else quoted(text, _HOLDER_LENGTH)
    return "a process"


def _holder_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.holder")


def _acquired(path: Path) -> filelock.BaseFileLock:
    import filelock

    def acquire(lock: filelock.BaseFileLock) -> filelock.BaseFileLock:
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise HeldElsewhere(holder_of(path)) from error
        return lock

    try:
        # The system releases its locks when the process ends in any way.
        return acquire(filelock.FileLock(path, timeout=0, thread_local=False))
    except (NotImplementedError, OSError) as error:
        if getattr(error, "errno", errno.ENOSYS) not in _NO_LOCKS:
            raise
    return acquire(filelock.SoftFileLock(path.with_name(f"{path.name}.soft"), timeout=0, thread_local=False))
