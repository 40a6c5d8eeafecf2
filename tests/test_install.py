"""The project as a user installs it: one name in site-packages, and nothing that a folder of the user's can shadow."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("configs", "convert", "data_pipeline", "stvg_jax")


def test_every_package_is_listed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = [path.parent.relative_to(ROOT) for top in FOLDERS for path in (ROOT / top).rglob("__init__.py")]
    names = [".".join(folder.parts) for folder in folders]
    names = [name if name.split(".")[0] == "stvg_jax" else f"stvg_jax.{name}" for name in names]
    assert project["tool"]["setuptools"]["packages"] == sorted(names)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder like site-packages with what the wheel puts there."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in (*FOLDERS, "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    program = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", program], cwd=source, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


@pytest.fixture
def folder_of_a_user(tmp_path: Path) -> Path:
    """One whose modules have the names of the project's folders, and fail when they are imported."""
    for name in ("configs", "convert", "data_pipeline"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise AssertionError(__name__)\n")
        (tmp_path / f"{name}.py").write_text("raise AssertionError(__name__)\n")
    return tmp_path


def test_one_name_is_installed(installed):
    names = {path.name for path in installed.iterdir() if path.suffix != ".dist-info"}
    assert names == {"stvg_jax"}


def test_type_checkers_are_told_that_there_are_annotations(installed):
    assert (installed / "stvg_jax" / "py.typed").is_file()


def test_the_page_of_the_server_is_there(installed):
    names = {path.name for path in (installed / "stvg_jax" / "serve" / "assets").iterdir()}
    assert names == {"index.html", "page.css", "page.js", "openapi.json"}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        # The smallest model that the file can describe.
        (
            "inspect shapes --config.model.queries=zero --config.model.second_pass=False"
            " --config.model.transformer.decoder_layers=1 --config.model.transformer.encoder_layers=1",
            "ta_stvg, float32",
        ),
        ("ground missing.mp4 words", "missing.mp4"),
        ("convert missing.pth out", "missing.pth"),
        ("eval --config ta_stvg_hcstvg1 --checkpoint missing --out out", "missing"),
    ],
)
def test_commands_work_beside_modules_of_the_same_names(installed, folder_of_a_user, command, said):
    program = f"import sys; from stvg_jax.cli import entry; sys.argv = {['stvg-jax', *command.split()]}; entry()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder_of_a_user,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (0 if command.startswith("inspect") else 2), done.stderr
    assert said in done.stdout + done.stderr
    assert "AssertionError" not in done.stderr
