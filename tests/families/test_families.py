"""The promise of the contract: a family is one module and one line in the registry, whatever its task."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.core import checkpoint
from stvg_jax.core.registry import FAMILIES
from tests.datasets import overrides, write_stored_hcstvg
from tests.tiny import write_byte_tokenizer
from tests.torch_files import save_zip

RETRIEVAL = """
import ml_collections

def get_config(arg=""):
    train = {"batch_size": 4, "dtype": "float32", "remat": "none", "tokenizer": "words", "max_steps": 30}
    train |= {"log_every": 10, "save_every": 10, "validate_every": 10, "validate_split": "test", "examples": 0}
    return ml_collections.ConfigDict({
        "name": "towers",
        "model": {"width": 16, "vocab_size": 300},
        "data": {"pairs": ""},
        "schedule": {"epochs": 1, "drop_epochs": (), "linear_groups": ()},
        "optim": {"ema_decay": 0.5},
        "train": train | {"initialise": ()},
        "eval": {"samples_per_device": 3},
    }).lock()
"""


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """The one line for each."""
    monkeypatch.setitem(FAMILIES, "toy", "tests.families.toy_grounding")
    monkeypatch.setitem(FAMILIES, "towers", "tests.families.toy_retrieval")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> Path:
    """Videos whose numbers say which of six words describe them."""
    rng = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "small", "large", "fast"])

    def pair(number: int) -> dict:
        there = rng.permutation(6) < 3
        return {"id": str(number), "video": there.astype(float).tolist(), "sentence": " ".join(words[there])}

    folder = tmp_path_factory.mktemp("pairs")
    unique = {p["sentence"]: p for p in map(pair, range(100))}
    content = {"train": list(unique.values()), "test": list(unique.values())[:7]}
    (folder / "pairs.json").write_text(json.dumps(content))
    (folder / "towers.py").write_text(RETRIEVAL)
    return folder


def test_a_family_of_another_task_trains_resumes_evaluates_and_converts(pairs, tmp_path, capsys):
    config = ["--config", str(pairs / "towers.py"), f"--config.data.pairs={pairs / 'pairs.json'}"]
    for steps in (10, 30):
        assert main(["train", *config, "--workdir", str(tmp_path / "halved"), f"--config.train.max_steps={steps}"]) == 0
    assert main(["train", *config, "--workdir", str(tmp_path / "whole")]) == 0
    read = {}
    for run in ("halved", "whole"):
        folder = tmp_path / run / "last"
        read[run] = checkpoint.read(folder, checkpoint.describe(folder))
    for path, value in read["whole"].items():
        np.testing.assert_array_equal(read["halved"][path], value)
    best = str(tmp_path / "whole" / "best")
    capsys.readouterr()
    assert main(["eval", *config, "--checkpoint", best, "--out", str(tmp_path / "eval")]) == 0
    assert "R@1 100.0" in capsys.readouterr().out
    assert len((tmp_path / "eval" / "records" / "part-00000.jsonl").read_text().splitlines()) == 7
    assert main(["inspect", str(pairs / "towers.py"), "--tokens", "8"]) == 0
    assert "video" in capsys.readouterr().out
    assert main(["ground", "any.mp4", "a word", "--checkpoint", best, "--out", str(tmp_path / "tube")]) == 2
    assert "a towers gives no tubes; it cannot ground" in capsys.readouterr().err

    released = tmp_path / "towers.pth"
    theirs = {name: read["whole"][path] for name, path in NAMES.items()}
    save_zip(released, theirs | {"visual.weight": theirs["visual.weight"].T.copy()})
    write_byte_tokenizer(tmp_path / "bytes")
    options = ["--config", str(pairs / "towers.py"), "--tokenizer", str(tmp_path / "bytes")]
    assert main(["convert", str(released), str(tmp_path / "converted"), *options]) == 0
    converted = checkpoint.read(tmp_path / "converted", checkpoint.describe(tmp_path / "converted"))
    for path, value in read["whole"].items():
        np.testing.assert_array_equal(converted[path], value)


NAMES = {
    "visual.weight": "video/kernel",
    "visual.bias": "video/bias",
    "words.weight": "words/embedding",
    "logit_scale": "temperature",
}


@pytest.fixture(scope="module")
def tubes(tmp_path_factory) -> Path:
    return write_stored_hcstvg(tmp_path_factory.mktemp("tubes"))


GROUNDING = """
from stvg_jax.core.registry import get_family
from tests.experiment import tiny_experiment

def get_config(arg=""):
    config = tiny_experiment.get_config().copy_and_resolve_references().to_dict()
    own = {field for field in get_family("toy").config.__dataclass_fields__}
    config["name"] = "toy"
    config["model"] = {name: value for name, value in config["model"].items() if name in own}
    # Gradients of the backbones would take most of the time; of two stages of the ResNet one is trained all the same.
    config["model"] |= {"sharpness": 2.0, "frozen_backbones": True}
    config["model"]["resnet"] |= {"blocks": (1, 1)}
    config["model"]["swin"] |= {"depths": (1, 1), "heads": (1, 2)}
    config["loss"] = {"box_l1": 5.0}
    config["learning_rates"] = {"base": 1e-3}
    config["train"] |= {"max_steps": 2, "validate_split": "test", "initialise": ()}
    import ml_collections
    return ml_collections.ConfigDict(config).lock()
"""


def test_a_grounding_family_of_one_pass_trains_and_evaluates(tubes, tmp_path, capsys):
    (tmp_path / "toy.py").write_text(GROUNDING)
    config = ["--config", str(tmp_path / "toy.py"), *overrides(tubes)]
    assert main(["train", *config, "--workdir", str(tmp_path / "run")]) == 0
    assert "toy" in (tmp_path / "run" / "validation" / "00000002" / "table.md").read_text()
    lines = (tmp_path / "run" / "validation" / "00000002" / "records.jsonl").read_text().splitlines()
    assert len(lines) == 4
    assert {number for line in lines for number in json.loads(line)["scores"]["pass"]} == {0}
