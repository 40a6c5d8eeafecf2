"""Runs that end in the middle: killed, interrupted, out of space, or robbed of a worker."""

import contextlib
import multiprocessing
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.shards import FrameStore, check_store, prepare_frames
from stvg_jax.data_pipeline.shards.folder import StoreFolder
from tests.data_pipeline.shards.conftest import SETTINGS
from tests.data_pipeline.shards.test_store import numbers
from tests.videos import write_video

COUNT, FRAMES = 3, 250
PROGRAM = f"""if True:
    import signal, sys
    # A shell has its background jobs ignore Ctrl-C, and the tests may be one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from stvg_jax.data_pipeline.shards import Settings, prepare_frames
    if __name__ == "__main__":
        names = [f"{{i}}.mp4" for i in range({COUNT})]
        prepare_frames(dict.fromkeys(names), sys.argv[1], sys.argv[2], Settings(48), processes=1)
"""
NAMES = [f"{i}.mp4" for i in range(COUNT)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Videos that take a moment."""
    folder = tmp_path_factory.mktemp("long")
    write_video(folder / NAMES[0], FRAMES, size=(192, 128), gop=50)
    for name in NAMES[1:]:
        shutil.copy2(folder / NAMES[0], folder / name)
    return folder


def start(folder, out, **options):
    command = [sys.executable, "-c", PROGRAM, str(folder), str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def wait_for(condition, process=None, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


def finished(out):
    """The videos that are finished by the journal, and when the shard of each was written."""
    entries = StoreFolder(out).read_journal()
    return {name: (out / entry.file).stat().st_mtime_ns for name, entry in entries.items()}


def partials(out):
    return list(out.rglob("*.arrayrecord.*.partial"))


def finish(folder, out):
    """Continues in this process, and returns when each video was stored."""
    prepare_frames(dict.fromkeys(NAMES), folder, out, SETTINGS, processes=1)
    store = FrameStore(out)
    assert sorted(store.videos) == NAMES
    for name in NAMES:
        ids = [0, 77, FRAMES - 1]
        assert numbers(store, name, ids) == ids
    assert check_store(out) == {}
    files = {path for path in (out / "shards").rglob("*") if path.is_file()}
    assert files == {out / entry.file for entry in store.videos.values()}
    assert not (out / "journal.jsonl").exists()
    return {name: (out / entry.file).stat().st_mtime_ns for name, entry in store.videos.items()}


@pytest.mark.parametrize("done", [0, 1])
def test_a_killed_run_goes_on_without_repeating_anything(folder, tmp_path, done):
    out = tmp_path / "out"
    process = start(folder, out)
    wait_for(lambda: len(finished(out)) >= done and partials(out), process)
    process.kill()
    # The pipes end when the last process that holds them has ended: the workers stop in the middle of their videos.
    process.communicate()
    assert partials(out)
    before = finished(out)
    assert done <= len(before) < COUNT
    with pytest.raises(InputError, match=f"not finished, {len(before)} of {COUNT} videos"):
        FrameStore(out)
    after = finish(folder, out)
    assert {name: after[name] for name in before} == before


def test_an_interrupted_run_says_how_to_go_on_and_leaves_nothing_unfinished(folder, tmp_path):
    out = tmp_path / "out"
    process = start(folder, out, start_new_session=True)
    wait_for(lambda: finished(out) and partials(out), process)
    # As Ctrl-C does: to all processes of the terminal.
    with contextlib.suppress(ProcessLookupError):
        subprocess.run(["kill", "-INT", "--", f"-{process.pid}"], check=True)
    said, errors = process.communicate(timeout=30)
    assert process.returncode in (1, -signal.SIGINT)
    assert f"videos stored so far: {len(finished(out))}; the same command continues" in said
    assert errors.count("Traceback") == 1, errors
    assert partials(out) == []
    finish(folder, out)


def test_a_worker_that_is_killed_costs_one_video(folder, tmp_path):
    out = tmp_path / "out"

    def kill_one():
        wait_for(lambda: partials(out))
        multiprocessing.active_children()[0].kill()

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.raises(InputError, match="1 of 3 videos failed .*was killed by SIGKILL; run again"):
        prepare_frames(dict.fromkeys(NAMES), folder, out, SETTINGS, processes=2)
    killer.join()
    assert len(finished(out)) == COUNT - 1
    finish(folder, out)


def test_a_disk_that_cannot_take_more_ends_the_run_in_one_line(folder, tmp_path):
    out = tmp_path / "out"

    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    process = start(folder, out, preexec_fn=limit_files)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "InputError" in errors
    assert "cannot be written (File too large" in errors
    assert partials(out) == []
    finish(folder, out)
