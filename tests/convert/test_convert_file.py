"""`stvg-jax convert` from file to checkpoint directory, on checkpoints of a tiny model in the released layout."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import shutil
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from stvg_jax.cli import main
from stvg_jax.convert import convert_state_dict
from stvg_jax.convert.convert_file import convert_file, summary
from stvg_jax.convert.formats import known_formats
from stvg_jax.convert.state_dict import declared_parameters
from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from stvg_jax.grounding.inference.clip import ClipConfig
from tests.released import manifest, state_dict_for
from tests.tiny import thin, tiny_config, write_byte_tokenizer
from tests.torch_files import Object, hostile_pickles, save_legacy, save_zip

FORMATS = known_formats()

ONES = np.ones((2, 2), np.float32)
SAVERS = {"torch-zip": save_zip, "torch-legacy": save_legacy}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    write_byte_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def config(tokenizer):
    config = tiny_config(len(json.loads((tokenizer / "tokenizer.json").read_text())["model"]["vocab"]))
    # Time goes into tensors, of whatever size.
    config["model"] |= thin()
    config["model"]["roberta"] |= {"layers": 1}
    return config


@pytest.fixture(scope="module")
def config_file(config, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "tiny.py"
    path.write_text(
        f"import ml_collections\n\n\ndef get_config(arg=''):\n    return ml_collections.ConfigDict({config!r})\n"
    )
    return path


@pytest.fixture(scope="module")
def ema(config):
    return state_dict_for(declared_parameters(config), FORMATS["ta_stvg"], manifest())


@pytest.fixture(scope="module")
def plain(ema):
    return {name: value * np.float32(0.5) for name, value in ema.items()}


def whole(ema, plain):
    """A file as the released trainer saves it."""
    state = {0: {"step": 7, "exp_avg": np.ones(3, np.float32)}}
    return {
        "model": OrderedDict({f"module.{name}": value for name, value in plain.items()}),
        "model_ema": OrderedDict(ema),
        "optimizer": {"state": state, "param_groups": [{"lr": 1e-4, "params": [0]}]},
        "iteration": 7,
        "args": Object("argparse.Namespace", state={"lr": 1e-4}),
    }


@pytest.fixture(scope="module")
def released(ema, plain, tmp_path_factory):
    return save_zip(tmp_path_factory.mktemp("released") / "tastvg_tiny.pth", whole(ema, plain))


@pytest.fixture
def convert(config, tokenizer, tmp_path):
    def call(source, **options):
        return convert_file(source, tmp_path / "out", **({"config": config, "tokenizer": tokenizer} | options))

    return call


@pytest.fixture
def command(config_file, tokenizer, tmp_path, capsys):
    """Runs the command line; gives its exit code and stderr without progress bars, and checks that a failure left
    nothing behind."""

    def call(source, *options, out=None):
        before = sorted(tmp_path.rglob("*"))
        out = out or tmp_path / "out"
        code = main(
            ["convert", str(source), str(out), "--config", str(config_file), "--tokenizer", str(tokenizer), *options]
        )
        if code:
            assert sorted(tmp_path.rglob("*")) == before
        return code, capsys.readouterr().err.split("\r")[-1].strip().split("stvg-jax convert: ")[-1]

    return call


def read(directory):
    return checkpoint.read(directory, checkpoint.describe(directory))


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value, err_msg=path)


@pytest.mark.parametrize("container", SAVERS)
def test_a_released_checkpoint(container, ema, plain, config, tokenizer, convert, tmp_path):
    source = SAVERS[container](tmp_path / "tastvg.pth", whole(ema, plain))
    begun = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    report = convert(source, verify=True)
    converted_at = datetime.datetime.strptime(report["converted_at"], "%Y-%m-%dT%H:%M:%S%z")
    assert begun <= converted_at <= datetime.datetime.now(datetime.UTC)
    out = tmp_path / "out"
    assert_same(read(out), convert_state_dict(ema, config=config))
    assert (out / "tokenizer" / "tokenizer.json").is_file()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    description = checkpoint.describe(out)
    assert (description.model, description.kind) == ("ta_stvg", "model")
    assert description.config["clip"] == dataclasses.asdict(ClipConfig(**config["clip"]))
    assert description.note == "converted from tastvg.pth, model_ema"

    assert report == json.loads((out / "conversion.json").read_text())
    assert report["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert (report["container"], report["format"]) == (container, "ta_stvg")
    assert (report["weights"], report["is_ema"], report["tokenizer"]) == ("model_ema", True, str(tokenizer))
    assert report["verified"] == report["parameters_written"] == len(description.parameters)
    assert report["values_written"] == sum(v.size for v in read(out).values())
    assert report["tensors_taken"] + len(report["dropped"]) + len(report["aliases"]) == len(ema)
    assert report["taken"]["bbox_embed.layers.0.weight"] == ["box_head/layers/0/kernel"]
    assert report["dropped"]["text_encoder.body.pooler.dense.weight"].startswith("RoBERTa's pooler")
    assert report["aliases"]["ground_decoder.time_embed2.layers.0.bias"] == "action_embed.layers.0.bias"

    text = summary(report)
    assert "ta_stvg from model_ema (moving average)" in text
    assert f"verified: {len(description.parameters)} parameters" in text


@pytest.mark.parametrize(("weights", "is_ema"), [("auto", True), ("ema", True), ("model", False)])
def test_the_weights_are_chosen(weights, is_ema, released, ema, plain, config, convert, tmp_path):
    report = convert(released, weights=weights)
    assert (report["is_ema"], "verified" in report) == (is_ema, False)
    expected = convert_state_dict(ema if is_ema else plain, config=config)
    np.testing.assert_array_equal(read(tmp_path / "out")["encoder/norm/scale"], expected["encoder/norm/scale"])


@pytest.mark.parametrize(
    ("container", "wrap", "prefix", "parts"),
    [
        ("torch-zip", "model.{}", "model.", []),
        ("torch-legacy", "module._orig_mod.{}", "", ["_orig_mod", "module"]),
    ],
)
def test_wrapped_names_are_told(container, wrap, prefix, parts, ema, config, convert, tmp_path):
    names = {wrap.format(name): value for name, value in ema.items()}
    beside = {"criterion.empty_weight": ONES}
    report = convert(SAVERS[container](tmp_path / "last.ckpt", {"state_dict": names | beside}))
    assert_same(read(tmp_path / "out"), convert_state_dict(ema, config=config))
    assert_same(read(tmp_path / "out"), convert_state_dict(names, config=config))
    assert report["wrapping"] == {"prefix": prefix, "parts": dict.fromkeys(parts, len(ema))}
    assert report["weights"] == ("state_dict.model" if prefix else "state_dict")
    assert (
        report["dropped"]["criterion.empty_weight"] == "of the training (a loss, a metric, a counter), not of the model"
    )
    text = summary(report)
    assert ("taken off every name: the prefix 'model.'" in text) == bool(prefix)
    assert all(f"taken out of {len(ema)} names: '{part}'" in text for part in parts)


def test_a_node_is_chosen(ema, plain, config, convert, command, tmp_path):
    both = {f"student.{n}": v for n, v in plain.items()} | {f"teacher.{n}": v for n, v in ema.items()}
    source = save_zip(tmp_path / "last.ckpt", {"state_dict": both})
    code, message = command(source)
    assert (code, message) == (
        2,
        f"{source} holds several weights: 'state_dict.student', 'state_dict.teacher'; choose one with --node",
    )
    assert command(source, "--node", "student")[1] == (
        f"{source} has no tensors at 'student'; there are weights at: 'state_dict.student', 'state_dict.teacher'"
    )
    report = convert(source, node="state_dict.teacher")
    assert (report["weights"], report["is_ema"]) == ("state_dict.teacher", False)
    assert_same(read(tmp_path / "out"), convert_state_dict(ema, config=config))


def test_an_average_that_lacks_tensors_is_named(ema, plain, command, tmp_path):
    parts = {name: value for name, value in ema.items() if "running" not in name}
    code, message = command(save_zip(tmp_path / "last.pth", {"model": plain, "ema": parts}))
    assert code == 2
    assert "- missing vis_encoder.0.body.bn1.running_mean, for resnet/stem/mean (8,)" in message
    assert message.endswith("\nThese weights are the moving average, ema; take the plain ones with --weights model")


def test_misfits_of_wrapped_files_are_listed_by_the_names_of_the_file(ema, command, tmp_path):
    broken = {f"model._orig_mod.{name}": value for name, value in ema.items()}
    broken["model._orig_mod.input_proj2.bias"] = np.zeros(3, np.float32)
    broken["other.weight"] = broken["model._orig_mod.extra\x1b[31m"] = np.zeros(2, np.float32)
    code, message = command(save_zip(tmp_path / "model.pth", broken))
    assert code == 2
    assert sorted(message.split("\n")[1:]) == [
        "! 'model._orig_mod.input_proj2.bias' gives motion_projection/bias the shape (3,); the model needs (32,)",
        "+ unexpected 'model._orig_mod.extra\\x1b[31m' (2,)",
        "+ unexpected 'other.weight'",
    ]


def test_a_checkpoint_in_parts(ema, config, convert, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    names = sorted(ema)
    weight_map = {}
    for number in (1, 2):
        part = folder / f"model-0000{number}-of-00002.safetensors"
        safetensors.numpy.save_file({name: ema[name] for name in names[number - 1 :: 2]}, part)
        weight_map |= dict.fromkeys(names[number - 1 :: 2], part.name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    report = convert(folder)
    assert_same(read(tmp_path / "out"), convert_state_dict(ema, config=config))
    assert report["container"] == "safetensors in 2 parts"
    assert report["files"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (index, *sorted(folder.glob("*.safetensors")))
    }
    assert report["sha256"] == report["files"][index.name]
    with pytest.raises(InputError, match="which would be replaced"):
        convert_file(folder, folder, config=config, force=True)


def test_values_that_are_not_finite(ema, config, convert, command, tmp_path):
    first, second = "input_proj2.bias", "bbox_embed.layers.0.weight"
    broken = {name: value.copy() for name, value in ema.items()}
    broken[first][0] = np.nan
    broken[second][0, :2] = np.inf
    broken[f"ground_decoder.decoder.{second}"] = broken[second]
    source = save_zip(tmp_path / "model.pth", {"model": {f"module.{name}": value for name, value in broken.items()}})
    code, message = command(source)
    assert code == 2
    assert "values that are not finite (NaN or infinity), as after a diverged training, in " in message
    assert f"'module.{first}' (1)" in message and f"'module.{second}' (2)" in message
    assert "choose an earlier checkpoint, or convert it as it is with --allow-nonfinite" in message
    report = convert(source, allow_nonfinite=True, verify=True)
    assert report["nonfinite"] == {f"module.{first}": 1, f"module.{second}": 2}
    assert "warning: the checkpoint holds values that are not finite (NaN or infinity), as after a" in summary(report)
    assert np.isnan(read(tmp_path / "out")["motion_projection/bias"][0])


def test_a_bare_state_dict_in_safetensors(ema, config, convert, tmp_path):
    safetensors.numpy.save_file(ema, tmp_path / "model.safetensors")
    report = convert(tmp_path / "model.safetensors")
    assert (report["weights"], report["is_ema"], report["container"]) == ("(top level)", False, "safetensors")
    assert_same(read(tmp_path / "out"), convert_state_dict(ema, config=config))


def test_the_command(released, config, command, tmp_path):
    assert command(released, "--verify")[0] == 0
    assert checkpoint.verify(tmp_path / "out") == len(declared_parameters(config))
    rule = "exists already; choose another folder or pass --force to replace it"
    assert command(released) == (2, f"{tmp_path / 'out'} {rule}")
    (tmp_path / "out" / "mine.txt").write_text("old")
    assert command(released, "--force", "--weights", "model")[0] == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "checkpoint.json",
        "conversion.json",
        "parameters",
        "tokenizer",
    ]
    assert json.loads((tmp_path / "out" / "conversion.json").read_text())["weights"] == "model"


@pytest.mark.skipif(sys.platform != "linux", reason="a file name is text elsewhere")
def test_names_of_files_may_be_any_bytes(released, config_file, tokenizer, tmp_path, capsys):
    folder = tmp_path / os.fsdecode(b"a\xff")
    shutil.copytree(tokenizer, folder / "tokenizer")
    source = Path(shutil.copy(released, folder / os.fsdecode(b"\xfe.pth")))
    paths = [str(source), str(folder / "out")]
    options = ["--config", str(config_file), "--tokenizer", str(folder / "tokenizer"), "--verify"]
    assert main(["convert", *paths, *options]) == 0
    assert capsys.readouterr().out.endswith(f"checkpoint: {tmp_path}/a\\udcff/out\n")
    assert checkpoint.describe(folder / "out").note == "converted from \udcfe.pth, model_ema"
    report = json.loads((folder / "out" / "conversion.json").read_text())
    assert (report["source"], report["tokenizer"]) == (str(source), str(folder / "tokenizer"))
    assert sorted(path.name for path in folder.iterdir()) == ["out", "tokenizer", source.name]


def test_verify_compares_what_was_written(released, convert, monkeypatch, tmp_path):
    write = checkpoint.write

    def write_and_damage(directory, *args, **options):
        write(directory, *args, **options)
        flip_a_byte(directory)

    monkeypatch.setattr(checkpoint, "write", write_and_damage)
    with pytest.raises(InputError, match="is damaged: these parameters differ from their checksums: "):
        convert(released, verify=True)
    assert not any(tmp_path.iterdir())


def flip_a_byte(directory):
    largest = max((directory / "parameters").rglob("*"), key=lambda path: path.stat().st_size * path.is_file())
    data = bytearray(largest.read_bytes())
    data[len(data) // 3] ^= 1
    largest.write_bytes(data)


def test_an_existing_folder_that_is_no_checkpoint_is_never_replaced(released, command, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("x")
    rule = "is not a checkpoint and is not replaced; choose another folder"
    assert command(released, "--force") == (2, f"{tmp_path / 'out'} {rule}")


def test_the_source_is_never_replaced(ema, command, tmp_path):
    source = save_zip(tmp_path / "model.pth", ema)
    code, message = command(source, "--force", out=tmp_path)
    assert code == 2
    assert "which would be replaced" in message


def test_folders_that_cannot_be_written(released, command, tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "out", tmp_path / "file" / "deep" / "out"):
        for force in ([], ["--force"]):
            code, message = command(released, *force, out=out)
            assert code == 2
            assert str(out) in message
            assert "\n" not in message


def test_new_parents_go_again_when_conversion_fails(ema, command, tmp_path):
    source = save_zip(tmp_path / "model.pth", {name: ema[name] for name in list(ema)[:-1]})
    assert command(source, out=tmp_path / "a" / "b" / "c")[0] == 2
    assert not (tmp_path / "a").exists()


def test_misfits_are_listed(ema, command, tmp_path):
    broken = dict(ema)
    del broken["input_proj.bias"]
    broken["extra"] = np.zeros(2, np.float32)
    broken["input_proj2.bias"] = np.zeros(3, np.float32)
    code, message = command(save_zip(tmp_path / "model.pth", {"model": broken}))
    assert code == 2
    first, *lines = message.split("\n")
    assert first.endswith("model.pth, read as ta_stvg, does not fit the model in 3 places:")
    assert sorted(lines) == [
        "! 'input_proj2.bias' gives motion_projection/bias the shape (3,); the model needs (32,)",
        "+ unexpected 'extra' (2,)",
        "- missing input_proj.bias, for appearance_projection/bias (32,)",
    ]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (
            {"fc.weight": ONES},
            (),
            "has no known format: it holds 'fc.weight', ... Known formats: ta_stvg (a",
        ),
        ({"fc.weight": ONES}, ("--format", "ta_stvg"), "is not of format ta_stvg"),
        (
            {"fc.weight": ONES},
            ("--format", "onnx"),
            "format 'onnx' is unknown; known formats: ta_stvg, cg_stvg, tubedetr, stcat",
        ),
        ({"model": {"w": ONES}}, ("--weights", "ema"), "has no known format: it holds 'w', ..."),
        ({"epoch": 3}, (), "holds no tensors with names"),
    ],
)
def test_other_files(content, options, message, command, tmp_path):
    code, found = command(save_zip(tmp_path / "other.pth", content), *options)
    assert code == 2
    assert message in found
    assert "\n" not in found


def test_another_grounding_model_is_not_mistaken_for_its_text_encoder(command, tmp_path):
    names = [name for name in manifest() if name.startswith(("text_encoder", "vis_encoder", "ground_decoder.decoder"))]
    other = {name: np.zeros(1, np.float32) for name in names} | {"ground_decoder.template": np.zeros(1, np.float32)}
    code, message = command(save_zip(tmp_path / "other.pth", {"model": other}))
    assert code == 2
    assert "has no known format" in message


@pytest.mark.parametrize("container", SAVERS)
def test_files_cut_short(container, ema, command, tmp_path):
    source = SAVERS[container](tmp_path / "model.pth", {"model": ema})
    data = source.read_bytes()
    for kept in (len(data) - 100, len(data) // 2, 3, 0):
        source.write_bytes(data[:kept])
        code, message = command(source)
        assert code == 2
        assert str(source) in message
        assert "\n" not in message


@pytest.mark.parametrize("container", SAVERS)
def test_nothing_hostile_runs(container, command, tmp_path):
    sentinel = tmp_path / "sentinel"
    for kind, code in hostile_pickles(sentinel).items():
        source = SAVERS[container](tmp_path / "model.pth", pickle_bytes=code)
        code, message = command(source)
        assert (code, kind) == (2, kind)
        assert message
        assert "\n" not in message
        assert not sentinel.exists()


def test_sources_that_are_no_files(command, tmp_path):
    for source in (tmp_path / "none.pth", tmp_path):
        code, message = command(source, out=tmp_path / "new" / "out")
        assert code == 2
        assert str(source) in message


def test_the_tokenizer_is_looked_at_first(released, command, tmp_path):
    code, message = command(released, "--tokenizer", str(tmp_path / "none"))
    assert (code, message) == (
        2,
        f"tokenizer folder {tmp_path / 'none'} does not exist; it must hold vocab.json and merges.txt",
    )


def test_without_tokenizer_and_hub(released, config_file, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("stvg_jax.core.hub.answers", lambda: False)
    assert main(["convert", str(released), str(tmp_path / "out"), "--config", str(config_file)]) == 2
    assert "by --tokenizer DIR" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_configurations(ema, released, config, convert, command, tmp_path):
    with pytest.raises(InputError, match="the configuration lacks model"):
        convert(released, config={key: config[key] for key in ("name", "clip")})
    with pytest.raises(InputError, match="the configuration lacks clip"):
        convert(released, config={key: config[key] for key in ("name", "model")})
    code, message = command(released, "--config", str(tmp_path / "none.py"))
    assert code == 2
    assert message.startswith(f"configuration {tmp_path / 'none.py'} does not exist; the library has ")
    # Without --config it is the release's, which a tiny checkpoint does not fit.
    with pytest.raises(InputError, match="! 'input_proj.weight' gives appearance_projection/kernel the shape"):
        convert(released, config=None)
