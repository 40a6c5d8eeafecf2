"""STGT and ALPRO through the command line, with small models."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stvg_jax.backbones.bert import BertConfig
from stvg_jax.backbones.timesformer import TimeSformerConfig
from stvg_jax.backbones.vit import ViTConfig
from stvg_jax.cli import main
from stvg_jax.convert.wordpiece import make_wordpiece
from stvg_jax.core import checkpoint
from stvg_jax.core.registry import get_family, make_model
from stvg_jax.core.tree import flatten, unflatten
from stvg_jax.data_pipeline.loading.caption_pairs import CaptionPairLoader
from stvg_jax.nn.declare import PureModule, initialize
from stvg_jax.retrieval.alpro import ALPROConfig
from stvg_jax.retrieval.clip import RetrievalClip
from stvg_jax.retrieval.graph import GraphConfig
from stvg_jax.retrieval.qformer import QFormerConfig
from stvg_jax.retrieval.stgt import STGTConfig
from tests.hosts import run_hosts
from tests.retrieval import toy
from tests.retrieval.conftest import arguments

TERMS = ("contrastive", "matching", "caption", "gradient_norm")
VOCABULARY = json.loads((Path(__file__).parents[1] / "goldens" / "retrieval_tokenizer.json").read_text())["vocab"]


def small_stgt() -> STGTConfig:
    return STGTConfig(
        vit=ViTConfig(image=28, width=16, blocks=1, heads=2, hidden=16),
        graph=GraphConfig(heads=2),
        qformer=QFormerConfig(vocab_size=len(VOCABULARY) + 1, width=16, layers=2, heads=2, hidden=16, queries=2),
        embedding=8,
        max_tokens=12,
    )


def small_alpro() -> ALPROConfig:
    return ALPROConfig(
        timesformer=TimeSformerConfig(image=32, width=16, blocks=1, heads=2, hidden=16),
        bert=BertConfig(vocab_size=len(VOCABULARY), width=16, layers=2, heads=2, hidden=16),
        text_layers=1,
        embedding=8,
        max_tokens=12,
    )


def write_checkpoint(folder: Path, name: str, config: STGTConfig | ALPROConfig, pixels: int) -> Path:
    """Writes freshly drawn parameters and a tokenizer."""
    with checkpoint.new_directory(folder) as partial:
        sections = {"model": dataclasses.asdict(config), "clip": dataclasses.asdict(RetrievalClip(resolution=pixels))}
        declared = PureModule(make_model(name, sections["model"], np.float32)).declarations
        description = checkpoint.Description(model=name, config=sections, note="drawn")
        checkpoint.write(partial, flatten(initialize(unflatten(declared), 0)), description)
        (partial / checkpoint.TOKENIZER).mkdir()
        tokenizer = make_wordpiece(VOCABULARY, get_family(name).text(config).vocab_size)
        tokenizer.save(str(partial / checkpoint.TOKENIZER / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A small STGT."""
    return write_checkpoint(tmp_path_factory.mktemp("small") / "checkpoint", "stgt", small_stgt(), 28)


