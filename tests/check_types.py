"""Type check of the packages as they are installed: `python -m tests.check_types [OPTION OF PYRIGHT ...]`.

pyright knows nothing of setuptools' `package-dir`, and would not find `stvg_jax.configs` in the folder `configs`. It is
shown links to the files, laid out by the same list.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYOUT = ROOT / "build" / "types"  # as in [tool.pyright] of pyproject.toml


def lay_out() -> None:
    """Links to all sources, in folders named after their packages."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    shutil.rmtree(LAYOUT, ignore_errors=True)
    for package in setuptools["packages"]:
        # The longest name in `package-dir` that the package lies below.
        parent = max((p for p in setuptools["package-dir"] if f"{package}.".startswith(f"{p}.")), key=len)
        below = package.removeprefix(parent).strip(".").replace(".", "/")
        target = LAYOUT / package.replace(".", "/")
        target.mkdir(parents=True)
        for source in (ROOT / setuptools["package-dir"][parent] / below).glob("*.py"):
            (target / source.name).symlink_to(source)


if __name__ == "__main__":
    lay_out()
    if sys.argv[1:] == ["--lay-out-only"]:
        sys.exit(0)
    command = [sys.executable, "-m", "pyright", "--threads", "--pythonpath", sys.executable, *sys.argv[1:]]
    sys.exit(subprocess.run(command, cwd=ROOT, check=False).returncode)
