"""The released STGT layout onto the model: a file of what is trained, the file of the ViT, and a table in neither."""

from __future__ import annotations

import dataclasses
import json

import ml_dtypes
import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.convert.convert_file import convert_file, summary
from stvg_jax.convert.formats.stgt import EVA_VIT_G, FORMAT, seed_42
from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from stvg_jax.nn.declare import PureModule
from stvg_jax.retrieval.stgt import STGT, STGTConfig
from tests.released import GOLDENS
from tests.retrieval import cases
from tests.retrieval.test_stgt import tiny_config
from tests.torch_files import Object, save_zip

POSITIONS = "graph_cross_model.pos_2D_embed"
VIT = "visual_encoder."
TOKENIZER = json.loads((GOLDENS / "retrieval_tokenizer.json").read_text())


@pytest.fixture(scope="module")
def manifest():
    return json.loads((GOLDENS / "stgt_manifest.json").read_text())


@pytest.fixture(scope="module")
def shapes():
    """Of the small model, with a vocabulary that tests have."""
    return {
        name: tuple(TOKENIZER["size"] if n == 30523 else n for n in shape)
        for name, shape in cases.shapes("tiny").items()
    }


@pytest.fixture(scope="module")
def tensors(shapes):
    return {name: cases.weight(name, shape) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def config():
    tiny = tiny_config(0.5)
    tiny = dataclasses.replace(tiny, qformer=dataclasses.replace(tiny.qformer, vocab_size=TOKENIZER["size"]))
    return {"name": "stgt", "model": dataclasses.asdict(tiny), "clip": {}}


@pytest.fixture(scope="module")
def files(tensors, manifest, tmp_path_factory):
    """A file as the release saves it after a training, and the ViT as BLIP-2 has it."""
    folder = tmp_path_factory.mktemp("released")
    trained = {name: value for name, value in tensors.items() if name not in manifest["absent"]}
    trained["Qformer.bert.embeddings.position_ids"] = np.arange(512)[None]
    trained |= {second: trained[first] for second, first in manifest["tied"].items()}
    moments = {"step": np.array(9, np.float32), "exp_avg": np.ones(3, np.float32), "exp_avg_sq": np.ones(3, np.float32)}
    groups = [{"lr": 2.5e-5, "betas": (0.9, 0.98), "params": [0, 1]}]
    optimizer = Object("torch.optim.adamw.AdamW", state={"state": {0: moments}, "param_groups": groups})
    scheduler = Object(
        "lavis.common.optims.LinearWarmupCosineLRScheduler",
        state={"optimizer": optimizer, "max_epoch": 9, "min_lr": 1e-6, "init_lr": 2.5e-5},
    )
    released = {
        "model": trained,
        "optimizer": {"state": {0: moments, 1: moments}, "param_groups": groups},
        "config": {"run": {"task": "retrieval"}, "model": {"sim_th": 0.5}},
        "scaler": {"scale": 65536.0, "growth_factor": 2.0},
        "epoch": 8,
        "lr_scheduler": scheduler,
    }
    vit = {name.removeprefix(VIT): v.astype(np.float16) for name, v in tensors.items() if name.startswith(VIT)}
    block = {name.replace("blocks.0", "blocks.39"): v for name, v in vit.items() if name.startswith("blocks.0.")}
    beside = {"norm.weight": np.ones(96, np.float16), "head.weight": np.ones((4, 96), np.float16)}
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "vocab.txt").write_text("\n".join(TOKENIZER["vocab"]))
    return {
        "released": save_zip(folder / "stgt.pth", released),
        "vit": save_zip(folder / "eva_vit_g.pth", vit | block | beside),
        "whole": save_zip(folder / "whole.pth", {"model": tensors}),
        "tokenizer": folder / "tokenizer",
    }


@pytest.fixture
def convert(files, config, tmp_path):
    def run(source="released", **options):
        options = {"config": config, "tokenizer": files["tokenizer"]} | options
        return convert_file(files[source], tmp_path / "out", **options)

    return run


def test_every_tensor_of_the_release_gives_a_parameter_of_its_shape(manifest):
    """Of the full size, without making the parameters."""
    declared = PureModule(STGT(STGTConfig())).declarations
    written = {}
    for name, (shape, _) in manifest["state_dict"].items():
        assert FORMAT.knows(name), name
        if claim := FORMAT.claim(name):
            rule, match = claim
            arrays = rule.transform(np.broadcast_to(np.float32(0), shape))
            written |= {match.expand(target): array.shape for target, array in zip(rule.targets, arrays, strict=True)}
    assert written == {path: d.shape for path, d in declared.items()}
    assert set(manifest["tied"]) == {name for name in manifest["state_dict"] if FORMAT.original_of(name)}
    for path in declared:
        (named,) = [name for rule in FORMAT.rules if (name := rule.source_of(path))]
        assert named in manifest["state_dict"]


