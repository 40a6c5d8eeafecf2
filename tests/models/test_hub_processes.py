"""Two processes that want the same checkpoint, one of which is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from stvg_jax.core import checkpoint
from tests.models.conftest import NAME

ROOT = Path(__file__).parents[2]

# Copies a checkpoint instead of converting the file, which would take seconds.
PROGRAM = f"""if True:
    import dataclasses, shutil, sys
    from huggingface_hub import constants
    constants.DOWNLOAD_CHUNK_SIZE = 10_000
    import stvg_jax.convert.convert_file as module
    from stvg_jax.models.catalogue import CATALOGUE
    from stvg_jax.models.names import find_checkpoint
    CATALOGUE[{NAME!r}] = dataclasses.replace(CATALOGUE[{NAME!r}], config="")
    module.convert_file = lambda source, out, **options: shutil.copytree(sys.argv[1], out)
    print(find_checkpoint({NAME!r}))
"""


def start(hub, tmp_path, converted):
    """A process that asks for the checkpoint, led by the variables that a user has."""
    settings = {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "0",
        "STVG_JAX_CACHE": str(tmp_path / "cache"),
    }
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(converted)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | settings,
    )


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_one_works_and_the_other_waits_and_takes_over(hub, repository, converted, tmp_path):
    repository.stall = threading.Event()
    stall = repository.stall
    first = start(hub, tmp_path, converted)
    folder = tmp_path / "cache" / "checkpoints"
    wait_for(lambda: any(path.stat().st_size for path in folder.rglob("*.partial")))
    second = start(hub, tmp_path, converted)
    assert f"{NAME} is being fetched by process {first.pid} on " in second.stderr.readline()
    first.kill()
    first.communicate()
    out, err = second.communicate(timeout=60)
    stall.set()
    assert (second.returncode, out.strip()) == (0, str(folder / NAME)), err
    assert checkpoint.verify(folder / NAME) == 1
    begun, continued = hub.asked("GET", "/cdn/Gstar666/TASTVG/0/TASTVG_HCSTVG.pth")
    assert (begun, continued > 0) == (0, True)
    assert sorted(path.name for path in folder.iterdir()) == [NAME, f"{NAME}.lock", f"{NAME}.source.json"]
