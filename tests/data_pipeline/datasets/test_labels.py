"""Attribute words, vocabularies and labels, and the command that makes them."""

import argparse
import json
import sys

import pytest

from stvg_jax.commands import prepare_labels as command
from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import Vocabularies
from stvg_jax.data_pipeline.datasets.labels import make_labels, prepare_labels, read_labels, write_labels
from stvg_jax.data_pipeline.datasets.reading import read_annotations
from stvg_jax.data_pipeline.language import attributes
from stvg_jax.data_pipeline.language.attributes import attribute_words
from tests.data_pipeline.annotations.folders import (
    generic_file,
    generic_sample,
    hcstvg_entry,
    vidstg_entry,
    write_json,
)


@pytest.mark.parametrize(
    ("sentence", "appearance", "motion"),
    [
        ("The man in the black suit walks to the woman in white, puts down the cup and turns around.",
         "black suit white", "walk put turn"),
        ("The woman with long hair takes the bag from the man in the gray T-shirt, opens it and looks inside.",
         "long hair grey t-shirt", "take open look"),
        ("The bearded man stands up, points at the door and shouts.", "bearded", "stand point shout"),
        ("The man in the hat pats the bald man on the shoulder, then leaves the room.", "hat bald", "pat leave"),
        ("A woman in a red coat sits down next to the man with glasses and hands him a letter.",
         "red coat glasses", "sit hand"),
        ("The boy in blue looks back, watches the car and raises his right hand.", "blue", "look watch raise"),
        ("The person lying on the bed gets up and walks towards the window.", "", "lie get walk"),
        ("The man who left the house lights a cigarette and smokes.", "", "leave light smoke"),
        ("A blond boy starts to cry and wipes his face with a towel.", "blond", "start cry wipe"),
        ("There is a bigger spotted dog chased by two kids in the living room.", "big spotted", "chase"),
        ("an adult wearing a watch is towards a swimming pool.", "", ""),
        ("what does the child in colourful clothes watch outdoors?", "colorful", "watch"),
        ("who does the adult man in black hold?", "black", "hold"),
        ("what does the baby lean on at home?", "", "lean"),
        ("who is swimming beside the running child on the left?", "", "swim run"),
        ("two men in t shirts and a girl in a tshirt dance", "t-shirt", "dance"),
        ("who holds hand of the baby with white white shoes", "white shoe", "hold"),
    ],
)  # fmt: skip
def test_attribute_words(sentence, appearance, motion):
    assert attribute_words(sentence) == (tuple(appearance.split()), tuple(motion.split()))


SENTENCES = {
    "train": {"1": "a man in red sits", "2": "the man in blue sits", "3": "a red dog runs", "4": "what is behind it?"},
    "test": {"1": "a red cat in a green hat jumps and runs"},
}


def test_vocabularies_are_the_most_frequent_training_words_and_label_all_splits():
    labels = make_labels(SENTENCES, appearance=2, motion=5)
    assert labels.vocabularies == Vocabularies(("red", "blue"), ("sit", "run"))
    assert labels.counts == {"appearance": {"red": 2, "blue": 1}, "motion": {"sit": 2, "run": 1}}
    train, test = labels.splits["train"], labels.splits["test"]
    assert [(train[i].appearance, train[i].motion) for i in "1234"] == [
        ((0,), (0,)),
        ((1,), (0,)),
        ((0,), (1,)),
        ((), ()),
    ]
    assert (test["1"].appearance, test["1"].motion) == ((0,), (1,))


def test_what_no_vocabulary_can_be_made_of():
    with pytest.raises(InputError, match="made from the split 'train'; only test was given"):
        make_labels({"test": {}}, 1, 1)
    with pytest.raises(InputError, match="no motion word"):
        make_labels({"train": {"1": "a red hat"}}, 1, 1)
    with pytest.raises(InputError, match="at least one word"):
        make_labels(SENTENCES, 0, 1)


def test_a_labels_file_holds_what_was_made(tmp_path):
    labels = make_labels(SENTENCES, 2, 5)
    write_labels(tmp_path / "labels.json", labels)
    assert [path.name for path in tmp_path.iterdir()] == ["labels.json"]
    again = read_labels(tmp_path / "labels.json")
    assert (again.vocabularies, again.counts, again.splits) == (labels.vocabularies, labels.counts, labels.splits)