def test_what_a_released_file_lacks_is_the_vit_and_the_table(manifest):
    assert set(manifest["absent"]) == {n for n in manifest["state_dict"] if n.startswith(VIT) or n == POSITIONS}
    for name in manifest["absent"]:
        assert name == POSITIONS or EVA_VIT_G.claim(name.removeprefix(VIT)) is not None


def test_two_files_make_a_model(convert, files, tensors, shapes, tmp_path):
    report = convert(backbone=files["vit"], values={"graph/positions": "zeros"}, verify=True)
    parameters = checkpoint.read(tmp_path / "out", checkpoint.describe(tmp_path / "out"))
    expected = cases.parameters(shapes)
    assert parameters.keys() == expected.keys()
    for path, value in expected.items():
        value = value.astype(np.float16).astype(np.float32) if path.startswith("vit/") else value
        value = np.zeros_like(value) if path == "graph/positions" else value
        np.testing.assert_array_equal(parameters[path], value, err_msg=path)
    assert report["weights"] == "model"
    assert report["aliases"]["Qformer.cls.predictions.decoder.bias"] == "Qformer.cls.predictions.bias"
    assert report["made"] == {"graph/positions": "zeros"}
    vit = report["backbone"]
    assert (vit["source"], vit["format"], vit["tensors_taken"]) == (str(files["vit"]), "eva_vit_g", 43)
    assert set(vit["taken"]) == {name.removeprefix(VIT) for name in tensors if name.startswith(VIT)}
    assert report["tensors_taken"] + vit["tensors_taken"] + 1 == len(tensors)
    assert vit["dropped"]["norm.weight"] == "features are read before the final norm"
    assert vit["dropped"]["head.weight"] == "the head of the pre-training"
    assert vit["dropped"]["blocks.39.attn.qkv.weight"] == "a block after the last that is read"
    assert len(vit["dropped"]) == 15
    assert report["verified"] == len(expected)
    lines = summary(report).splitlines()
    assert f"backbone: {files['vit']}" in lines
    assert any(line.startswith("warning: graph/positions is not in ") and "zeros was taken" in line for line in lines)
    assert report == json.loads((tmp_path / "out" / "conversion.json").read_text())


def test_matrices_may_be_stored_as_bfloat16(convert, files, shapes, tmp_path):
    """All are read as float32, the others with every bit."""
    zeros = {"graph/positions": "zeros"}
    report = convert(backbone=files["vit"], values=zeros, storage="bfloat16", verify=True)
    assert "matrices are stored as bfloat16" in summary(report).splitlines()
    description = checkpoint.describe(tmp_path / "out")
    parameters = checkpoint.read(tmp_path / "out", description)
    for path, value in cases.parameters(shapes).items():
        value = value.astype(np.float16).astype(np.float32) if path.startswith("vit/") else value
        value = np.zeros_like(value) if path == "graph/positions" else value
        value = value.astype(ml_dtypes.bfloat16).astype(np.float32) if value.ndim >= 2 else value
        np.testing.assert_array_equal(parameters[path], value, err_msg=path)
        assert parameters[path].dtype == np.float32
    values = sum(value.size for value in parameters.values())
    assert sum(description.files.values()) < 2.2 * values + 100_000


def test_a_large_checkpoint_is_one_file(convert, tensors, monkeypatch, tmp_path):
    monkeypatch.setattr("stvg_jax.convert.convert_file._LARGE", 1_000_000)
    report = convert("whole", storage="bfloat16", verify=True)
    assert (tmp_path / "out" / "parameters.safetensors").is_file()
    parameters = checkpoint.read(tmp_path / "out", checkpoint.describe(tmp_path / "out"))
    assert report["verified"] == len(parameters)
    np.testing.assert_array_equal(parameters["graph/positions"], tensors[POSITIONS].astype(ml_dtypes.bfloat16))


def test_a_file_with_everything_needs_neither(convert, tensors, tmp_path):
    report = convert("whole")
    parameters = checkpoint.read(tmp_path / "out", checkpoint.describe(tmp_path / "out"))
    np.testing.assert_array_equal(parameters["graph/positions"], tensors[POSITIONS])
    assert (report["made"], report["warnings"], "backbone" in report) == ({}, [], False)


