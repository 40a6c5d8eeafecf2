"""The released ALPRO layout onto the model."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from stvg_jax.convert.convert_file import convert_file
from stvg_jax.convert.formats.alpro import FORMAT
from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from stvg_jax.nn.declare import PureModule
from stvg_jax.retrieval.alpro import ALPRO, ALPROConfig
from tests.released import GOLDENS
from tests.retrieval import cases
from tests.retrieval.test_alpro import config
from tests.torch_files import save_zip

TOKENIZER = json.loads((GOLDENS / "retrieval_tokenizer.json").read_text())
SIZE = {"width": 48, "depth": 3, "heads": 4, "fusion": 2, "layers": 4, "ffn": 96, "frames": 4, "image": 64, "embed": 16}


@pytest.fixture(scope="module")
def tensors():
    """Of the small model, with a vocabulary that tests have."""
    words = len(TOKENIZER["vocab"])
    shapes = cases.shapes("tiny", "alpro").items()
    return {name: cases.weight(name, tuple(words if n == 30522 else n for n in shape)) for name, shape in shapes}


@pytest.fixture
def convert(tensors, tmp_path):
    small = config(SIZE | {"max_txt_len": 14})
    small = dataclasses.replace(small, bert=dataclasses.replace(small.bert, vocab_size=len(TOKENIZER["vocab"])))
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "vocab.txt").write_text("\n".join(TOKENIZER["vocab"]))

    def run(content, frames=SIZE["frames"]):
        source = save_zip(tmp_path / "alpro.pt", content)
        model = dataclasses.replace(small, timesformer=dataclasses.replace(small.timesformer, frames=frames))
        experiment = {"name": "alpro", "model": dataclasses.asdict(model), "clip": {"resolution": 64}}
        return convert_file(source, tmp_path / "out", config=experiment, tokenizer=tmp_path / "tokenizer")

    return run


def test_every_tensor_of_the_release_gives_a_parameter_of_its_shape():
    """Of the full size, without making the parameters."""
    declared = PureModule(ALPRO(ALPROConfig())).declarations
    written = {}
    for name, shape in cases.shapes("state_dict", "alpro").items():
        claim = FORMAT.claim(name)
        assert claim is not None, name
        rule, match = claim
        arrays = rule.transform(np.broadcast_to(np.float32(0), shape))
        written |= {match.expand(target): array.shape for target, array in zip(rule.targets, arrays, strict=True)}
    assert written == {path: d.shape for path, d in declared.items()}
    assert sum(int(np.prod(shape)) for shape in written.values()) == 230_545_667


def test_a_released_file_becomes_a_checkpoint(tensors, convert, tmp_path):
    counter = {"text_encoder.embeddings.position_ids": np.arange(512)[None]}
    report = convert({"model": tensors | counter, "epoch": 4})
    assert report["format"] == "alpro"
    description = checkpoint.describe(tmp_path / "out")
    assert (description.model, description.kind) == ("alpro", "model")
    assert description.config["clip"]["resolution"] == 64
    converted = checkpoint.read(tmp_path / "out", description)
    kernel = tensors["visual_encoder.model.blocks.1.temporal_attn.qkv.weight"]
    np.testing.assert_array_equal(converted["timesformer/blocks/1/time_attention/key/kernel"], kernel[48:96].T)
    np.testing.assert_array_equal(
        converted["bert/types/embedding"], tensors["text_encoder.embeddings.token_type_embeddings.weight"]
    )


def test_a_tensor_too_many_or_too_few_is_refused(tensors, convert):
    few = {name: value for name, value in tensors.items() if name != "itm_head.bias"}
    with pytest.raises(InputError, match="match_head/bias"):
        convert({"model": few})
    with pytest.raises(InputError, match=r"prompter\.proj"):
        convert({"model": tensors | {"prompter.proj": np.ones(3, np.float32)}})


@pytest.mark.parametrize("frames", [4, 8])
def test_a_file_of_the_original_code_becomes_the_same_model(tensors, convert, frames, tmp_path):
    """The pre-trained one saw four frames; each of its times serves two of the eight."""
    times = "visual_encoder.model.time_embed"
    renamed = {
        name.replace("text_encoder.", "text_encoder.bert."): value[:, np.arange(frames) % 4] if name == times else value
        for name, value in tensors.items()
    }
    left_out = (
        "text_encoder.cls.predictions.bias",
        "mpm_head.0.weight",
        "prompter.text_encoder.bert.pooler.dense.bias",
    )
    report = convert(renamed | dict.fromkeys(left_out, np.ones(3, np.float32)), frames=8)
    assert report["format"] == "alpro_original" and set(report["dropped"]) == set(left_out)
    original = checkpoint.read(tmp_path / "out", checkpoint.describe(tmp_path / "out"))
    (expected,) = tensors[times]
    np.testing.assert_array_equal(
        original["timesformer/times"], expected[[0, 0, 1, 1, 2, 2, 3, 3] if frames == 4 else [0, 1, 2, 3] * 2]
    )
    np.testing.assert_array_equal(
        original["bert/types/embedding"], tensors["text_encoder.embeddings.token_type_embeddings.weight"]
    )
