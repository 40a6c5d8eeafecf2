"""VidSTG's sentence files and merged files, against the rules of the released systems."""

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.datasets.reading import read_annotations
from stvg_jax.data_pipeline.datasets.vidstg import read_sentences
from stvg_jax.data_pipeline.datasets.vidstg_files import clean_sentence
from stvg_jax.data_pipeline.language.text import model_text
from tests.data_pipeline.annotations.folders import (
    merged_pair,
    trajectories,
    vidor_box,
    vidstg_entry,
    write_json,
    write_vidstg,
)


def read(path, **options):
    return read_annotations("vidstg", path, split="test", **options)


def boxes(first, end):
    return [list(map(float, vidor_box(frame).values())) for frame in range(first, end)]


def test_sentences_and_trajectories(tmp_path):
    caption, question = read(write_vidstg(tmp_path, [vidstg_entry()])).samples
    assert (caption.id, caption.kind, question.id, question.kind) == ("0", "declarative", "1", "interrogative")
    assert caption.sentence == "there is a man in smll t shirt"
    assert (caption.video, caption.category) == ("100.mp4", "adult")
    assert caption.subject == "a man"
    assert (caption.clip, caption.tube) == ((5, 30), (10, 15))
    assert caption.boxes_xyxy.tolist() == boxes(10, 15)
    assert question.boxes_xyxy is caption.boxes_xyxy


def test_vidors_own_folders_and_a_folder_elsewhere(tmp_path):
    write_json(tmp_path / "test_annotations.json", [vidstg_entry()])
    with pytest.raises(InputError, match="bbox_annos or annotation"):
        read(tmp_path)
    write_json(tmp_path / "elsewhere" / "validation" / "0001" / "100.json", trajectories())
    assert len(read(tmp_path, trajectories=tmp_path / "elsewhere").samples) == 2
    write_json(tmp_path / "annotation" / "validation" / "0001" / "100.json", trajectories())
    assert len(read(tmp_path / "test_annotations.json").samples) == 2


def span(begin, end):
    return {"begin_fid": begin, "end_fid": end}


@pytest.mark.parametrize(
    ("changes", "missing", "reason"),
    [
        ({}, (12,), "the trajectory has gaps"),
        ({"temporal_gt": span(10, 10)}, (10,), "the trajectory has gaps"),
        ({}, (13, 14), "the trajectory has gaps"),
        ({"temporal_gt": span(28, 31)}, (), "goes on after the used segment, frames 5 to 29"),
        ({"temporal_gt": span(31, 33)}, (), "lies outside the used segment"),
        ({"temporal_gt": span(1, 4)}, (), "lies outside the used segment"),
        ({"temporal_gt": span(38, 40), "used_segment": span(5, 40)}, (), "there are 2 boxes for 3 frames"),
    ],
)
def test_entries_that_the_released_systems_leave_out(tmp_path, changes, missing, reason):
    annotations = read(
        write_vidstg(tmp_path, [vidstg_entry(**changes), vidstg_entry(temporal_gt=span(20, 22))], missing)
    )
    assert [sample.id for sample in annotations.samples] == ["2", "3"]
    assert [excluded.id for excluded in annotations.excluded] == ["0", "1"]
    assert all(reason in excluded.reason for excluded in annotations.excluded)
    assert annotations.problems == []


def test_a_missing_last_box_is_filled_with_the_one_before(tmp_path):
    sample = read(write_vidstg(tmp_path, [vidstg_entry()], missing=(14,))).samples[0]
    assert sample.boxes_xyxy.tolist() == [*boxes(10, 14), *boxes(13, 14)]


def test_an_event_may_begin_before_the_segment_and_end_with_the_video(tmp_path):
    early = vidstg_entry(temporal_gt=span(3, 7))
    last = vidstg_entry(temporal_gt=span(37, 40), used_segment=span(5, 39))
    samples = read(write_vidstg(tmp_path, [early, last])).samples
    assert [(s.tube, s.clip) for s in samples[::2]] == [((3, 8), (5, 30)), ((37, 40), (5, 40))]
    assert samples[2].boxes_xyxy.tolist() == boxes(37, 40)


def test_merged_file(tmp_path):
    pairs = {
        "0": merged_pair(0, sub="the man", adj_index_list=[1], verb_index_list=[]),
        "1": merged_pair(1, qtype="inter"),
        "2": merged_pair(2, target_bboxs=[vidor_box(10)] * 4),
        "3": merged_pair(3, target_bboxs=[vidor_box(10), {}, *[vidor_box(10)] * 3]),
        "4": merged_pair(4, used_segment=span(16, 29), temp_gt=span(-6, -2)),
        "5": merged_pair(5, used_segment=span(5, 12), temp_gt=span(5, 7)),
    }
    write_json(tmp_path / "annos" / "test.json", pairs)
    write_json(tmp_path / "sent_annos" / "test_annotations.json", [])  # the merged file is preferred
    annotations = read(tmp_path)
    first, second = annotations.samples
    assert (first.subject, first.appearance_labels, first.motion_labels) == ("the man", (1,), ())
    assert (first.clip, first.tube, first.boxes_xyxy.tolist()) == ((5, 30), (10, 15), boxes(10, 15))
    assert (second.id, second.kind, second.sentence) == ("1", "interrogative", "there is a man in smll t shirt")
    assert [excluded.id for excluded in annotations.excluded] == ["2", "3", "4", "5"]


