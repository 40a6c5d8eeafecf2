"""Captions of shapes are all true, the same everywhere, and a dataset of their own."""

from __future__ import annotations

import hashlib
import json

import pytest

from stvg_jax.cli import main
from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.datasets.reading import read_annotations
from stvg_jax.data_pipeline.shapes import Settings, make_example
from stvg_jax.data_pipeline.shapes.answers import the_answer
from stvg_jax.data_pipeline.shapes.captions import (
    SENTENCES,
    VARIANTS,
    caption_of,
    captions_of,
    drawn_captions,
    prepare_captions,
)
from stvg_jax.data_pipeline.shapes.dataset import Plan, prepare_shapes
from stvg_jax.data_pipeline.shapes.draws import Draws
from stvg_jax.data_pipeline.shapes.facts import observe
from stvg_jax.data_pipeline.shapes.sentences import parse

SMALL = Settings(height=48, frames=32)
PLAN = Plan(train=2, val=1, test=2, settings=SMALL)


def test_the_captions_of_the_test_split_are_fixed():
    texts = [text for index in range(8) for text in captions_of(Plan(), "test", index)]
    assert texts[0] == "the little blue star passes over the white square"
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    assert digest.startswith("e15a48f055d834fb")


def test_a_caption_of_an_evaluation_says_what_the_scene_gives():
    example = make_example(0, SMALL, split="check", index=4, sentences=SENTENCES)
    sentences = [grounding.sentence for grounding in example.groundings]
    assert 1 < len(sentences) <= SENTENCES
    assert caption_of(example) == ", ".join(sentences)


def test_drawn_captions_are_true_and_differ():
    example = make_example(0, SMALL, split="check", index=4, sentences=SENTENCES)
    facts = observe(example.scene)
    captions = drawn_captions(example, Draws("a key"), 20)
    assert captions == drawn_captions(example, Draws("a key"), 20) and len(set(captions)) > 15
    lengths = set()
    for caption in captions:
        # A comma may stand within a sentence too.
        parts, sentences = caption.split(", "), 0
        while parts:
            size = next(n for n in (1, 2, 3) if is_fair(", ".join(parts[:n]), facts))
            parts, sentences = parts[size:], sentences + 1
        lengths.add(sentences)
    assert lengths == {1, 2, 3, 4}


def is_fair(sentence, facts) -> bool:
    try:
        return the_answer(parse(sentence), facts) is not None
    except InputError:
        return False


def test_they_are_added_to_a_finished_dataset(tmp_path, capsys):
    with pytest.raises(InputError, match="is no finished shapes dataset; make it by"):
        prepare_captions(tmp_path / "data", PLAN)
    prepare_shapes(tmp_path / "data", PLAN)
    options = ["--train", "2", "--val", "1", "--test", "2", "--height", "48", "--frames", "32", "--processes", "1"]
    assert main(["prepare", "shapes", str(tmp_path / "data"), *options, "--captions"]) == 0
    annos = tmp_path / "data" / "annos"
    files = {path.name: path.read_bytes() for path in annos.glob("captions*")}
    noted = json.loads(files["captions.json"])
    for split, count in PLAN.counts().items():
        read = read_annotations("shapes", tmp_path / "data", split=split)
        found = [[s.sentence for s in read.samples if s.entry == entry] for entry in range(count)]
        assert found == [captions_of(PLAN, split, index) for index in range(count)]
        assert len(found[0]) == (VARIANTS if split == "train" else 1)
        assert read.samples[0].video == f"{split}_000000.mp4"
        digest = hashlib.sha256(files[f"captions_{split}.json"]).hexdigest()
        assert noted["splits"][split] == {"captions_sha256": digest}
    (annos / "captions_val.json").unlink()
    prepare_captions(tmp_path / "data", PLAN, processes=2)
    assert files == {path.name: path.read_bytes() for path in annos.glob("captions*")}
    capsys.readouterr()
    assert main(["prepare", "shapes", str(tmp_path / "data"), *options, "--captions", "--seed", "1"]) == 2
    assert "holds another dataset" in capsys.readouterr().err
