"""Weights that training starts from: MDETR, Kinetics Video Swin-T and RoBERTa-base, on tiny models in their layouts."""

from __future__ import annotations

import re

import numpy as np
import pytest
import safetensors.numpy

from stvg_jax.convert import convert_state_dict
from stvg_jax.convert.convert_file import convert_file
from stvg_jax.convert.formats import known_formats, recognise
from stvg_jax.convert.state_dict import declared_parameters, released_config
from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from tests.released import manifest, state_dict_for, weight
from tests.tiny import tiny_config, write_byte_tokenizer
from tests.torch_files import save_legacy, save_zip

# What else the files hold, and nothing here needs.
MDETR_ONLY = (
    "query_embed.weight",
    "class_embed.weight",
    "class_embed.bias",
    "transformer.decoder.norm.weight",
    "transformer.decoder.norm.bias",
    *(f"contrastive_align_projection_{of}.{part}" for of in ("image", "text") for part in ("weight", "bias")),
    "transformer.text_encoder.embeddings.position_ids",
)

FORMATS = known_formats()
ANSWERS = ("type", "rel", "obj", "global", "attr", "cat", "binary")
MDETR_VARIANTS = (
    "isfinal_embed.weight",
    "contrastive_projection_image.weight",
    "contrastive_projection_text.weight",
    "transformer.CLS.weight",
    "qa_embed.weight",
    *(f"answer_{kind}_head.bias" for kind in ANSWERS),
    "answer_reg_head.layers.0.weight",
    "answer_head.weight",
)
LM_HEAD = ("bias", "dense.weight", "dense.bias", "layer_norm.weight", "layer_norm.bias", "decoder.weight")


def renamed(*pairs):
    """Released TA-STVG names that match a pattern, under the names of the source they were trained from."""
    names = {}
    for pattern, replacement in pairs:
        names |= {name: re.sub(pattern, replacement, name) for name in manifest() if re.match(pattern, name)}
    return names


def mdetr():
    shared = r"ground_decoder\.decoder\.layers\.(\d+)\.(?=self_attn|norm[134]|linear)"
    names = renamed(
        (r"vis_encoder\.", "backbone."),
        (r"text_encoder\.body\.", "transformer.text_encoder."),
        (r"text_encoder\.resizer\.", "transformer.resizer."),
        (r"input_proj\.", "input_proj."),
        (r"bbox_embed\.", "bbox_embed."),
        (r"ground_encoder\.encoder\.spatial_layers\.", "transformer.encoder.layers."),
        (shared, r"transformer.decoder.layers.\1."),
    ).values()
    cross = [f"transformer.decoder.layers.{i}.cross_attn_image" for i in range(6)]
    parts = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    return [*names, *(f"{layer}.{part}" for layer in cross for part in parts), *MDETR_ONLY]


def swin():
    names = renamed(
        (r"vid\.downsamples\.(\d+)\.", r"backbone.layers.\1.downsample."), (r"vid\.(?!downsamples)", "backbone.")
    )
    return [
        *names.values(),
        "backbone.norm.weight",
        "backbone.norm.bias",
        "cls_head.fc_cls.weight",
        "cls_head.fc_cls.bias",
    ]


def roberta(prefix="roberta."):
    names = renamed((r"text_encoder\.body\.", prefix)).values()
    return [*names, f"{prefix}embeddings.position_ids", *(f"lm_head.{part}" for part in LM_HEAD if prefix)]


NAMES = {"mdetr": mdetr, "video_swin": swin, "roberta": roberta}
formats = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def config():
    return tiny_config(vocab_size=64)


@pytest.fixture(scope="module")
def declared(config):
    return declared_parameters(config)


@pytest.fixture(scope="module")
def tensors(declared):
    frames = {"video_swin": 2}
    return {
        name: state_dict_for(declared, FORMATS[name], names(), patch_frames=frames.get(name, 1))
        for name, names in NAMES.items()
    }


@formats
def test_exactly_its_part_of_the_model_is_filled(name, tensors, declared, config):
    out = convert_state_dict(tensors[name], format=name, config=config)
    fills = [path for path in declared if any(re.fullmatch(p, path) for p in FORMATS[name].fills)]
    assert list(out) == fills
    assert {path: value.shape for path, value in out.items()} == {path: tuple(declared[path].shape) for path in fills}


@formats
def test_full_size_names_are_all_known(name):
    fmt = FORMATS[name]
    for source in NAMES[name]():
        patterns = [rule.source for rule in fmt.rules] + [pattern for pattern, _ in fmt.dropped]
        assert sum(bool(re.fullmatch(pattern, source)) for pattern in patterns) == 1, source


