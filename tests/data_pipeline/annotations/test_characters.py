"""Text that no encoding, terminal or message can take: halves of characters, control characters, megabytes."""

import re

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations.videos import VideoFolder
from stvg_jax.data_pipeline.datasets.labels import prepare_labels
from stvg_jax.data_pipeline.datasets.reading import read_annotations
from stvg_jax.data_pipeline.datasets.vidstg_files import read_replacements
from tests.data_pipeline.annotations.folders import (
    generic_file,
    generic_sample,
    hcstvg_entry,
    merged_pair,
    vidstg_entry,
    write_json,
    write_vidstg,
)

HALF = "The man in red \ud83d sits down."
MENDED = "The man in red \ufffd sits down."
WHOLE = "The man in red \U0001f600 sits down."


def files(folder, text):
    """The same sentence in each format; `write_json` writes a pair of halves as the whole character that it is."""
    write_vidstg(folder, [])
    captions = [{"description": text, "target_id": 1}, *vidstg_entry()["captions"]]
    return {
        "json": ("json", generic_file(generic_sample(sentence=text), generic_sample(id="two")), "sample 0"),
        "hcstvg": ("hcstvg", {"a.mp4": hcstvg_entry(caption=text), "b.mp4": hcstvg_entry()}, "a.mp4"),
        "vidstg": ("vidstg", [vidstg_entry(captions=captions)], "entry 0, captions 0"),
        "merged": ("vidstg", {"0": merged_pair(0, sentence={"description": text}), "1": merged_pair(1)}, "entry 0"),
    }


@pytest.mark.parametrize("name", ["json", "hcstvg", "vidstg", "merged"])
def test_half_a_character_is_a_problem_of_its_entry(tmp_path, name):
    dataset, content, entry = files(tmp_path, HALF)[name]
    file = write_json(tmp_path / "sent_annos" / "t.json", content)

    def read(**options):
        return read_annotations(dataset, file, split="test", **options)

    with pytest.raises(InputError, match=rf"1 problem.*\n  half a character \(1\):\n.*: {entry}: .*\\ud83d"):
        read()
    kept, excluded = read(on_problem="keep"), read(on_problem="exclude")
    sentence = MENDED if dataset != "vidstg" else "the man in red sits down"
    assert kept.samples[0].sentence == sentence
    assert len(kept.samples) == len(excluded.samples) + 1
    assert [problem.rule for problem in kept.problems] == ["half a character"]
    assert "half a character" in excluded.excluded[0].reason
    write_json(file, files(tmp_path, WHOLE)[name][1])
    assert not read().problems


def test_half_a_character_in_names(tmp_path):
    file = write_json(tmp_path / "h.json", {"a\udc00.mp4": hcstvg_entry()})
    (sample,) = read_annotations("hcstvg", file, split="test", on_problem="keep").samples
    assert sample.video == "a\ufffd.mp4"
    content = generic_file(generic_sample(id="one\ud83d", video="v\ud83d", subject="the \ud83d man"))
    content["videos"] = {"v\ud83d": content["videos"]["a.mp4"]}
    (sample,) = read_annotations(
        "json", write_json(tmp_path / "g.json", content), split="test", on_problem="keep"
    ).samples
    assert (sample.id, sample.video, sample.subject) == ("one\ufffd", "v\ufffd", "the \ufffd man")
    file = write_json(tmp_path / "m.json", {"7\ud83d": {k: v for k, v in merged_pair(0).items() if k != "id"}})
    (sample,) = read_annotations("vidstg", file, split="test", on_problem="keep").samples
    assert sample.id == "7\ufffd"
    with pytest.raises(InputError, match=r"'\\ud83d' a character was cut in two"):
        read_replacements(write_json(tmp_path / "w.json", {"smll": "\ud83d"}))


def test_labels_are_made_of_sentences_with_half_a_character(tmp_path):
    write_json(tmp_path / "train.json", generic_file(generic_sample(sentence=HALF)))
    labels = prepare_labels("json", tmp_path, tmp_path / "labels.json")
    assert labels.splits["train"]["one"].sentence == MENDED
    options = {"split": "train", "labels": tmp_path / "labels.json", "on_problem": "keep"}
    (sample,) = read_annotations("json", tmp_path, **options).samples
    assert sample.appearance_labels == (0,)


@pytest.mark.parametrize("name", ["json", "hcstvg", "vidstg", "merged"])
def test_messages_are_bounded_and_hold_no_control_characters(tmp_path, name, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    hostile = "\x1b[31m\nOK: all good\r" + "x" * 1_000_000
    content = {
        "json": generic_file(*[generic_sample(id=hostile, kind=hostile, video=hostile, **{hostile: 1})] * 5),
        "hcstvg": {hostile + str(i): hcstvg_entry(st_frame=hostile, caption="\x07" * 1000) for i in range(5)},
        "vidstg": [vidstg_entry(vid=hostile, width=hostile)] * 5,
        "merged": {hostile + str(i): merged_pair(i, qtype=hostile, vid=[hostile]) for i in range(5)},
    }[name]
    file = write_json(tmp_path / "t.json", content)
    write_json(tmp_path / "bbox_annos" / "100.json", {})
    dataset = "vidstg" if name == "merged" else name
    with pytest.raises(InputError) as caught:
        read_annotations(dataset, file, split="test")
    lines = str(caught.value).splitlines()
    assert all(line.isprintable() and len(line) < 2000 for line in lines)
    assert not any(line.startswith("OK") for line in lines)
    (report,) = tmp_path.glob("stvg_jax_problems_*.tsv")
    rows = report.read_text(encoding="utf-8").split("\n")[1:-1]
    assert len(rows) == int(re.match(r"(\d+) problems", lines[0])[1])
    assert all(row.count("\t") == 3 and len(row) < 2000 for row in rows)


def test_links_that_lead_back_are_walked_once(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.mp4").write_bytes(b"")
    for name in ("one", "two"):
        (tmp_path / "sub" / name).symlink_to(tmp_path, target_is_directory=True)
    assert VideoFolder(tmp_path).find("a.mp4") == ["sub/a.mp4"]
