"""Who trains at which learning rate, name by name as in the released system."""

from __future__ import annotations

import json
import re

import pytest

from convert.formats.ta_stvg import FORMAT
from stvg_jax.grounding.ta_stvg import QUERY_KINDS, TASTVG, TASTVGConfig
from stvg_jax.grounding.task import learning_rate_rules
from stvg_jax.nn.functional import PureModule
from stvg_jax.train.optim import FROZEN, assign_groups
from tests.released import GOLDENS, manifest

NAMES = {
    "base": "base",
    "vis_encoder": "image_backbone",
    "text_encoder": "text",
    "time_decoder": "temporal_decoder",
    "classifier": "target_queries",
}


def paths_of(name: str) -> list[str]:
    """What the converter makes of a released tensor."""
    for pattern, replacement in FORMAT.aliases:
        name = re.sub(f"^{pattern}$", replacement, name)
    return [
        match.expand(t) for rule in FORMAT.rules if (match := re.fullmatch(rule.source, name)) for t in rule.targets
    ]


def test_groups_are_those_of_the_released_optimizer():
    config = TASTVGConfig()
    ours = assign_groups(PureModule(TASTVG(config)).declarations, learning_rate_rules(config))
    theirs = json.loads((GOLDENS / "tastvg_optimizer_groups.json").read_text())["groups"]
    expected = {path: NAMES[group] for group, names in theirs.items() for name in names for path in paths_of(name)}
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