def test_both_forms_give_the_same(tmp_path):
    raw = read(write_vidstg(tmp_path / "raw", [vidstg_entry()])).samples[0]
    merged = read(write_json(tmp_path / "merged.json", {"0": merged_pair(0)})).samples[0]
    assert (raw.id, raw.sentence, raw.subject, raw.tube, raw.clip) == (
        merged.id, merged.sentence, merged.subject, merged.tube, merged.clip,
    )  # fmt: skip
    assert raw.boxes_xyxy.tolist() == merged.boxes_xyxy.tolist()


@pytest.mark.parametrize(
    ("changes", "entry", "rule"),
    [
        ({"captions": [{"description": "?!", "target_id": 1}]}, "entry 0, captions 0", "empty sentence"),
        ({"captions": [{"description": "a dog", "target_id": 7}]}, "entry 0, captions 0", "unknown target"),
        ({"captions": [{"target_id": 1}]}, "entry 0, captions 0", "missing key"),
        ({"used_segment": {"begin_fid": 5}}, "entry 0", "missing key"),
        ({"used_segment": span(9, 5)}, "entry 0", "empty span"),
        ({"temporal_gt": span(-1, 5)}, "entry 0", "number too small"),
        ({"width": 40}, "entry 0, captions 0", "box outside the frame"),
        ({"vid": "101"}, "101.json", "missing trajectories"),
        ({"frame_count": 50, "temporal_gt": span(38, 45), "used_segment": span(0, 49)}, "entry 0, captions 0",
         "trajectories too short"),
    ],
)  # fmt: skip
def test_wrong_entries(tmp_path, changes, entry, rule):
    folder = write_vidstg(tmp_path, [vidstg_entry(**changes), vidstg_entry()])
    annotations = read(folder, on_problem="exclude")
    assert (annotations.problems[0].entry, annotations.problems[0].rule) == (entry, rule)
    assert {"2", "3"} <= {sample.id for sample in annotations.samples}
    assert "0" in {excluded.id for excluded in annotations.excluded}


def test_broken_trajectories_are_problems_and_not_the_end(tmp_path):
    folder = write_vidstg(tmp_path, [vidstg_entry(), vidstg_entry(vid="101"), vidstg_entry(vid="102")])
    (folder / "bbox_annos" / "101.json").write_text('{"trajectories": [')
    write_json(folder / "bbox_annos" / "102.json", {"trajectories": 5})
    annotations = read(folder, on_problem="exclude")
    assert [(p.entry, p.rule) for p in annotations.problems] == [
        ("101.json", "trajectories unreadable"),
        ("102.json", "trajectories unreadable"),
    ]
    assert "line 1, column 19" in annotations.problems[0].detail


def test_ids_of_a_merged_file_are_unique(tmp_path):
    file = write_json(
        tmp_path / "t.json", {"0": merged_pair(0), "1": merged_pair(0), "2": merged_pair(2, qtype="what")}
    )
    annotations = read(file, on_problem="exclude")
    assert [(p.entry, p.rule) for p in annotations.problems] == [
        ("entry 1", "duplicate id"),
        ("entry 2", "unknown kind"),
    ]


@pytest.mark.parametrize(
    ("description", "cleaned"),
    [
        ("A man,  in WHITE (left) holds 2 balls.", "a man in white left holds balls"),
        ("there's a t-shirt / baby_seat", "there s a t shirt baby_seat"),
        ("who is at no. 7b?", "who is at no 7b"),
        ("the café’s naïve 狗 dog", "the café s naïve dog"),
        (" , 2 . ", ""),
    ],
)
def test_cleaning(description, cleaned):
    assert clean_sentence(description) == cleaned
    if cleaned:
        assert model_text("who", cleaned, "vidstg") == f"who {cleaned}"
        assert clean_sentence(cleaned) == cleaned


def test_replacements_are_of_whole_words_and_may_remove_one(tmp_path):
    folder = write_vidstg(tmp_path, [vidstg_entry()])
    file = write_json(tmp_path / "words.json", {"smll": "small", "there": "", "is": "this is", "ma": "x"})
    assert read(folder, replacements=file).samples[0].sentence == "this is a man in small t shirt"
    assert read_sentences(folder, "test", replacements={"smll": "small"})[0].sentence.endswith("in small t shirt")
    with pytest.raises(InputError, match="words to words"):
        read(folder, replacements=write_json(tmp_path / "words.json", ["smll"]))


def test_sentences_alone_need_no_trajectories_and_none_is_left_out(tmp_path):
    file = write_json(tmp_path / "test_annotations.json", [vidstg_entry(), vidstg_entry(temporal_gt=span(31, 33))])
    sentences = read_sentences(file, "test")
    assert [(s.id, s.kind[:3]) for s in sentences] == [("0", "dec"), ("1", "int"), ("2", "dec"), ("3", "int")]
    assert (sentences[1].sentence, sentences[1].description) == ("who holds the dog", "who holds the dog?")
    write_json(file, [vidstg_entry(questions=[{"description": "", "target_id": 1}]), {"captions": []}])
    with pytest.raises(InputError) as error:
        read_sentences(file, "test")
    assert "empty sentence (1)" in str(error.value)
    assert "missing key (" in str(error.value)
