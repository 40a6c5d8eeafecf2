"""The notebooks run from beginning to end."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.py"))


def test_every_notebook_is_listed_and_executed_by_make():
    listed = re.findall(r"^\| `docs/notebooks/(\w+)\.py`", (FOLDER / "index.md").read_text(), flags=re.MULTILINE)
    executed = re.search(r"for name in ([\w ]+); do", (ROOT / "Makefile").read_text())[1].split()
    assert sorted(listed) == sorted(executed) == NOTEBOOKS


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(name, tmp_path):
    if missing := [name for name in ("jupytext", "nbconvert", "ipykernel") if importlib.util.find_spec(name) is None]:
        pytest.skip(f"{', '.join(missing)} not installed")
    written = tmp_path / f"{name}.ipynb"
    run = ["--to", "ipynb", "--execute", "--run-path", tmp_path, "--output", written, FOLDER / f"{name}.py"]
    # Lines with ! find the command of this environment.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "STVG_JAX_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-m", "jupytext", *run], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-5_000:]
    cells = [cell for cell in json.loads(written.read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in cells)
    shown = json.dumps([cell["outputs"] for cell in cells])
    assert "data:image/png;base64," in shown or name == "evaluation"
    assert not re.search(r"stvg-jax \w+: |not found", shown)