def test_it_is_evaluated_as_configured(place, small, tmp_path, capsys):
    options = ["--config.eval.reranked=3", "--config.eval.samples_per_device=4"]
    assert main(arguments(place, tmp_path, *options, config="stgt_msrvtt", checkpoint=small)) == 0
    told = capsys.readouterr().out
    assert "MSR-VTT, test 1k-A" in told and "ALPRO (CVPR 2022)" in told and "stvg_jax stgt" in told
    results = json.loads((tmp_path / "metrics.json").read_text())["results"]
    assert [group["queries"] for group in results.values()] == [10, 6]
    best = [json.loads(line)["best"][0]["score"] for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    # A probability is added to each similarity.
    assert len(best) == 10 and all(-1 < score < 2 for score in best)


@pytest.mark.slow
def test_alpro_is_evaluated_as_configured(place, tmp_path, capsys):
    """All pairs are compared, as released."""
    folder = write_checkpoint(tmp_path / "checkpoint", "alpro", small_alpro(), 32)
    assert main(arguments(place, tmp_path / "out", config="alpro_msrvtt", checkpoint=folder)) == 0
    assert "stvg_jax alpro" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["reranked"] == 1000


def test_pictures_that_it_does_not_take_are_refused(place, small, tmp_path, capsys):
    for option in ("resolution=224", "sizing=squeezed"):
        options = [f"--config.clip.{option}"]
        assert main(arguments(place, tmp_path, *options, config="stgt_msrvtt", checkpoint=small)) == 2
        assert "but the model takes squares of 28; set config.clip.resolution=28" in capsys.readouterr().err


def test_what_it_needs_of_a_store_is_told(place, capsys):
    options = ["--dataset", "msrvtt", "--annotations", str(place / "data"), "--split", "test", "--frames", "sampled"]
    options += ["--family", "stgt", "--processes", "1", "--out", str(place / "frames")]
    assert main(["prepare", "frames", *options]) == 0
    told = capsys.readouterr().out
    assert f"stored already: {len({name for name, *_ in toy.VIDEOS})} of 5 videos" in told
    assert "stgt, 224 pixels: frames not stored for training" in told
    with pytest.raises(SystemExit):
        main(["prepare", "frames", *options, "--family", "nothing"])
    hcstvg = ["--dataset", "hcstvg", *options[2:]]
    assert main(["prepare", "frames", *hcstvg]) == 2
    assert "--family stgt: it has no released models for this dataset" in capsys.readouterr().err


def training(place: Path, workdir: Path, start: Path, *options: str, config: str = "alpro_msrvtt") -> list[str]:
    """Arguments of a training of the model of a checkpoint, from its parameters."""
    sections = json.loads((start / "checkpoint.json").read_text())["config"]
    model = sections["model"]
    nested = {f"{part}.{key}": v for part in model if isinstance(model[part], dict) for key, v in model[part].items()}
    single = {key: v for key, v in model.items() if not isinstance(v, dict)}
    changed = {
        **{f"model.{key}": v for key, v in (nested | single).items()},
        "clip.resolution": sections["clip"]["resolution"],
        "clip.frames": 2,
        "clip.training_frame_rule": "uniform",
        "data.annotations": place / "data" / "cap_test.json",
        "data.frames": place / "frames",
        "data.dataset": "msvd",
        "eval.benchmark": "none",
        "eval.reranked": 2,
        "train.initialise": f"('{start}',)",
        "train.tokenizer": start,
        "train.split": "test",
        "train.validate_split": "test",
        "train.batch_size": 4,
        "train.max_steps": 12,
        "train.save_every": 2,
        "train.log_every": 1,
        "train.dtype": "float32",
        "train.remat": "none",
    }
    arguments = [f"--config.{key}={value}" for key, value in changed.items() if value is not None]
    return ["train", "--config", config, "--workdir", str(workdir), *arguments, *options]


def train(*arguments: Any) -> int:
    return main(training(*arguments))


@pytest.mark.slow
def test_training_goes_on_where_it_was_interrupted(place, tmp_path, monkeypatch):
    """Bit by bit, and its best checkpoint can be evaluated."""
    start = write_checkpoint(tmp_path / "start", "alpro", small_alpro(), 32)
    straight, continued = tmp_path / "straight", tmp_path / "continued"
    assert train(place, straight, start) == 0
    read = CaptionPairLoader._row
    with monkeypatch.context() as patch:
        # While the first steps are made, batches of later ones are read.
        rows = itertools.count()
        stop = functools.partial(os.kill, os.getpid(), signal.SIGTERM)
        patch.setattr(CaptionPairLoader, "_row", lambda *a: (next(rows) == 25 and stop(), read(*a))[1])
        with pytest.raises(SystemExit) as stopped:
            train(place, continued, start)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert train(place, continued, start) == 0
    ours, theirs = (
        checkpoint.read(path / "last", checkpoint.describe(path / "last")) for path in (continued, straight)
    )
    assert ours.keys() == theirs.keys()
    first = checkpoint.read(start, checkpoint.describe(start))
    assert sum((ours[path] != first[path]).any() for path in ours) > 20
    lines = [json.loads(line) for line in (straight / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "contrastive" in line]
    assert [line["step"] for line in steps] == list(range(1, 13))
    assert all(np.isfinite(line["loss"]) and line["matching"] > 0 for line in steps)
    assert steps[-1]["rate/base"] < steps[0]["rate/base"]
    assert main(arguments(place, tmp_path / "out", config="alpro_msrvtt", checkpoint=straight / "best")) == 0


@pytest.mark.slow
def test_a_step_of_stgt_is_the_same_on_devices_and_on_hosts(place, small, tmp_path):
    """Of eight pairs, each compared with all: on 1 device, on 8 of which 2 share a copy, and on 2 hosts of 4."""
    losses = {}
    for name, hosts, devices, fsdp in (("alone", 1, 1, 1), ("devices", 1, 8, 2), ("hosts", 2, 4, 2)):
        options = ["--config.train.batch_size=8", "--config.train.max_steps=3", f"--config.train.fsdp={fsdp}"]
        options += ["--config.train.validate_split="]
        command = training(place, tmp_path / name, small, *options, config="stgt_msrvtt")
        for process in run_hosts(["-m", "stvg_jax.cli", *command], hosts=hosts, devices=devices):
            assert process.returncode == 0, process.stderr[-2000:]
        lines = map(json.loads, (tmp_path / name / "metrics.jsonl").read_text().splitlines())
        losses[name] = np.array([[line[term] for term in TERMS] for line in lines if "contrastive" in line])
    assert losses["alone"].shape == (3, len(TERMS)) and np.ptp(losses["alone"][:, 0]) > 1e-6
    np.testing.assert_allclose(losses["devices"], losses["alone"], rtol=2e-5)
    np.testing.assert_allclose(losses["hosts"], losses["alone"], rtol=2e-5)
