"""The released TubeDETR layout onto the model, and what tells it from the others."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stvg_jax.convert import convert_state_dict
from stvg_jax.convert.convert_file import _TOKENIZERS, convert_file, summary
from stvg_jax.convert.formats import known_formats, recognise
from stvg_jax.convert.formats.tubedetr import settings
from stvg_jax.convert.readers import Opaque
from stvg_jax.convert.state_dict import declared_parameters, released_config
from stvg_jax.core import checkpoint
from stvg_jax.core.config import load_config_file
from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import default_config
from tests.released import blank_state_dict, manifest, state_dict_for
from tests.tiny import tiny_config, tiny_model_config
from tests.torch_files import Object, save_zip

FORMATS = known_formats()


@pytest.fixture(scope="module")
def config():
    return {"name": "tubedetr", "model": tiny_model_config(system="tubedetr"), "clip": {}}


@pytest.fixture(scope="module")
def tensors(config):
    return state_dict_for(declared_parameters(config), FORMATS["tubedetr"], manifest("tubedetr"))


def test_every_parameter_has_one_source_among_the_released_names():
    fmt = FORMATS["tubedetr"]
    declared = declared_parameters(released_config({}, fmt))
    named = {path: [n for rule in fmt.rules if (n := rule.source_of(path))] for path in declared}
    released = manifest("tubedetr")
    assert [path for path, names in named.items() if len(names) != 1 or names[0] not in released] == []


@pytest.mark.slow
def test_every_name_of_the_release_is_used_and_every_parameter_filled():
    parameters = convert_state_dict(blank_state_dict("tubedetr"), format="tubedetr")
    declared = declared_parameters(released_config({}, FORMATS["tubedetr"]))
    assert {p: v.shape for p, v in parameters.items()} == {p: tuple(d.shape) for p, d in declared.items()}


def test_values_land_where_the_names_say(tensors, config):
    out = convert_state_dict(tensors, format="tubedetr", config=config)
    for ours, theirs in (
        ("fast_branch/project", "transformer.fast_encoder"),
        ("fast_branch/residual", "transformer.fast_residual"),
        ("decoder/layers/1/cross_attn/out", "transformer.decoder.layers.1.cross_attn_image.out_proj"),
        ("decoder/layers/1/self_attn/out", "transformer.decoder.layers.1.self_attn.out_proj"),
        ("start_end_head/layers/1", "sted_embed.layers.1"),
        ("text_projection/fc", "transformer.resizer.fc"),
    ):
        np.testing.assert_array_equal(out[f"{ours}/kernel"], tensors[f"{theirs}.weight"].T)
        np.testing.assert_array_equal(out[f"{ours}/bias"], tensors[f"{theirs}.bias"])
    np.testing.assert_array_equal(out["query/embedding"], tensors["query_embed.weight"])


@pytest.mark.parametrize(("fast", "fewer"), [("gating", 2), ("off", 4)])
def test_other_fast_branches_have_their_own_tensors(tensors, config, fast, fewer):
    """A file of another branch is refused with what it lacks, and read with the switch that made it."""
    other = config | {"model": config["model"] | {"fast": fast}}
    names = declared_parameters(other)
    own = {n: v for n, v in tensors.items() if _kept(n, names)}
    assert len(tensors) - len(own) == fewer
    assert set(convert_state_dict(own, format="tubedetr", config=other)) == set(names)
    with pytest.raises(InputError, match=f"does not fit the model in {fewer} places"):
        convert_state_dict(own, format="tubedetr", config=config)


def _kept(name: str, declared) -> bool:
    claim = FORMATS["tubedetr"].claim(name)
    return claim is None or all(claim[1].expand(target) in declared for target in claim[0].targets)


def test_what_is_missing_or_unknown_is_listed(tensors, config):
    broken = {name: value for name, value in tensors.items() if name != "transformer.fast_residual.bias"}
    broken["transformer.decoder.layers.0.norm2.weight"] = np.zeros(3, np.float32)
    with pytest.raises(InputError) as caught:
        convert_state_dict(broken, format="tubedetr", config=config)
    first, *lines = str(caught.value).split("\n")
    assert first == "the state dict, read as tubedetr, does not fit the model in 2 places:"
    assert sorted(lines) == [
        "+ unexpected 'transformer.decoder.layers.0.norm2.weight' (3,)",
        "- missing transformer.fast_residual.bias, for fast_branch/residual/bias (32,)",
    ]


def test_a_file_tells_which_system_it_is_of():
    ours = blank_state_dict("tubedetr")
    assert recognise(ours, "x").name == "tubedetr"
    for other in ("tastvg", "cgstvg"):
        theirs = blank_state_dict(other)
        assert recognise(theirs, "x").name == {"tastvg": "ta_stvg", "cgstvg": "cg_stvg"}[other]
        with pytest.raises(InputError, match="is not of format tubedetr: it has no tensor named transformer.decoder"):
            convert_state_dict(theirs, format="tubedetr")
    with pytest.raises(InputError, match="is not of format ta_stvg: .*; it looks like tubedetr"):
        convert_state_dict(ours, format="ta_stvg")


def test_mdetr_is_not_taken_for_it():
    """It has the same encoder and decoder, and no start and end."""
    names = {name for name in manifest("tubedetr") if not name.startswith(("sted_embed", "transformer.fast_"))}
    assert recognise(names, "x").name == "mdetr"


def test_a_configuration_of_another_system_is_refused(tensors):
    with pytest.raises(InputError, match="holds a tubedetr model, but the configuration is of ta_stvg"):
        convert_state_dict(tensors, format="tubedetr", config=tiny_config(64))


def test_the_default_model_is_that_of_the_release():
    released = {**released_config({}, FORMATS["tubedetr"])["model"]}
    assert released["stride"] == default_config("tubedetr")["stride"] == 4


def save(path: Path, tensors, **arguments: Any) -> Path:
    args = Object("argparse.Namespace", state=arguments)
    return save_zip(path, {"model": OrderedDict(tensors), "args": args, "epoch": 3})


@pytest.fixture
def convert(config, tmp_path, monkeypatch):
    """Converts a file of a tiny model as the release's own configuration."""
    published = load_config_file(Path("tubedetr_hcstvg1"))
    monkeypatch.setattr(
        "stvg_jax.convert.convert_file.released_config", lambda *_: {**published, "model": config["model"]}
    )
    words = config["model"]["roberta"]["vocab_size"]
    monkeypatch.setitem(_TOKENIZERS, "roberta", lambda *_: words)
    return lambda source: convert_file(source, tmp_path / "out")


