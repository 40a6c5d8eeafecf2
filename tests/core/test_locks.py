"""Locks on folders: who holds them, how they end, and what serves where the system has none."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import filelock
import pytest

from stvg_jax.core.locks import FolderLock, HeldElsewhere, holder_of
from tests.hosts import ROOT, environment


def test_one_process_at_a_time_however_it_ends(tmp_path):
    program = f"""if True:
        from pathlib import Path
        from stvg_jax.core.locks import FolderLock
        lock = FolderLock(Path({str(tmp_path / "lock")!r}))
        print("ready", flush=True)
        input()
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=environment(), **pipes)
    assert process.stdout.readline() == "ready\n"
    with pytest.raises(HeldElsewhere, match=f"process {process.pid} on "):
        FolderLock(tmp_path / "lock")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with FolderLock(tmp_path / "lock"):
        assert holder_of(tmp_path / "lock").startswith(f"process {os.getpid()} on ")
        with pytest.raises(HeldElsewhere):
            FolderLock(tmp_path / "lock")
    FolderLock(tmp_path / "lock").release()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_serves_where_the_file_system_has_no_locks(tmp_path, monkeypatch, number):
    def fail(self):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock.FileLock, "_acquire", fail)
    with FolderLock(tmp_path / "lock"):
        with pytest.raises(HeldElsewhere, match=f"process {os.getpid()} on "):
            FolderLock(tmp_path / "lock")
        assert (tmp_path / "lock.soft").exists()
    FolderLock(tmp_path / "lock").release()


def test_a_holder_that_says_anything_is_quoted(tmp_path):
    (tmp_path / "lock.holder").write_bytes(b"\x1b[31m\xff" + b"a" * 1000)
    assert holder_of(tmp_path / "lock").startswith("'\\x1b[31m")
    assert len(holder_of(tmp_path / "lock")) < 300
