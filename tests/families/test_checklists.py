"""Every family, dataset and backbone is as CONTRIBUTING.md asks."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from stvg_jax.core.config import load_config_file
from stvg_jax.core.registry import FAMILIES, get_family
from stvg_jax.data_pipeline.datasets.registry import MODULES

ROOT = Path(__file__).parents[2]
# Families of this library, of which nobody has released a model.
OWN = {"dual_encoder"}
WHOLE = [name for name in FAMILIES if get_family(name).evaluator is not None]


@pytest.mark.parametrize("name", WHOLE)
def test_a_family_has_configurations_a_format_and_golden_numbers(name):
    configurations = [path.stem for path in (ROOT / "configs").glob("*.py") if "\ndef get_config" in path.read_text()]
    assert name in {load_config_file(Path(stem))["name"] for stem in configurations}
    if name in OWN:
        return
    assert name in {importlib.import_module(module).FORMAT.name for module in get_family(name).formats}
    kinds = {path.stem.split("_")[1] for path in (ROOT / "tests" / "goldens").glob(f"{name.replace('_', '')}_*")}
    # Losses and gradients of ALPRO stand in the case of its evaluation.
    assert kinds >= ({"manifest", "eval"} if name == "alpro" else {"manifest", "eval", "losses", "train"})
    assert name in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_familys_losses_and_learning_rates_are_those_of_its_parameters(name):
    """Each group that its rules give has a rate, and each rate a group, whatever is frozen."""
    family = get_family(name)
    groups = {group for _, group in family.groups(family.config())} - {"frozen"}
    assert groups <= vars(family.learning_rates()).keys()


def test_only_the_registry_names_a_family():
    """Modules of the family itself, configurations, records of released files and texts apart."""
    own = ("stvg_jax/grounding/", "stvg_jax/retrieval/", "stvg_jax/core/registry.py", "configs/", "convert/formats/")
    own += ("stvg_jax/models/catalogue.py",)
    found = []
    for folder in ("stvg_jax", "configs", "convert", "data_pipeline"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            place = path.relative_to(ROOT).as_posix()
            code = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if not _is_text(line))
            if not place.startswith(own):
                found += [f"{place}: {name}" for name in FAMILIES if f'"{name}"' in code]
    assert found == []


def _is_text(line: str) -> bool:
    return line.lstrip().startswith(("#", '"""', "-"))


@pytest.mark.parametrize("name", MODULES)
def test_a_dataset_is_described(name):
    described = (ROOT / "docs" / "annotations.md").read_text(encoding="utf-8")
    assert f"--dataset {name}" in described or f"`{name}`" in described or f'"{name}"' in described


@pytest.mark.parametrize(
    "module", sorted((ROOT / "stvg_jax" / "backbones").glob("[!_]*.py")), ids=lambda path: path.stem
)
def test_a_backbone_is_tested(module):
    tests = "\n".join(path.read_text() for path in (ROOT / "tests" / "backbones").glob("test_*.py"))
    assert f"stvg_jax.backbones.{module.stem}" in tests