def test_a_file_tells_stride_size_and_rate_by_its_own_arguments(tensors, convert, tmp_path):
    arguments = {"stride": 2, "resolution": 224, "fps": 4, "video_max_len": 100, "video_max_len_train": 100}
    arguments |= {"combine_datasets": ["vidstg"], "pass_pos_and_query": True, "fast": True, "fast_mode": "pool"}
    report = convert(save(tmp_path / "k2.pth", tensors, **arguments))
    described = checkpoint.describe(tmp_path / "out").config
    assert (described["model"]["stride"], described["model"]["fast"]) == (2, "pool")
    expected = {"resolution": 224, "frames_per_pass": 100, "sample_fps": 4.0, "sampling": "tubedetr_vidstg"}
    assert report["settings"]["clip"] == expected
    expected["sizing"] = "five_to_three"
    assert {name: described["clip"][name] for name in expected} == expected
    assert "told by the file: stride 2, fast pool, along_time True, time sine" in summary(report).splitlines()


@pytest.mark.parametrize(("read", "limit", "at_once"), [(60, 200, 60), (200, 200, None), (200, 100, None)])
def test_a_model_for_fewer_frames_sees_them_in_parts(read, limit, at_once):
    clip = settings({"args": {"stride": 4, "video_max_len_train": read, "video_max_len": limit}})["clip"]
    assert clip == {"frames_per_pass": limit} | ({} if at_once is None else {"frames_at_once": at_once})


def test_a_file_without_arguments_is_that_of_the_release(tensors, convert, tmp_path):
    report = convert(save_zip(tmp_path / "plain.pth", {"model_ema": OrderedDict(tensors)}))
    described = checkpoint.describe(tmp_path / "out").config
    assert (described["model"]["stride"], described["clip"]["resolution"]) == (4, 352)
    assert report["settings"] == {}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"stride": 0, "fast": False}, {"stride": 1, "fast": "off"}),
        ({"stride": 5, "no_tsa": True, "no_time_embed": True}, {"stride": 5, "along_time": False, "time": "none"}),
        ({"stride": 5, "learn_time_embed": True, "fast_mode": ""}, {"fast": "residual", "time": "learned"}),
    ],
)
def test_switches_of_the_ablations(arguments, told):
    found = settings({"args": arguments})
    assert found["model"] == {"stride": 4, "fast": "residual", "along_time": True, "time": "sine"} | (
        {"stride": arguments["stride"]} | told
    )
    assert found["clip"] == {}


@pytest.mark.parametrize("tree", [None, [], {}, {"args": 3}, {"args": {"lr": 1e-4}}, {"args": Opaque("a.B")}])
def test_what_is_no_argument_of_the_release_tells_nothing(tree):
    assert settings(tree) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pass_pos_and_query": False}, "say pass_pos_and_query='False'; such a model is not known here"),
        ({"video_max_len_train": "60"}, "frames_at_once"),
        ({"combine_datasets": ["hcstvg", "vidstg"]}, r"combine_datasets=\"\['hcstvg', 'vidstg'\]\""),
        ({"stride": "two"}, "stride"),
        ({"resolution": 224.5}, "resolution"),
    ],
)
def test_arguments_of_no_known_model_are_refused(tensors, convert, tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        convert(save(tmp_path / "other.pth", tensors, **{"stride": 2} | arguments))
    assert not (tmp_path / "out").exists()


def test_mdetr_as_a_start(tensors, config):
    """Its whole decoder is taken, and of its hundred queries the first."""
    ours = ("sted_embed", "transformer.fast_", "transformer.time_embed")
    source = {name: value for name, value in tensors.items() if not name.startswith(ours)}
    width = config["model"]["transformer"]["width"]
    source["query_embed.weight"] = np.arange(100 * width, dtype=np.float32).reshape(100, width)
    source |= {f"transformer.decoder.layers.{i}.norm2.weight": np.ones(width, np.float32) for i in range(2)}
    source |= {"class_embed.weight": np.ones((3, width), np.float32)}
    assert recognise(source, "x").name == "mdetr"
    out = convert_state_dict(source, format="mdetr_tubedetr", config=config)
    declared = declared_parameters(config)
    assert set(declared) - set(out) == {path for path in declared if path.startswith(("fast_branch", "start_end_head"))}
    np.testing.assert_array_equal(out["query/embedding"], np.arange(width)[None])
    whole = convert_state_dict(tensors, format="tubedetr", config=config)
    for path in set(out) - {"query/embedding"}:
        np.testing.assert_array_equal(out[path], whole[path], err_msg=path)