def of_mdetr(name):
    """The tensor of MDETR that the authors of the system take for one of theirs, if MDETR has it.

    Released: `_load_mdetr_weight` in `utils/checkpoint.py` of STCAT, CG-STVG and TA-STVG. TubeDETR's names are MDETR's.
    """
    for theirs, source in (
        ("vis_encoder.", "backbone."),
        ("text_encoder.body.", "transformer.text_encoder."),
        ("text_encoder.", "transformer."),
        ("ground_encoder.encoder.spatial_layers.", "transformer.encoder.layers."),
        ("ground_decoder.", "transformer."),
    ):
        if name.startswith(theirs):
            return source + name.removeprefix(theirs)
    return name


def targets(fmt, name):
    """Paths that a tensor becomes."""
    claim = None if fmt.reason_to_drop(name) else fmt.claim(name)
    return [] if claim is None else [claim[1].expand(target) for target in claim[0].targets]


@pytest.mark.parametrize(
    ("system", "format", "start"),
    [
        ("tastvg", "ta_stvg", "mdetr"),
        ("cgstvg", "cg_stvg", "mdetr"),
        ("stcat", "stcat", "mdetr_stcat"),
        ("tubedetr", "tubedetr", "mdetr_tubedetr"),
    ],
)
def test_each_parameter_starts_from_the_tensor_that_the_authors_take(system, format, start):
    held, ours, theirs = set(mdetr()), {}, {}
    for name in manifest(system):
        if (source := of_mdetr(name)) in held:
            theirs |= dict.fromkeys(targets(FORMATS[format], name), source)
    for name in held:
        ours |= dict.fromkeys(targets(FORMATS[start], name), name)
    assert ours == theirs
    declared = declared_parameters(released_config({}, FORMATS[format]))
    assert set(ours) == {path for path in declared if any(re.fullmatch(p, path) for p in FORMATS[start].fills)}
    if system in ("stcat", "tubedetr"):
        parts = {path.split("/")[0] for path in set(declared) - set(ours)}
        # The authors draw these anew.
        expected = {
            "stcat": {"encoder", "template", "spatial_decoder", "temporal_decoder", "start_end_head", "actioness_head"},
            "tubedetr": {"fast_branch", "start_end_head"},
        }
        assert parts == expected[system]


def test_the_parts_do_not_overlap_more_than_they_should(declared):
    filled = {
        name: {path for path in declared if any(re.fullmatch(p, path) for p in FORMATS[name].fills)} for name in NAMES
    }
    assert filled["roberta"] < filled["mdetr"]
    assert not filled["video_swin"] & filled["mdetr"]
    parts = {path.split("/")[0] for path in filled["mdetr"]}
    assert parts == {
        "resnet",
        "roberta",
        "text_projection",
        "appearance_projection",
        "encoder",
        "spatial_decoder",
        "box_head",
    }
    assert "encoder/norm/scale" not in filled["mdetr"]


def test_values_of_mdetr(tensors, config):
    source = tensors["mdetr"]
    out = convert_state_dict(source, format="mdetr", config=config)
    np.testing.assert_array_equal(
        out["resnet/stages/3/0/downsample/kernel"],
        source["backbone.0.body.layer4.0.downsample.0.weight"].transpose(2, 3, 1, 0),
    )
    np.testing.assert_array_equal(
        out["spatial_decoder/layers/1/cross_norm/scale"], source["transformer.decoder.layers.1.norm3.weight"]
    )
    np.testing.assert_array_equal(
        out["spatial_decoder/layers/0/self_attn/value/kernel"],
        source["transformer.decoder.layers.0.self_attn.in_proj_weight"][64:].T,
    )


def test_mdetr_for_other_tasks(tensors, config):
    source = tensors["mdetr"]
    more = source | {name: np.zeros(2, np.float32) for name in MDETR_VARIANTS}
    first, second = (convert_state_dict(s, format="mdetr", config=config) for s in (source, more))
    assert first.keys() == second.keys()


def test_two_frame_patches_are_summed(tensors, config):
    source = tensors["video_swin"]
    kernel = source["backbone.patch_embed.proj.weight"]
    assert kernel.shape == (16, 3, 2, 4, 4)
    out = convert_state_dict(source, format="video_swin", config=config)["swin/patch_embed/proj/kernel"]
    np.testing.assert_array_equal(out.reshape(4, 4, 3, 16), (kernel[:, :, 0] + kernel[:, :, 1]).transpose(2, 3, 1, 0))


def test_roberta_with_and_without_its_heads(tensors, declared, config):
    bare = state_dict_for(declared, FORMATS["roberta"], roberta(prefix=""))
    for name in bare:
        bare[name] = tensors["roberta"][f"roberta.{name}"]
    first = convert_state_dict(tensors["roberta"], format="roberta", config=config)
    second = convert_state_dict(bare, format="roberta", config=config)
    assert first.keys() == second.keys()
    for path, value in first.items():
        np.testing.assert_array_equal(value, second[path])


