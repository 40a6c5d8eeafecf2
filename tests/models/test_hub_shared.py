"""Converted checkpoints in repositories of a stand-in hub: uploaded, and fetched by `owner/name`."""

from __future__ import annotations

import json
import shutil

import pytest

from stvg_jax.cli import main
from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from stvg_jax.models.card import make_card
from stvg_jax.models.names import find_checkpoint
from stvg_jax.models.shared import folder_digest, parse_address
from tests.models import standin

NAME = "me/shapes"


@pytest.fixture
def shared(hub, converted):
    """A repository with a checkpoint, and a file that is none of it."""
    files = {
        path.relative_to(converted).as_posix(): path.read_bytes() for path in converted.rglob("*") if path.is_file()
    }
    hub.repositories[NAME] = standin.Repository({**files, "pytorch_model.bin": b"of no use"}, commit="b" * 40)
    return hub.repositories[NAME]


def refused(name=NAME):
    with pytest.raises(InputError) as caught:
        find_checkpoint(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", [NAME, f"hf://{NAME}", f"{NAME}@main", f"hf://{NAME}@{'b' * 40}"])
def test_a_checkpoint_of_somebody(name, hub, shared, converted, tmp_path, capsys):
    folder = find_checkpoint(name)
    assert checkpoint.verify(folder) == 1
    assert folder_digest(folder) == folder_digest(converted)
    assert not (folder / "pytorch_model.bin").exists()
    assert f"{NAME}: SHA-256 {folder_digest(folder)}, revision {'b' * 40}, noted in " in capsys.readouterr().err
    hub.requests.clear()
    assert find_checkpoint(name) == folder
    assert hub.requests == []
    # A branch that moves on does not change what is here.
    shared.commit = "c" * 40
    assert find_checkpoint(name) == folder


def test_one_that_is_incomplete_is_fetched_again(hub, shared):
    folder = find_checkpoint(NAME)
    (folder / checkpoint.PARAMETERS_FILE).resolve().unlink()
    assert checkpoint.verify(find_checkpoint(NAME)) == 1


def test_one_that_changed_is_refused(hub, shared, tmp_path):
    old = folder_digest(find_checkpoint(NAME))
    shutil.rmtree(tmp_path / "hub")
    record = json.loads(shared.files["checkpoint.json"])
    shared.files["checkpoint.json"] = json.dumps(record | {"note": "another"}).encode()
    message = refused()
    assert message.startswith(f"{NAME} has changed: its SHA-256 is ")
    assert f", and was {old}, revision {'b' * 40}, on 20" in message
    assert message.endswith("me--shapes.source.json and start again")
    # Another commit with the same files is the same checkpoint.
    shared.files["checkpoint.json"] = json.dumps(record, indent=1).encode() + b"\n"
    shared.commit = "c" * 40
    folder = find_checkpoint(NAME)
    hub.requests.clear()
    assert (find_checkpoint(NAME), hub.requests) == (folder, [])


def test_one_that_is_damaged_is_refused(hub, shared):
    parameters = bytearray(shared.files[checkpoint.PARAMETERS_FILE])
    parameters[-1] ^= 1
    shared.files[checkpoint.PARAMETERS_FILE] = bytes(parameters)
    assert "is damaged: these parameters differ from their checksums: a/kernel" in refused()
    del shared.files["tokenizer/tokenizer.json"]
    shared.commit = "d" * 40
    assert refused().endswith("is incomplete: it has no tokenizer/tokenizer.json")


@pytest.mark.parametrize(
    ("name", "refuses", "message"),
    [
        ("nobody/nothing", None, "the Hugging Face hub has no repository nobody/nothing; one that is private needs"),
        ("Gstar666/TASTVG", None, "Gstar666/TASTVG on the Hugging Face hub lacks checkpoint.json"),
        (f"{NAME}@v2", None, f"{NAME} on the Hugging Face hub has no such revision; leave it out for the newest"),
        (NAME, "GatedRepo", f"{NAME} is gated: accept its terms at https://huggingface.co/{NAME} and log in with"),
    ],
)
def test_what_is_no_checkpoint(name, refuses, message, hub, shared):
    shared.refuses = refuses
    assert refused(name).startswith(
        f"{name.partition('@')[0]} is no folder here and no checkpoint on the hub: {message}"
    )


def test_addresses():
    assert parse_address("a/b") == ("a/b", None)
    assert parse_address("hf://a/b-c.d@feature/x").name == "a--b-c.d--feature--x"
    assert [parse_address(text) for text in ("a", "a/b/c", "/a/b", "../b", "a/b@", "a/b c", "a\\b")] == [None] * 7


@pytest.fixture
def trained(converted, tmp_path):
    """A checkpoint with the record of its training."""
    folder = tmp_path / "best"
    shutil.copytree(converted, folder)
    start = {
        "time": "2026-11-27",
        "command": ["train", "/home/me"],
        "versions": {"jax": "0.10"},
        "changed": {"a": "/b"},
    }
    card = {
        "steps": 3500,
        "batch_size": 16,
        "validation": {"m_vIoU": 0.4557},
        "starts": [start],
        "config": {"name": "ta_stvg", "data": {"frames": "/home/me/frames"}, "train": {"seed": 1}},
    }
    (folder / "training.json").write_text(json.dumps(card))
    (folder / "conversion.json").write_text(json.dumps({"source": "/home/me/a.pth", "sha256": "5" * 64}))
    return folder


@pytest.mark.parametrize(
    ("model", "tag", "command"),
    [
        ("stgt", "video-text-retrieval", "index VIDEOS"),
        ("stcat", "spatio-temporal-video-grounding", "ground video.mp4"),
    ],
)
def test_a_card_tells_the_use_of_its_model(model, tag, command):
    description = checkpoint.Description(model=model, config={"model": {}, "clip": {}})
    card = make_card(description, "me/mine", {}, {}, None)
    assert f"- {tag}\n- {model}\n" in card
    assert f"\nstvg-jax {command}" in card


def test_a_checkpoint_that_is_uploaded_can_be_used_by_its_name(hub, trained, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    assert main(["push", str(trained), "me/mine", "--licence", "apache-2.0"]) == 0
    assert f"uploaded: {hub.address}/me/mine" in capsys.readouterr().out
    files = hub.repositories["me/mine"].files
    assert set(files) == {
        "README.md",
        "checkpoint.json",
        "conversion.json",
        "parameters.safetensors",
        "tokenizer/tokenizer.json",
        "training.json",
    }
    card = files["README.md"].decode()
    assert card.startswith(
        "---\nlibrary_name: stvg-jax\ntags:\n- spatio-temporal-video-grounding\n- ta_stvg\n- jax\nlicense:"
    )
    for row in ("steps | 3500", "SHA-256 of the source | 5555", "m_vIoU | 0.4557", "converted from | a.pth"):
        assert f"| {row}" in card
    assert "--checkpoint me/mine" in card
    # Nothing of the machine that it was made on.
    assert b"/home/me" not in b"".join(files.values())
    training = json.loads(files["training.json"])
    assert training["config"] == {"name": "ta_stvg", "train": {"seed": 1}}
    assert training["starts"] == [{"time": "2026-11-27", "versions": {"jax": "0.10"}}]
    folder = find_checkpoint("me/mine")
    assert folder_digest(folder) == folder_digest(trained)
    # A second time, into the same repository.
    assert main(["push", str(trained), "me/mine"]) == 0


def test_the_card_alone(trained, capsys):
    assert main(["push", str(trained), "me/mine", "--card-only"]) == 0
    assert "# me/mine" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["me/mine"],
            "the Hugging Face hub does not let you write to me/mine; log in with `hf auth login` and a token",
        ),
        (["mine"], "'mine' is no repository of the hub; write OWNER/NAME"),
        (
            ["me/mine", "--licence", "my own"],
            "--licence 'my own' is no identifier; write one such as apache-2.0 or mit",
        ),
    ],
)
def test_uploads_that_are_refused(arguments, message, hub, trained, capsys):
    assert main(["push", str(trained), *arguments]) == 2
    assert f"stvg-jax push: {message}" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_not_uploaded(hub, trained, capsys):
    content = bytearray((trained / checkpoint.PARAMETERS_FILE).read_bytes())
    content[-1] ^= 1
    (trained / checkpoint.PARAMETERS_FILE).write_bytes(content)
    assert main(["push", str(trained), "me/mine"]) == 2
    assert "is damaged: these parameters differ" in capsys.readouterr().err
    assert hub.requests == []
