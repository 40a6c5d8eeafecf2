"""Text encoders by their names on the hub: out of the cache, without a network, and what is refused."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import safetensors.numpy
from huggingface_hub import errors

from stvg_jax.convert import convert_state_dict, hub
from stvg_jax.convert.convert_file import convert_file
from stvg_jax.convert.formats import known_formats
from stvg_jax.convert.state_dict import declared_parameters
from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from stvg_jax.core.hub import answers, find_files
from tests.convert.test_initialisation import roberta
from tests.released import state_dict_for
from tests.tiny import tiny_config

FORMATS = known_formats()


@pytest.fixture(scope="module")
def config():
    return tiny_config(vocab_size=64)


@pytest.fixture(scope="module")
def tensors(config):
    return state_dict_for(declared_parameters(config), FORMATS["roberta"], roberta())


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub, and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("stvg_jax.core.hub.answers", lambda: False)
    return tmp_path / "cache"


@pytest.fixture
def encoder(cache, tensors):
    """The cached folder of me/encoder."""
    repository = cache / "models--me--encoder"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123abc")
    folder = repository / "snapshots" / "0123abc"
    folder.mkdir(parents=True)
    sizes = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    # Old files leave out what was usual; `type_vocab_size` tells nothing that the tensors do not.
    other = {"intermediate_size": 64, "max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
    (folder / "config.json").write_text(json.dumps({"model_type": "roberta"} | sizes | other))
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    return folder


def change(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def converted(config, out, name="me/encoder", format="roberta"):
    return convert_file(Path(name), out, format=format, config=config)


def refused(call, *args, **options):
    with pytest.raises(InputError) as caught:
        call(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_text_encoder_by_its_name(in_parts, encoder, tensors, config, tmp_path):
    if in_parts:
        (encoder / "model.safetensors").unlink()
        weight_map = {}
        for number, names in enumerate((list(tensors)[::2], list(tensors)[1::2]), 1):
            file = f"model-0000{number}-of-00002.safetensors"
            safetensors.numpy.save_file({name: tensors[name] for name in names}, encoder / file)
            weight_map |= dict.fromkeys(names, file)
        (encoder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    report = converted(config, tmp_path / "out")
    assert (report["source"], report["format"]) == ("me/encoder (hub cache)", "roberta")
    assert len(report["files"]) == (3 if in_parts else 1)
    description = checkpoint.describe(tmp_path / "out")
    assert description.note == "converted from me/encoder (hub cache), (top level)"
    expected = convert_state_dict(tensors, format="roberta", config=config)
    found = checkpoint.read(tmp_path / "out", description)
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_array_equal(found[path], value)
    assert "torch" not in sys.modules


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_attention_heads": 8}, "num_attention_heads '8' where the model has 4"),
        ({"hidden_act": "relu"}, "hidden_act 'relu' where the model has 'gelu'"),
        ({"layer_norm_eps": 1e-12}, "layer_norm_eps '1e-12' where the model has 1e-05"),
        ({"model_type": "bert"}, "model_type 'bert' where the model has 'roberta'"),
        ({"vocab_size": 65, "hidden_size": 16}, "vocab_size '65' where the model has 64, hidden_size '16'"),
        ({"model_type": "\x1b[31m"}, "has no config.json that transformers can read"),
    ],
)
def test_another_text_encoder_is_refused(values, message, encoder, config, tmp_path):
    change(encoder, **values)
    assert message in refused(converted, config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_network_and_cache(cache, config, tmp_path):
    message = refused(converted, config, tmp_path / "out")
    assert message == (
        "no text encoder: me/encoder is not in the local cache of the Hugging Face hub, and the hub cannot be reached; "
        "or give the file itself"
    )


def test_what_the_cache_has_is_not_asked_of_the_hub(encoder, monkeypatch):
    asked = []

    def download(name, file, *, local_files_only=False):
        asked.append((file, local_files_only))
        if not (encoder / file).exists():
            raise FileNotFoundError(file)
        return str(encoder / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    found = find_files(["me/encoder"], [("config.json",)], beside=["vocab.json"])
    assert found == ([encoder / "config.json"], "me/encoder (hub cache)")
    assert asked == [("config.json", True), ("vocab.json", True)]


def test_the_hub_answers_or_not(monkeypatch):
    def fail(*args, **options):
        raise OSError("no network")

    for head, expected in ((lambda *args, **options: None, True), (fail, False)):
        session = types.SimpleNamespace(head=head)
        monkeypatch.setattr(huggingface_hub.utils, "get_session", lambda session=session: session)
        assert answers() == expected


def raised(kind, text="told"):
    """An error of the hub without the response that came with it."""
    error = kind.__new__(kind)
    error.args = (text,)
    return error


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            errors.GatedRepoError,
            "me/encoder is gated: accept its terms at https://huggingface.co/me/encoder and",
        ),
        (errors.RepositoryNotFoundError, "the Hugging Face hub has no repository me/encoder"),
        (errors.EntryNotFoundError, "me/encoder on the Hugging Face hub lacks config.json and model.safetensors or"),
        (OSError, "me/encoder could not be fetched from the Hugging Face hub: "),
    ],
)
def test_what_the_hub_does_not_give(kind, message, cache, config, tmp_path, monkeypatch):
    def download(name, file, *, local_files_only):
        raise FileNotFoundError(file) if local_files_only else raised(kind)

    monkeypatch.setattr("stvg_jax.core.hub.answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    assert message in refused(converted, config, tmp_path / "out")


def test_without_transformers(encoder, config, tmp_path, monkeypatch):
    """Nothing is fetched that could not be used."""
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *args, **options: pytest.fail("fetched"))
    needed = "a text encoder by its name on the Hugging Face hub needs transformers; pip install -e '.[hub]' in a clone"
    assert refused(converted, config, tmp_path / "out").startswith(needed)


def test_names_are_of_text_encoders_only(encoder, config, tmp_path, monkeypatch):
    message = refused(converted, config, tmp_path / "out", format="auto")
    assert message.startswith("me/encoder: no such file; give the path of a checkpoint")
    assert "or --format roberta for a text encoder of this name" in message
    names = {
        "roberta-base": True,
        "FacebookAI/roberta-base": True,
        "a/b/c": False,
        "/a/b": False,
        "../a": False,
        "model.safetensors": False,
        "a/model.pth": False,
        "a b": False,
        "a\n": False,
        "n" * 97: False,
    }
    assert {name: hub.is_name(Path(name)) for name in names} == names
    monkeypatch.chdir(tmp_path)
    (tmp_path / "roberta-base").mkdir()
    assert not hub.is_name(Path("roberta-base"))