def as_file(name, tensors, folder):
    """The containers that the sources come in."""
    if name == "mdetr":
        ema = {key: value + 1 if value.ndim == 1 else value for key, value in tensors.items()}
        content = {"model": tensors, "model_ema": ema, "optimizer": {"state": {}}, "epoch": 39}
        return save_legacy(folder / "pretrained_resnet101_checkpoint.pth", content)
    if name == "video_swin":
        content = {"meta": {"epoch": 30}, "state_dict": tensors, "optimizer": {"state": {}}}
        return save_legacy(folder / "swin_tiny_patch244_window877_kinetics400_1k.pth", content)
    safetensors.numpy.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder / "model.safetensors"


@formats
def test_files_are_recognised(name, tensors, config, tmp_path):
    report = convert_file(as_file(name, tensors[name], tmp_path), tmp_path / "out", config=config, verify=True)
    node = {"mdetr": "model_ema", "video_swin": "state_dict", "roberta": "(top level)"}[name]
    assert (report["format"], report["weights"], report["tokenizer"]) == (name, node, None)
    description = checkpoint.describe(tmp_path / "out")
    assert (description.kind, description.model) == ("initialisation", "ta_stvg")
    assert not (tmp_path / "out" / "tokenizer").exists()
    stored = checkpoint.read(tmp_path / "out", description)
    expected = convert_state_dict(tensors[name], format=name, config=config)
    assert stored.keys() == expected.keys()


def test_a_start_has_the_tokenizer_that_is_given(tensors, tmp_path):
    """Training takes it from there (`stvg_jax.experiment.tokenizers`)."""
    write_byte_tokenizer(tmp_path / "bytes")
    source = as_file("roberta", tensors["roberta"], tmp_path)
    with pytest.raises(InputError, match="has token id .*, but the model knows 64 tokens"):
        convert_file(source, tmp_path / "out", config=tiny_config(vocab_size=64), tokenizer=tmp_path / "bytes")
    larger = tensors["roberta"] | {"roberta.embeddings.word_embeddings.weight": np.ones((300, 32), np.float32)}
    source, config = as_file("roberta", larger, tmp_path), tiny_config(vocab_size=300)
    report = convert_file(source, tmp_path / "out", config=config, tokenizer=tmp_path / "bytes")
    assert report["tokenizer"] == str(tmp_path / "bytes")
    assert (tmp_path / "out" / "tokenizer" / "tokenizer.json").is_file()
    assert checkpoint.describe(tmp_path / "out").kind == "initialisation"


def test_roberta_as_a_bin_file(tensors, config, tmp_path):
    source = save_zip(tmp_path / "pytorch_model.bin", tensors["roberta"])
    report = convert_file(source, tmp_path / "out", config=config)
    assert (report["format"], report["container"]) == ("roberta", "torch-zip")


def test_none_is_taken_for_another(tensors):
    # Three of the four hold a RoBERTa and two a ResNet under some name.
    names = {name: list(tensors[name]) for name in NAMES} | {"ta_stvg": list(manifest()), "roberta": roberta("")}
    for name, held in names.items():
        assert recognise(held, "it").name == name
        assert recognise(held[::-1], "it").name == name
    for held in (
        ["bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.attention.self.key.bias"],
        [],
        ["fc"],
    ):
        with pytest.raises(InputError, match="it has no known format"):
            recognise(held, "it")


@pytest.mark.parametrize("asked", FORMATS)
@formats
def test_a_wrong_format_is_refused(name, asked, tensors, config, tmp_path):
    if asked == name:
        return
    if asked in ("mdetr_stcat", "mdetr_tubedetr") and name == "mdetr":
        pytest.skip("the same file for another model")
    with pytest.raises(InputError) as caught:
        convert_file(as_file(name, tensors[name], tmp_path), tmp_path / "out", format=asked, config=config)
    message = str(caught.value)
    assert f"is not of format {asked}: it has no tensor named " in message
    assert message.endswith(f"; it looks like {name}, {FORMATS[name].describes}")
    assert not (tmp_path / "out").exists()


@formats
def test_a_part_must_be_whole(name, tensors, config):
    broken = dict(tensors[name])
    gone = next(
        source for source in reversed(broken) if source.endswith("norm1.weight") or "LayerNorm.weight" in source
    )
    del broken[gone]
    broken["backbone.extra" if name != "roberta" else "extra"] = weight("extra", (2,))
    with pytest.raises(InputError, match=f"- missing {gone.removeprefix('roberta.')}, for ") as caught:
        convert_state_dict(broken, format=name, config=config)
    assert "extra' (2,)" in str(caught.value)
