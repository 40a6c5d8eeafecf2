"""Every field of every format with a value of another type: told as bad input, never by a traceback."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.datasets.labels import FORMAT as LABELS
from stvg_jax.data_pipeline.datasets.reading import read_annotations
from stvg_jax.data_pipeline.datasets.vidstg_files import read_replacements
from tests.data_pipeline.annotations.folders import (
    generic_file,
    generic_sample,
    hcstvg_entry,
    merged_pair,
    trajectories,
    vidstg_entry,
    write_json,
    write_vidstg,
)

WORDS = {"appearance": ["red", "blue"], "motion": ["sit"]}
EXTRAS = {
    **{"kind": "declarative", "subject": "the man", "category": "adult", "clip": [0, 20]},
    **{"appearance": ["red"], "motion": ["sit"]},
}
FORMATS: dict[str, Any] = {
    "json": generic_file(generic_sample(**EXTRAS), vocabularies=WORDS),
    "hcstvg": {"a.mp4": hcstvg_entry(sub="the man", adj_index_list=[1], verb_index_list=[2])},
    "hcstvg 2": {"a.mp4": hcstvg_entry(caption=None, width=None, height=None, English="The man.", img_size=[120, 160])},
    "vidstg": [vidstg_entry()],
    "vidstg merged": {"0": merged_pair(0, sub="the man", adj_index_list=[1], verb_index_list=[2])},
}
LABELS_FILE = {
    "format": LABELS,
    "appearance": {"red": 1},
    "motion": {"sit": 1},
    "splits": {"test": {"one": {"sentence": "The man in red sits down.", "appearance": [0], "motion": [0]}}},
}
OTHERS = [None, True, -7, 10**400, float("nan"), "\ud83d", [None], {"x": None}]
# More of anything than a reader may ask for is no mistake.
FREE = {"fps", "st_time", "ed_time", "type"}


def places(value: Any, at: tuple = ()) -> Iterator[tuple]:
    """The path of every value within `value`; of a list's items the first."""
    yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in FREE:
                yield from places(inner, (*at, key))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*at, 0))


def changed(value: Any, at: tuple, new: Any) -> Any:
    if not at:
        return new
    value = copy.deepcopy(value)
    inner = value
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = new
    return value


def is_told(read) -> None:
    """`read` does its work, or says what is wrong on lines of bounded length that any terminal can show."""
    try:
        read()
    except InputError as error:
        message = str(error)
        assert all(line.isprintable() and len(line) < 2000 for line in message.splitlines()), message[:2000]


def kept(dataset: str, path: Path, **options: Any) -> list:
    return read_annotations(dataset, path, split="test", on_problem="keep", **options).samples


@pytest.mark.parametrize("name", FORMATS)
def test_a_value_of_another_type_is_told(tmp_path, name):
    dataset = name.split()[0]
    write_vidstg(tmp_path, [])
    for at in places(FORMATS[name]):
        for new in OTHERS:
            file = write_json(tmp_path / "sent_annos" / "t.json", changed(FORMATS[name], at, new))
            is_told(lambda file=file: read_annotations(dataset, file, split="test"))
            is_told(lambda file=file: kept(dataset, file))


def test_other_types_in_trajectories(tmp_path):
    write_vidstg(tmp_path, [vidstg_entry()])
    whole = trajectories()
    shown = {"trajectories": [whole["trajectories"][12]]}
    for at in places(shown):
        for new in OTHERS:
            content = changed(shown, at, new)
            if len(at) > 1:
                content["trajectories"] *= len(whole["trajectories"])
            write_json(tmp_path / "bbox_annos" / "100.json", content)
            is_told(lambda: read_annotations("vidstg", tmp_path, split="test"))


def test_other_types_in_labels_and_replacements(tmp_path):
    file = write_json(tmp_path / "t.json", generic_file())
    for at in places(LABELS_FILE):
        for new in OTHERS:
            labels = write_json(tmp_path / "labels.json", changed(LABELS_FILE, at, new))
            is_told(lambda labels=labels: read_annotations("json", file, split="test", labels=labels))
    for new in OTHERS:
        for content in (new, {"smll": new}):
            words = write_json(tmp_path / "words.json", content)
            is_told(lambda words=words: read_replacements(words))


# What must be there, by format; anything else in its place leaves the entry without a sample.
NEEDED = {
    "json": ("samples", 0),
    "hcstvg": ("a.mp4",),
    "vidstg": (0,),
    "vidstg merged": ("0",),
}


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("new", [None, True, 7, "x", ["x"]], ids=repr)
def test_an_entry_must_be_an_object(tmp_path, name, new):
    write_vidstg(tmp_path, [])
    file = write_json(tmp_path / "sent_annos" / "t.json", changed(FORMATS[name], NEEDED[name], new))
    with pytest.raises(InputError, match="wrong type"):
        read_annotations(name.split()[0], file, split="test")


@pytest.mark.parametrize("new", [None, True, 7, "x", ["x"]], ids=repr)
def test_the_facts_of_a_video_must_be_an_object(tmp_path, new):
    file = write_json(tmp_path / "t.json", changed(FORMATS["json"], ("videos", "a.mp4"), new))
    with pytest.raises(InputError, match=r"wrong type \(1\):\n.*the file: videos.a.mp4 is .*, it must be an object"):
        read_annotations("json", file, split="test")
    with pytest.raises(InputError, match="have no usable sample"):
        kept("json", file)


@pytest.mark.parametrize("dataset", ["json", "hcstvg"])
def test_a_list_is_no_file_of_these_formats(tmp_path, dataset):
    file = write_json(tmp_path / "t.json", [hcstvg_entry()])
    with pytest.raises(InputError, match=r"t.json is a list; its annotations must be an object"):
        read_annotations(dataset, file, split="test")


def test_a_box_of_another_type_is_no_gap(tmp_path):
    """An empty object stands for a missing box; zero, false and empty text do not."""
    for new in (0, False, ""):
        boxes = [*merged_pair(0)["target_bboxs"][:4], new]
        file = write_json(tmp_path / "t.json", {"0": merged_pair(0, target_bboxs=boxes)})
        with pytest.raises(InputError, match="box without four numbers"):
            read_annotations("vidstg", file, split="test")
    assert (
        len(kept("vidstg", write_json(tmp_path / "t.json", {"0": merged_pair(0, target_bboxs=[*boxes[:4], {}])}))) == 1
    )
