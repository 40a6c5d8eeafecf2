"""Text from outside in messages."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from stvg_jax.core.errors import InputError, missing_extra, quoted

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "'plain'"),
        ("a\nOK: converted\x1b[31m", "'a\\nOK: converted\\x1b[31m'"),
        ("\ud83d", "'\\ud83d'"),
        (7, "'7'"),
        (None, "'None'"),
        ("x" * 120, repr("x" * 120)),
        ("x" * 121, repr("x" * 120) + "..."),
        (b"y" * 500, repr("b'" + "y" * 118) + "..."),
    ],
)
def test_quoted(value, shown):
    assert quoted(value) == shown


def test_a_missing_extra_is_told_with_what_works_from_a_clone_and_from_a_wheel():
    error = missing_extra("data", "loading needs TensorFlow")
    assert isinstance(error, InputError)
    assert str(error) == (
        "loading needs TensorFlow; pip install -e '.[data]' in a clone of stvg_jax, or pip install "
        "'./stvg_jax-...whl[data]'"
    )


def test_extras_are_told_in_one_way_and_exist():
    """The name of this package is on no index: `pip install stvg-jax` finds nothing, or something of somebody else."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    files = [file for top in ("stvg_jax", "configs", "convert", "data_pipeline") for file in (ROOT / top).rglob("*.py")]
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "pip install" not in text or file.name == "errors.py", file
        assert set(re.findall(r"(?:missing_extra|how_to_install)\([\"'](\w+)", text)) <= extras.keys(), file
    for file in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"):
        assert not re.search(r"pip install \S*stvg-jax", file.read_text(encoding="utf-8")), file
