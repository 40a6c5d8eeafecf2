"""Settings in nested dictionaries, compared."""

from stvg_jax.core.tree import differing_settings

NOW = {"name": "a", "clip": {"rows": 420, "rule": "squeezed"}, "train": {"steps": 8}}


def test_settings_that_differ():
    assert differing_settings(NOW, NOW) == {}
    before = {"name": "a", "clip": {"rows": 224, "rule": "squeezed"}, "train": {"steps": 8, "old": 1}}
    assert differing_settings(before, NOW) == {"clip.rows": [224, 420], "train.old": [1, None]}


def test_settings_that_an_earlier_version_lacked_have_their_defaults():
    before = {"name": "a", "clip": {"rows": 420}, "train": {"steps": 8}}
    assert differing_settings(before, NOW) == {"clip.rule": [None, "squeezed"]}
    assert differing_settings(before, NOW, {"clip": {"rule": "squeezed"}}) == {}
    assert differing_settings(before, NOW, {"clip": {"rule": "kept"}}) == {"clip.rule": ["kept", "squeezed"]}
    # A setting that is gone now is one that differs, and a default never takes the place of what was set.
    assert differing_settings(before, {"name": "a"}, {"clip": {"rows": 1}}) == {
        "clip.rows": [420, None],
        "train.steps": [8, None],
    }


def test_parts_of_a_list_of_settings_are_compared_one_by_one():
    before, now = [{"a": 1}, "float32"], [{"a": 1, "queries": "zero"}, "bfloat16"]
    assert differing_settings({"model": before}, {"model": now}, {"model": [{"queries": "zero"}]}) == {
        "model.1": ["float32", "bfloat16"]
    }
    assert differing_settings({"drops": [1, 2]}, {"drops": [1]}) == {"drops": [[1, 2], [1]]}