def test_the_table_may_come_from_a_file(convert, files, tensors, tmp_path):
    table = tmp_path / "table.npy"
    np.save(table, tensors[POSITIONS].astype(np.float64))
    report = convert(backbone=files["vit"], values={"graph/positions": str(table)})
    parameters = checkpoint.read(tmp_path / "out", checkpoint.describe(tmp_path / "out"))
    np.testing.assert_array_equal(parameters["graph/positions"], tensors[POSITIONS])
    assert report["made"] == {"graph/positions": str(table)}


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((3, 96), np.float32),
            r"holds an array \(3, 96\) of float32; graph/positions needs finite numbers of",
        ),
        (np.full((257, 96), np.nan), r"needs finite numbers of the shape \(257, 96\)"),
        (b"\x93NUMPY\x01\x00", "cannot be read as an array of numpy"),
        (None, "cannot be read as an array of numpy: .*No such file"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(convert, files, tmp_path, array, message):
    table = tmp_path / "table.npy"
    if isinstance(array, bytes):
        table.write_bytes(array)
    elif array is not None:
        np.save(table, array)
    with pytest.raises(InputError, match=message):
        convert(backbone=files["vit"], values={"graph/positions": str(table)})


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("released", {}, r"lacks the frozen backbone, .*; give its file with --backbone \(EVA's ViT-g"),
        ("whole", {"backbone": "vit"}, "lacks no backbone; leave out --backbone"),
        ("released", {"backbone": "whole"}, "is not of format eva_vit_g"),
        (
            "released",
            {"backbone": "vit", "values": {"graph/positions": "ones"}},
            "graph/positions cannot be 'ones'; choose one of seed-42, zeros, or give a .npy file",
        ),
        (
            "released",
            {"backbone": "vit", "values": {"graph/times": "zeros"}},
            "needs no value for 'graph/times': it lacks graph/positions",
        ),
        (
            "whole",
            {"values": {"graph/positions": "zeros"}},
            "needs no value for 'graph/positions': it lacks none that could be chosen",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(convert, files, tmp_path, source, options, message):
    options = options | ({"backbone": files[options["backbone"]]} if "backbone" in options else {})
    with pytest.raises(InputError, match=message):
        convert(source, **options)
    assert not (tmp_path / "out").exists()


def test_a_value_without_a_name_is_refused(files, tmp_path, capsys):
    assert main(["convert", str(files["released"]), str(tmp_path / "out"), "--value", "zeros"]) == 2
    assert "--value 'zeros' must be NAME=VALUE" in capsys.readouterr().err


def test_the_vit_alone_is_a_start(convert, files, tmp_path):
    report = convert("vit", tokenizer=None)
    assert checkpoint.describe(tmp_path / "out").kind == "initialisation"
    assert (report["format"], report["parameters_written"]) == ("eva_vit_g", 49)


@pytest.mark.parametrize("width", [256, 1024])
def test_the_width_of_the_embeddings_is_read_from_the_file(width, monkeypatch, tmp_path):
    """Of a file whose other tensors are too small for the released configuration, so that all of these are listed."""
    monkeypatch.setattr("stvg_jax.convert.convert_file._TOKENIZERS", {"bert": lambda *_: "nowhere"})
    names = dict.fromkeys(cases.shapes("tiny"), np.zeros(1, np.float32))
    names |= {f"{part}_proj.weight": np.zeros((width, 768), np.float32) for part in ("vision", "text")}
    source = save_zip(tmp_path / "stgt.pth", names)
    with pytest.raises(InputError) as caught:
        convert_file(source, tmp_path / "out")
    assert "does not fit the model" in str(caught.value)
    assert "vision_proj.weight" not in str(caught.value) and "vision_proj.bias" in str(caught.value)


@pytest.mark.slow
def test_the_table_of_the_released_evaluation():
    """Numbers of it, as PyTorch's generator gave them."""
    table = seed_42((257, 1408))
    for row, values in (
        (0, [-0.0152027169, 0.041044455, 0.00841207709]),
        (128, [-0.00710951583, 0.018891288, 0.00839412585]),
        (256, [0.00966517348, -0.00695180334, -0.0027193157]),
    ):
        np.testing.assert_allclose(table[row, :3], values, rtol=0, atol=1e-8)
    np.testing.assert_allclose([table.min(), table.max(), table.std()], [-0.08794335, 0.090728156, 0.0199890303], 1e-6)
