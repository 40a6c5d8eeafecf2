"""The image, as far as it can be made without a daemon."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.test_install import FOLDERS

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) of the Dockerfile, in order."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def let_through() -> list[str]:
    """Names at the top of the repository that the build sees."""
    lines = (ROOT / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    return [rule.removeprefix("!") for rule in rules if rule.startswith("!")]


def test_the_command_runs_as_a_user_without_rights():
    steps = instructions()
    names = [name for name, _ in steps]
    assert names[-2:] == ["ENTRYPOINT", "CMD"]
    assert json.loads(steps[-2][1]) == ["stvg-jax"]
    assert json.loads(steps[-1][1]) == ["--help"]
    last = max(number for number, name in enumerate(names) if name == "RUN")
    assert names.index("USER") > last
    assert dict(steps)["USER"] == "user"
    assert "useradd" in steps[last][1]
    caches = re.findall(r"=(/\S+)", dict(steps)["ENV"])
    assert dict(steps)["VOLUME"] == "/cache"
    assert caches == ["/cache/stvg_jax", "/cache/huggingface"]


def test_the_build_sees_what_the_wheel_is_made_of():
    assert sorted(let_through()) == sorted([*FOLDERS, "pyproject.toml", "README.md", "LICENSE"])


@pytest.mark.slow
def test_the_steps_make_a_command_that_starts(tmp_path):
    """With packages of this environment in the place of those that pip would fetch."""
    source, wheels, venv = tmp_path / "source", tmp_path / "wheels", tmp_path / "venv"
    source.mkdir()
    for name in let_through():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    build, install = (step for name, step in instructions() if name == "RUN" and step.startswith("pip "))

    def run(step: str, *options: str, pip: str = f"{sys.executable} -m pip") -> None:
        command = step.replace("/wheels", str(wheels)).replace("${EXTRAS}", "serve")
        command = command.replace("pip ", f"{pip} ", 1) + " " + " ".join(options)
        subprocess.run(["bash", "-ec", command], cwd=source, check=True, timeout=300)

    run(build, "--no-build-isolation")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    run(install, "--no-deps", "--no-index", pip=f"{sys.executable} -m pip --python {venv}/bin/python")
    (folder,) = (venv / "lib").glob("python*/site-packages")
    (folder / "packages.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    done = subprocess.run(
        [venv / "bin" / "stvg-jax", "inspect", "shapes"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "ta_stvg, float32" in done.stdout
