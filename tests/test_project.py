"""The files that present the project to others agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

from stvg_jax import __version__
from stvg_jax.core.registry import FAMILIES, get_family
from tests.families.test_checklists import OWN

ROOT = Path(__file__).parents[1]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read_yaml(name: str) -> dict:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_one_version():
    assert project()["version"] == __version__
    assert read_yaml("CITATION.cff")["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_citation_has_what_the_format_requires():
    citation = read_yaml("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["license"] == project()["license"]
    for paper in citation["references"]:
        assert {"type", "title", "authors", "year"} <= set(paper)


def test_every_system_is_linked_to_its_released_code():
    """Labels of addresses have at most 32 characters on package indexes."""
    urls = project()["urls"]
    systems = {label.removesuffix(" (released code)").lower().replace("-", "_") for label in urls}
    assert systems == {name for name in FAMILIES if get_family(name).evaluator} - OWN
    assert all(len(label) <= 32 and url.startswith("https://") for label, url in urls.items())


def test_workflows_run_targets_of_the_makefile_on_the_versions_that_are_promised():
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    jobs = read_yaml(".github/workflows/test.yml")["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert {command.split()[0] for command in commands} == {"make"}
    assert {command.split()[1] for command in commands} <= targets
    assert all("timeout-minutes" in job for job in jobs.values())
    versions = {case["python"] for case in jobs["test"]["strategy"]["matrix"]["include"]}
    assert "3.11" in versions
    assert versions <= {classifier.rpartition(" ")[2] for classifier in project()["classifiers"]}


def test_actions_are_pinned_by_their_major_version():
    jobs = read_yaml(".github/workflows/test.yml")["jobs"]
    used = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", action) for action in used)