def test_a_wrong_labels_file_is_refused(tmp_path):
    file = tmp_path / "labels.json"
    write_labels(file, make_labels(SENTENCES, 2, 5))
    content = json.loads(file.read_text())
    content["splits"]["train"]["1"]["appearance"] = [2]
    content["splits"]["train"]["2"]["motion"] = ["sit"]
    del content["splits"]["test"]["1"]["motion"]
    with pytest.raises(InputError) as error:
        read_labels(write_json(file, content))
    assert str(error.value).startswith("3 problems in the labels in ")
    for part in ("appearance has 2, but only 2 words", "motion is 'sit', it must", "there is no splits.test.1.motion"):
        assert part in str(error.value)
    with pytest.raises(InputError, match="not a labels file"):
        read_labels(write_json(file, {"format": "other"}))


def write_splits(folder):
    write_json(
        folder / "train.json", generic_file(generic_sample(), generic_sample(id="2", sentence="A dog in blue runs."))
    )
    write_json(folder / "test.json", generic_file(generic_sample(sentence="A dog in red runs.")))
    return folder


def test_labels_take_the_place_of_the_files_own(tmp_path):
    prepare_labels("json", write_splits(tmp_path), tmp_path / "labels.json")
    train = read_annotations("json", tmp_path, split="train", labels=tmp_path / "labels.json")
    assert train.vocabularies == Vocabularies(("blue", "red"), ("run", "sit"))
    assert [(s.appearance_labels, s.motion_labels) for s in train.samples] == [((1,), (1,)), ((0,), (0,))]
    test = read_annotations("json", tmp_path, split="test", labels=tmp_path / "labels.json")
    assert (test.samples[0].appearance_labels, test.samples[0].motion_labels) == ((1,), (0,))


def test_labels_of_other_annotations_are_refused(tmp_path):
    labels = tmp_path / "labels.json"
    prepare_labels("json", write_splits(tmp_path), labels)
    changed = generic_file(generic_sample(sentence="A cat runs."), generic_sample(id="new"))
    write_json(tmp_path / "train.json", changed)
    with pytest.raises(InputError) as error:
        read_annotations("json", tmp_path, split="train", labels=labels)
    assert "labels of another sentence (1)" in str(error.value)
    assert "no labels (1)" in str(error.value)
    write_json(tmp_path / "val.json", changed)
    with pytest.raises(InputError, match="no labels for the split 'val'"):
        read_annotations("json", tmp_path, split="val", labels=labels)


def test_every_sample_that_can_be_read_gets_labels(tmp_path):
    entries = {"a.mp4": hcstvg_entry(), "b.mp4": hcstvg_entry(bbox=[[150, 1, 30, 2]])}
    file = write_json(tmp_path / "train.json", entries)
    prepare_labels("hcstvg", file, tmp_path / "labels.json")
    kept = read_annotations("hcstvg", file, split="train", labels=tmp_path / "labels.json", on_problem="keep")
    assert [sample.motion_labels for sample in kept.samples] == [(0,), (0,)]


def test_vidstg_needs_no_trajectories_and_takes_replacements(tmp_path):
    wrong = vidstg_entry(width=0)
    write_json(tmp_path / "train_annotations.json", [vidstg_entry(), wrong])
    words = write_json(tmp_path / "words.json", {"smll": "small"})
    labels = prepare_labels("vidstg", tmp_path, tmp_path / "labels.json", replacements=words)
    assert labels.vocabularies == Vocabularies(("small", "t-shirt"), ("hold",))
    assert [sample.sentence for sample in labels.splits["train"].values()] == [
        "there is a man in small t shirt",
        "who holds the dog",
    ]
    with pytest.raises(InputError, match="replacements: not an option of the dataset json; it has no options"):
        prepare_labels("json", tmp_path, tmp_path / "labels.json", replacements=words)


def run(*arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args([str(argument) for argument in arguments]))


def test_the_command_prints_the_words_and_replaces_nothing_unasked(tmp_path, capsys):
    arguments = ("--dataset", "json", "--annotations", write_splits(tmp_path), "--out", tmp_path / "labels.json")
    run(*arguments, "--appearance", 1)
    printed = capsys.readouterr().out
    assert "1 appearance words, with training sentences each:\n  blue 1\n" in printed
    assert "2 motion words, with training sentences each:\n  run 1, sit 1\n" in printed
    assert "test: 1 sentences, 0 without any of the words" in printed
    with pytest.raises(InputError, match="exists; use --force"):
        run(*arguments)
    run(*arguments, "--force", "--splits", "train")
    assert list(read_labels(tmp_path / "labels.json").splits) == ["train"]
    with pytest.raises(InputError, match="no folder"):
        run(*arguments[:-1], tmp_path / "nowhere" / "labels.json")


def test_without_lemminflect_the_way_out_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "lemminflect", None)
    attributes._lemmas.cache_clear()
    with pytest.raises(InputError, match=r"pip install -e '\.\[data\]'"):
        attribute_words("a man sits")
