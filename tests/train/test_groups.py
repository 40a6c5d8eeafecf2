"""The learning rate of each parameter, name by name as in the released systems."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from stvg_jax.convert.formats import known_formats
from stvg_jax.core.config import load_config_file
from stvg_jax.core.registry import get_family
from stvg_jax.experiment.building import Experiment
from stvg_jax.grounding.cg_stvg import CGSTVG, CGSTVGConfig
from stvg_jax.grounding.query_config import QUERY_KINDS
from stvg_jax.grounding.ta_stvg import TASTVG, TASTVGConfig
from stvg_jax.grounding.task import learning_rate_rules
from stvg_jax.grounding.tubedetr import TubeDETR, TubeDETRConfig, tubedetr_learning_rate_rules
from stvg_jax.nn.declare import PureModule
from stvg_jax.train.optim import FROZEN, assign_groups, assign_uses
from tests.released import GOLDENS, manifest
from tests.train.golden import GROUPS, paths_of

FORMATS = known_formats()


def test_groups_are_those_of_the_released_optimizer():
    config = TASTVGConfig()
    ours = assign_groups(PureModule(TASTVG(config)).declarations, learning_rate_rules(config))
    theirs = json.loads((GOLDENS / "tastvg_optimizer_groups.json").read_text())["groups"]
    expected = {path: GROUPS[group] for group, names in theirs.items() for name in names for path in paths_of(name)}
    assert len(expected) == 1000
    trained = {name for names in theirs.values() for name in names}
    frozen = {path for name in manifest() if name not in trained for path in paths_of(name)} - set(expected)
    assert ours == {path: expected.get(path, FROZEN) for path in ours}
    assert {path for path, group in ours.items() if group == FROZEN} == frozen
    assert set(expected) <= set(ours)


@pytest.mark.parametrize("queries", QUERY_KINDS)
def test_rules_fit_every_kind_of_query(queries):
    config = TASTVGConfig(queries=queries, second_pass=False)
    groups = assign_groups(PureModule(TASTVG(config)).declarations, learning_rate_rules(config))
    assert ("target_queries" in groups.values()) == (queries != "zero")


def cg_group(name: str) -> str:
    """As `engine/optimizer.py` of CG-STVG tells groups by names."""
    for part, group in (
        ("vis_encoder", "image_backbone"),
        ("text_encoder", "text"),
        ("ground_decoder.time_decoder", "temporal_decoder"),
    ):
        if part in name:
            return group
    return "base"


def test_groups_of_cg_stvg():
    config, fmt = CGSTVGConfig(), FORMATS["cg_stvg"]
    ours = assign_groups(PureModule(CGSTVG(config)).declarations, learning_rate_rules(config))
    trainable = json.loads((GOLDENS / "cgstvg_manifest.json").read_text())["trainable"]
    names = [name for name in manifest("cgstvg") if trainable.get(name)]
    expected = {path: cg_group(name) for name in names for path in paths_of(name, fmt)}
    assert ours == {path: expected.get(path, FROZEN) for path in ours}
    assert set(expected) <= set(ours)
    assert {*ours.values()} == {"base", "image_backbone", "text", "temporal_decoder", FROZEN}


def test_groups_of_stcat():
    family, fmt = get_family("stcat"), FORMATS["stcat"]
    config = family.config()
    ours = assign_groups(family.declarations(config), family.groups(config))
    theirs = json.loads((GOLDENS / "stcat_optimizer_groups.json").read_text())
    expected = {path: GROUPS.get(group, group) for name, group in theirs.items() for path in paths_of(name, fmt)}
    # Batch norms are no parameters in the release.
    assert ours == {path: expected.get(path, FROZEN) for path in ours}
    assert {name for name in theirs if not paths_of(name, fmt) and not fmt.reason_to_drop(name)} == set()
    assert {*ours.values()} == {"base", "image_backbone", "text", "temporal_decoder", FROZEN}


def test_parameters_that_the_release_skips_when_no_frame_gives_context():
    config, fmt = CGSTVGConfig(), FORMATS["cg_stvg"]
    ours = assign_uses(PureModule(CGSTVG(config)).declarations, config.uses)
    unused = set(json.loads((GOLDENS / "cgstvg_unused_parameters.json").read_text()))
    expected = {}
    for name in sorted(set(manifest("cgstvg")) - unused):
        if match := re.match(r"ground_decoder\.decoder\.(?:layers\.(\d)\.ca2|gf_mlp2?)\.", name):
            expected |= dict.fromkeys(paths_of(name, fmt), f"context_{match[1]}" if match[1] else "context")
    assert ours == expected
    assert len(ours) == 5 * 16 + 2 * 4
    for name, wanted in (("cg_stvg_hcstvg1", expected), ("ta_stvg_hcstvg1", {})):
        assert Experiment.build(load_config_file(Path(name))).uses == wanted


def test_groups_of_tubedetr():
    """Unlike in the others, the projection of the text's tokens learns with the rest."""
    config, fmt = TubeDETRConfig(), FORMATS["tubedetr"]
    ours = assign_groups(PureModule(TubeDETR(config)).declarations, tubedetr_learning_rate_rules(config))
    theirs = json.loads((GOLDENS / "tubedetr_optimizer_groups.json").read_text())
    names = {"base": "base", "backbone": "image_backbone", "text_encoder": "text", "frozen": FROZEN}
    expected = {path: names[group] for name, group in theirs.items() for path in paths_of(name, fmt)}
    assert ours == {path: expected.get(path, FROZEN) for path in ours}
    assert set(expected) <= set(ours)
    assert {*ours.values()} == {*names.values()}
