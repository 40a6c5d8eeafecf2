"""The released CG-STVG layout onto the model, and what tells it from TA-STVG's."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_jax.convert import convert_state_dict
from stvg_jax.convert.formats import known_formats, recognise
from stvg_jax.convert.state_dict import declared_parameters, released_config
from stvg_jax.core.errors import InputError
from tests.released import blank_state_dict, manifest, state_dict_for
from tests.tiny import tiny_config, tiny_model_config

FORMATS = known_formats()

DECODER = "ground_decoder.decoder"


@pytest.fixture(scope="module")
def config():
    return {"name": "cg_stvg", "model": tiny_model_config(system="cg_stvg"), "clip": {}}


@pytest.fixture(scope="module")
def tensors(config):
    return state_dict_for(declared_parameters(config), FORMATS["cg_stvg"], manifest("cgstvg"))


def test_every_parameter_has_one_source_among_the_released_names():
    fmt = FORMATS["cg_stvg"]
    declared = declared_parameters(released_config({}, fmt))
    named = {path: [n for rule in fmt.rules if (n := rule.source_of(path))] for path in declared}
    released = manifest("cgstvg")
    assert [path for path, names in named.items() if len(names) != 1 or names[0] not in released] == []


@pytest.mark.slow
def test_every_name_of_the_release_is_used_and_every_parameter_filled():
    parameters = convert_state_dict(blank_state_dict("cgstvg"), format="cg_stvg")
    declared = declared_parameters(released_config({}, FORMATS["cg_stvg"]))
    assert {p: v.shape for p, v in parameters.items()} == {p: tuple(d.shape) for p, d in declared.items()}


def test_values_land_where_the_names_say(tensors, config):
    out = convert_state_dict(tensors, format="cg_stvg", config=config)
    for ours, theirs in (
        ("spatial_decoder/layers/1/context_attn/attention/query", f"{DECODER}.layers.1.ca2.attention.self.query"),
        ("instance_context/motion_mlp/layers/1", f"{DECODER}.gf_mlp2.layers.1"),
        ("instance_context/appearance_confidence/layers/0", f"{DECODER}.conf.layers.0"),
    ):
        np.testing.assert_array_equal(out[f"{ours}/kernel"], tensors[f"{theirs}.weight"].T)
        np.testing.assert_array_equal(out[f"{ours}/bias"], tensors[f"{theirs}.bias"])


def test_what_is_missing_or_unknown_is_listed(tensors, config):
    broken = {name: value for name, value in tensors.items() if name != f"{DECODER}.conf2.layers.1.bias"}
    broken[f"{DECODER}.ca.weight"] = np.zeros((2, 3), np.float32)
    with pytest.raises(InputError) as caught:
        convert_state_dict(broken, format="cg_stvg", config=config)
    first, *lines = str(caught.value).split("\n")
    assert first == "the state dict, read as cg_stvg, does not fit the model in 2 places:"
    assert sorted(lines) == [
        f"+ unexpected '{DECODER}.ca.weight' (2, 3)",
        f"- missing {DECODER}.conf2.layers.1.bias, for instance_context/motion_confidence/layers/1/bias (1,)",
    ]


def test_a_file_tells_which_system_it_is_of():
    ours, theirs = blank_state_dict("cgstvg"), blank_state_dict("tastvg")
    assert recognise(ours, "x").name == "cg_stvg"
    assert recognise(theirs, "x").name == "ta_stvg"
    reason = (
        r"it has no tensor named ground_decoder.decoder.layers.N.ca2.\* nor ground_decoder.decoder.conf.\*; it looks"
    )
    with pytest.raises(InputError, match=rf"is not of format cg_stvg: {reason} like ta_stvg"):
        convert_state_dict(theirs, format="cg_stvg")
    with pytest.raises(InputError, match="is not of format ta_stvg: .*; it looks like cg_stvg"):
        convert_state_dict(ours, format="ta_stvg")


def test_a_configuration_of_the_other_system_is_refused(tensors):
    with pytest.raises(InputError, match="holds a cg_stvg model, but the configuration is of ta_stvg"):
        convert_state_dict(tensors, format="cg_stvg", config=tiny_config(64))
