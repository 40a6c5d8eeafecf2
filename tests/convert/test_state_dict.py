"""The released TA-STVG layout onto the model: full size once, the refusals on a tiny one."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from stvg_jax.convert import convert_state_dict
from stvg_jax.convert.formats import known_formats
from stvg_jax.convert.state_dict import declared_parameters, released_config
from stvg_jax.core.errors import InputError
from tests.released import blank_state_dict, manifest, state_dict_for
from tests.tiny import tiny_config

FORMATS = known_formats()

HEADS = {
    "s_spatial_clas.head.bias": 0,
    "s_spatial_clas.head.decoder.weight": 0,
    "t_spatial_clas.head.bias": 1,
    "t_spatial_clas.head.decoder.weight": 1,
}


@pytest.fixture(scope="module")
def config():
    return tiny_config(vocab_size=64)


@pytest.fixture(scope="module")
def declared(config):
    return declared_parameters(config)


@pytest.fixture(scope="module")
def tensors(declared):
    return state_dict_for(declared, FORMATS["ta_stvg"], manifest())


def refused(tensors, config):
    with pytest.raises(InputError) as caught:
        convert_state_dict(tensors, config=config)
    first, *lines = str(caught.value).split("\n")
    assert first == f"the state dict, read as ta_stvg, does not fit the model in {len(lines)} places:"
    return lines


def test_every_name_of_the_release_is_used_and_every_parameter_filled():
    released = {f"module.{name}": value for name, value in blank_state_dict().items()}
    # Older versions of transformers kept this table in the state dict.
    released["module.text_encoder.body.embeddings.position_ids"] = np.arange(514)[None]
    parameters = convert_state_dict(released, format="ta_stvg")
    declared = declared_parameters(released_config(blank_state_dict(), FORMATS["ta_stvg"]))
    assert {p: v.shape for p, v in parameters.items()} == {p: tuple(d.shape) for p, d in declared.items()}
    assert all(value.dtype == np.float32 for value in parameters.values())


def test_the_head_of_the_vocabulary_tells_the_release():
    hcstvg = blank_state_dict()
    words = (20, 34)
    vidstg = hcstvg | {name: np.zeros((words[i], *hcstvg[name].shape[1:]), np.float32) for name, i in HEADS.items()}
    assert released_config(hcstvg, FORMATS["ta_stvg"])["model"]["sampling_threshold"] == 0.7
    config = released_config(vidstg, FORMATS["ta_stvg"])
    assert config["model"]["sampling_threshold"] == 0.45
    assert config["clip"]["sampling"] == "vidstg"
    declared = declared_parameters(config)
    assert declared["target_queries/appearance_activation/head/decoder/bias"].shape == (20,)
    assert declared["target_queries/motion_activation/head/decoder/kernel"].shape[1] == 34


def test_values_land_where_the_names_say(tensors, config):
    out = convert_state_dict(tensors, config=config)
    np.testing.assert_array_equal(out["motion_projection/kernel"], tensors["input_proj2.weight"][:, :, 0, 0].T)
    np.testing.assert_array_equal(
        out["resnet/stages/0/0/conv1/mean"], tensors["vis_encoder.0.body.layer1.0.bn1.running_mean"]
    )
    np.testing.assert_array_equal(
        out["temporal_decoder/layers/1/cross_attn/key/bias"],
        np.split(tensors["ground_decoder.time_decoder.layers.1.cross_attn_image.in_proj_bias"], 3)[1],
    )
    np.testing.assert_array_equal(
        out["swin/stages/2/1/attn/relative_position_bias_table"],
        tensors["vid.layers.2.blocks.1.attn.relative_position_bias_table"],
    )


def test_half_precision_becomes_float32(tensors, config):
    halves = {name: value.astype(np.float16) for name, value in tensors.items()}
    out = convert_state_dict(halves, config=config)
    assert {value.dtype for value in out.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(out["encoder/norm/scale"], halves["ground_encoder.encoder.norm.weight"])


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (np.float32, np.nan),
        (np.float32, -np.inf),
        (np.float16, np.inf),
        (np.float64, 1e300),  # infinite as float32
        (ml_dtypes.bfloat16, np.nan),
        (ml_dtypes.float8_e4m3fn, np.nan),
        (ml_dtypes.float8_e5m2, np.inf),
    ],
)
def test_values_that_are_not_finite(dtype, value, tensors, config):
    name = "input_proj2.bias"
    broken = tensors | {name: tensors[name].astype(dtype)}
    assert convert_state_dict(broken, config=config)["motion_projection/bias"].dtype == np.float32
    broken[name][3] = value
    with pytest.raises(InputError, match=rf"not finite .* in '{name}' \(1\); choose an earlier checkpoint"):
        convert_state_dict(broken, config=config)
    out = convert_state_dict(broken, config=config, allow_nonfinite=True)["motion_projection/bias"]
    assert np.isfinite(out).sum() == len(out) - 1


def test_useless_tensors_need_not_be_finite(tensors, config):
    name = "text_encoder.body.pooler.dense.weight"
    found = convert_state_dict(tensors | {name: np.full(1, np.nan, np.float32)}, config=config)
    assert all(np.isfinite(value).all() for value in found.values())


def test_wrapped_names(tensors, config):
    expected = convert_state_dict(tensors, config=config)
    wrapped = {
        f"model.module.{name.replace('.layers.', '.layers._orig_mod.')}": value for name, value in tensors.items()
    }
    found = convert_state_dict(wrapped, config=config)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[path], expected[path]) for path in expected)
    two = {f"{model}.{name}": value for model in ("student", "teacher") for name, value in tensors.items()}
    with pytest.raises(InputError, match=r"several models, whose names begin with 'student\.', 'teacher\.'"):
        convert_state_dict(two, config=config)


def test_all_offenders_are_listed_by_the_names_of_the_file(tensors, config):
    broken = dict(tensors)
    for name in (
        "ground_encoder.encoder.spatial_layers.1.linear1.weight",
        "text_encoder.body.encoder.layer.0.attention.self.key.bias",
        "ground_decoder.decoder.layers.0.sa_qtime_proj.weight",
        "ground_encoder.encoder.spatial_layers.0.self_attn.in_proj_weight",
        "bbox_embed.layers.0.weight",
    ):
        del broken[name]
    broken["input_proj.weight"] = np.zeros((32, 8, 1, 1), np.float32)
    broken["ground_encoder.encoder.spatial_layers.1.self_attn.in_proj_bias"] = np.zeros(95, np.float32)
    broken["t_temporal_clas.head.bias"] = broken["t_temporal_clas.head.bias"].astype(np.int64)
    broken["ground_decoder.time_embed2.layers.0.bias"] = broken["ground_decoder.time_embed2.layers.0.bias"] + 1
    broken["ground_encoder.encoder.spatial_layers.2.linear1.weight"] = np.zeros((64, 32), np.float32)
    broken["ground_decoder.decoder.template"] = np.zeros((2, 3), np.float32)
    lines = refused(broken, config)
    assert sorted(lines) == sorted(
        [
            "- missing ground_encoder.encoder.spatial_layers.1.linear1.weight, "
            "for encoder/layers/1/ffn/up/kernel (32, 64)",
            "- missing text_encoder.body.encoder.layer.0.attention.self.key.bias, "
            "for roberta/layers/0/attention/key/bias (32,)",
            "- missing ground_decoder.decoder.layers.0.sa_qtime_proj.weight, "
            "for spatial_decoder/layers/0/sa_qtime_proj/kernel (32, 32)",
            "- missing ground_encoder.encoder.spatial_layers.0.self_attn.in_proj_weight, for "
            + " and ".join(f"encoder/layers/0/self_attn/{part}/kernel (32, 32)" for part in ("key", "query", "value")),
            "- missing 'bbox_embed.layers.0.weight', "
            "whose second name is 'ground_decoder.decoder.bbox_embed.layers.0.weight'",
            "- missing bbox_embed.layers.0.weight, for box_head/layers/0/kernel (32, 32)",
            "! 'input_proj.weight' gives appearance_projection/kernel the shape (8, 32); the model needs (256, 32)",
            "! 'ground_encoder.encoder.spatial_layers.1.self_attn.in_proj_bias' has shape (95,), which "
            "encoder/layers/1/self_attn/query/bias and encoder/layers/1/self_attn/key/bias and "
            "encoder/layers/1/self_attn/value/bias cannot be made of",
            "! 't_temporal_clas.head.bias' holds int64 values; a parameter is floating point",
            "! 'ground_decoder.time_embed2.layers.0.bias' differs from 'action_embed.layers.0.bias'; "
            "they are two names of one parameter",
            "+ unexpected 'ground_encoder.encoder.spatial_layers.2.linear1.weight', "
            "for 'encoder/layers/2/ffn/up/kernel'",
            "+ unexpected 'ground_decoder.decoder.template' (2, 3)",
        ]
    )


def test_every_parameter_has_one_source_among_the_released_names():
    declared = declared_parameters(released_config({}, FORMATS["ta_stvg"]))
    rules = FORMATS["ta_stvg"].rules
    named = {path: [n for rule in rules if (n := rule.source_of(path))] for path in declared}
    released = manifest()
    assert [path for path, names in named.items() if len(names) != 1 or names[0] not in released] == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "ta_stvg"}, "the configuration lacks model"),
        ({}, "the configuration lacks model and name"),
        ({"name": "tb_stvg", "model": {}}, "model 'tb_stvg' is unknown"),
        ({"name": "ta_stvg", "model": {"widht": 3}}, "config.model.widht is unknown"),
    ],
)
def test_configurations_of_no_model(wrong, message, tensors):
    with pytest.raises(InputError, match=message):
        convert_state_dict(tensors, config=wrong)


def test_formats_by_name():
    with pytest.raises(
        InputError,
        match="formats: ta_stvg, cg_stvg, tubedetr, stcat, stgt, alpro, alpro_original, mdetr, .*, video_swin, roberta",
    ):
        convert_state_dict({}, format="pytorch")
    with pytest.raises(
        InputError, match="is not of format mdetr: .* transformer.resizer.*; it looks like ta_stvg, a rel"
    ):
        convert_state_dict(blank_state_dict(), format="mdetr")
    with pytest.raises(InputError, match=r"is not of format ta_stvg: it has no tensor named \[st\]_.*_clas\.\*$"):
        convert_state_dict({}, format="ta_stvg")
    with pytest.raises(InputError, match="has no known format: it holds nothing"):
        convert_state_dict({})
