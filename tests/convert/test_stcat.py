"""The released STCAT layout onto the model, and what tells it from its descendants'."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_jax.convert import convert_state_dict
from stvg_jax.convert.convert_file import convert_file
from stvg_jax.convert.formats import known_formats, recognise
from stvg_jax.convert.state_dict import declared_parameters, released_config
from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from tests.convert.test_initialisation import of_mdetr
from tests.released import blank_state_dict, manifest, state_dict_for
from tests.tiny import tiny_model_config
from tests.torch_files import save_zip

FORMATS = known_formats()
TIMES = "ground_decoder.time_embed.te"


@pytest.fixture(scope="module")
def config():
    return {"name": "stcat", "model": tiny_model_config(system="stcat"), "clip": {}}


@pytest.fixture(scope="module")
def tensors(config):
    return state_dict_for(declared_parameters(config), FORMATS["stcat"], manifest("stcat"))


def test_every_parameter_has_one_source_among_the_released_names():
    fmt = FORMATS["stcat"]
    declared = declared_parameters(released_config({}, fmt))
    named = {path: [n for rule in fmt.rules if (n := rule.source_of(path))] for path in declared}
    released = manifest("stcat")
    assert [path for path, names in named.items() if len(names) != 1 or names[0] not in released] == []


def test_every_name_of_the_release_is_known():
    assert [name for name in manifest("stcat") if not FORMATS["stcat"].knows(name)] == []


@pytest.mark.slow
def test_every_name_of_the_release_is_used_and_every_parameter_filled():
    parameters = convert_state_dict(blank_state_dict("stcat"), format="stcat")
    declared = declared_parameters(released_config({}, FORMATS["stcat"]))
    assert {p: v.shape for p, v in parameters.items()} == {p: tuple(d.shape) for p, d in declared.items()}


def test_values_land_where_the_names_say(tensors, config):
    out = convert_state_dict(tensors, format="stcat", config=config)
    for ours, theirs in (
        ("encoder/temporal_layers/0/ffn/up", "ground_encoder.encoder.temporal_layers.0.linear1"),
        ("template/anchor", "ground_decoder.template_generator.anchor_proj"),
        ("spatial_decoder/layers/1/sa_qtime_proj", "ground_decoder.decoder.layers.1.sa_qtime_proj"),
        ("box_head/layers/2", "ground_decoder.decoder.bbox_embed.layers.2"),
    ):
        np.testing.assert_array_equal(out[f"{ours}/kernel"], tensors[f"{theirs}.weight"].T)
        np.testing.assert_array_equal(out[f"{ours}/bias"], tensors[f"{theirs}.bias"])
    for ours, theirs in (("frame_token", "frame_cls"), ("frame_position", "local_pos_embed")):
        np.testing.assert_array_equal(out[f"encoder/{ours}"], tensors[f"ground_encoder.encoder.{theirs}.weight"])
    norm = tensors["ground_decoder.decoder.norm.weight"]
    np.testing.assert_array_equal(out["spatial_decoder/norm/scale"], norm)


def test_mdetr_as_a_start(tensors, config, tmp_path):
    """Of its decoder all that the layers share and the norm at the end; the cross-attention is of another kind."""
    width = config["model"]["transformer"]["width"]
    source = {of_mdetr(name): value for name, value in tensors.items()}
    source = {name: value for name, value in source.items() if FORMATS["mdetr_stcat"].claim(name)}
    beside = {"query_embed.weight", "class_embed.weight", "transformer.decoder.layers.0.cross_attn_image.out_proj.bias"}
    source |= {name: np.ones((100, width), np.float32) for name in sorted(beside)}
    path = save_zip(tmp_path / "mdetr.pth", {"model_ema": source})
    report = convert_file(path, tmp_path / "out", format="mdetr_stcat", config=config, verify=True)
    assert set(report["dropped"]) == beside
    start = checkpoint.read(tmp_path / "out", checkpoint.describe(tmp_path / "out"))
    whole = convert_state_dict(tensors, format="stcat", config=config)
    for name, value in start.items():
        np.testing.assert_array_equal(value, whole[name], err_msg=name)
    assert {"spatial_decoder/norm/scale", "encoder/layers/0/self_attn/out/kernel"} < start.keys()


def test_what_is_missing_or_unknown_is_listed(tensors, config):
    broken = {name: value for name, value in tensors.items() if name != "ground_decoder.decoder.norm.bias"}
    broken["vid.norm.weight"] = np.zeros(3, np.float32)
    with pytest.raises(InputError) as caught:
        convert_state_dict(broken, format="stcat", config=config)
    first, *lines = str(caught.value).split("\n")
    assert first == "the state dict, read as stcat, does not fit the model in 2 places:"
    assert sorted(lines) == [
        "+ unexpected 'vid.norm.weight' (3,)",
        "- missing ground_decoder.decoder.norm.bias, for spatial_decoder/norm/bias (32,)",
    ]


def test_copies_of_the_box_head_must_agree(tensors, config):
    name = "ground_decoder.decoder.bbox_embed.layers.0.bias"
    with pytest.raises(InputError, match=name):
        convert_state_dict(tensors | {name: tensors[name] + 1}, format="stcat", config=config)


def test_a_file_tells_which_system_it_is_of():
    names = {system: blank_state_dict(system) for system in ("stcat", "cgstvg", "tastvg")}
    assert [recognise(tensors, "x").name for tensors in names.values()] == ["stcat", "cg_stvg", "ta_stvg"]
    with pytest.raises(InputError, match="is not of format stcat: .*; it looks like cg_stvg"):
        convert_state_dict(names["cgstvg"], format="stcat")
    with pytest.raises(InputError, match="is not of format ta_stvg: .*; it looks like stcat"):
        convert_state_dict(names["stcat"], format="ta_stvg")


@pytest.mark.parametrize(("rows", "release"), [(201, "stcat_hcstvg1"), (301, "stcat_vidstg")])
def test_the_table_of_times_tells_the_dataset(rows, release):
    assert FORMATS["stcat"].release({TIMES: np.zeros((rows, 1, 256))}) == release
    assert FORMATS["stcat"].release({}) == "stcat_hcstvg1"
