"""Finding the videos of annotations, and comparing the two."""

from types import SimpleNamespace

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import match_videos
from stvg_jax.data_pipeline.datasets.reading import check_against_videos, find_video_folder, read_annotations
from tests.data_pipeline.annotations.folders import (
    HEIGHT,
    WIDTH,
    generic_file,
    generic_sample,
    hcstvg_entry,
    merged_pair,
    write_json,
)


def make_files(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_videos_in_folders_below_are_found_by_name(tmp_path):
    file = write_json(tmp_path / "t.json", {"0": merged_pair(0), "1": merged_pair(1, vid="200")})
    videos = make_files(tmp_path / "videos", "0001/100.mp4", "200.mp4", "0002/200.mp4")
    annotations = read_annotations("vidstg", file, split="test", videos=videos)
    assert [sample.video for sample in annotations.samples] == ["0001/100.mp4", "200.mp4"]


def test_missing_and_ambiguous_videos_are_problems(tmp_path):
    entries = {name: hcstvg_entry() for name in ("here.mp4", "gone.mp4", "twice.mp4")}
    file = write_json(tmp_path / "t.json", entries)
    videos = make_files(tmp_path / "v1_video", "here.mp4", "1/twice.mp4", "2/twice.mp4")
    annotations = read_annotations("hcstvg", file, split="train", videos=videos, on_problem="exclude")
    assert [(p.entry, p.rule) for p in annotations.problems] == [
        ("gone.mp4", "missing video"),
        ("twice.mp4", "video more than once"),
    ]
    assert [sample.video for sample in annotations.samples] == ["here.mp4"]
    kept = read_annotations("hcstvg", file, split="train", videos=videos, on_problem="keep")
    assert [sample.video for sample in kept.samples] == ["here.mp4", "gone.mp4", "1/twice.mp4"]
    with pytest.raises(InputError, match="there is no video folder"):
        read_annotations("hcstvg", file, split="train", videos=tmp_path / "nowhere")


def test_a_path_in_the_annotation_is_not_found_elsewhere(tmp_path):
    sample = generic_sample(video="x/a.mp4")
    size = generic_file()["videos"]["a.mp4"]
    file = write_json(tmp_path / "t.json", generic_file(sample, videos={"x/a.mp4": size}))
    videos = make_files(tmp_path / "videos", "y/a.mp4")
    with pytest.raises(InputError, match="missing video"):
        read_annotations("json", file, split="train", videos=videos)
    make_files(videos, "part/x/a.mp4")
    (found,) = read_annotations("json", file, split="train", videos=videos).samples
    assert found.video == "part/x/a.mp4"


@pytest.mark.parametrize(
    ("dataset", "folder", "annotations"),
    [
        ("hcstvg", "v1_video", "annos/train.json"),
        ("hcstvg", "v2_video", "annos/hcstvg_v2/train.json"),
        ("vidstg", "videos", "sent_annos/train_annotations.json"),
        ("json", "videos", "train.json"),
    ],
)
def test_the_video_folder_of_a_dataset(tmp_path, dataset, folder, annotations):
    file = write_json(tmp_path / annotations, {})
    with pytest.raises(InputError, match="no video folder"):
        find_video_folder(dataset, tmp_path)
    (tmp_path / folder).mkdir()
    assert find_video_folder(dataset, tmp_path) == tmp_path / folder
    assert find_video_folder(dataset, file) == tmp_path / folder


def test_two_video_folders_are_not_chosen_between(tmp_path):
    (tmp_path / "v1_video").mkdir()
    (tmp_path / "v2_video").mkdir()
    with pytest.raises(InputError, match="v1_video and v2_video"):
        find_video_folder("hcstvg", tmp_path)


def facts(frame_count=20, width=WIDTH, height=HEIGHT):
    return {"a.mp4": SimpleNamespace(frame_count=frame_count, width=width, height=height)}


def test_annotations_against_the_videos(tmp_path):
    file = write_json(tmp_path / "t.json", {"a.mp4": hcstvg_entry()})
    annotations = read_annotations("hcstvg", file, split="train")
    assert check_against_videos(annotations, facts()) == []
    assert check_against_videos(annotations, facts(19)) == []  # the last frame is never sampled
    (short,) = check_against_videos(annotations, facts(18))
    assert (short.file, short.entry, short.rule) == ("a.mp4", "sample 0", "video too short")
    assert "frames up to 18 are needed, the video has 18 frames" in short.detail
    (size,) = check_against_videos(annotations, facts(width=HEIGHT, height=WIDTH))
    assert size.rule == "video of another size"
    (missing,) = check_against_videos(annotations, {})
    assert missing.rule == "missing video"


def test_the_tube_needs_its_frames_too_and_other_datasets_the_whole_clip(tmp_path):
    late = read_annotations(
        "hcstvg", write_json(tmp_path / "t.json", {"a.mp4": hcstvg_entry(st_frame=18)}), split="train"
    )
    assert [p.rule for p in check_against_videos(late, facts(19))] == ["video too short"]
    own = read_annotations("json", write_json(tmp_path / "t.json", generic_file()), split="train")
    assert check_against_videos(own, facts(20)) == []
    assert [p.rule for p in check_against_videos(own, facts(19))] == ["video too short"]


def test_names_are_matched_with_the_paths_of_stored_videos(tmp_path):
    pairs = {str(i): merged_pair(i, vid=vid) for i, vid in enumerate(("100", "200", "300", "400"))}
    annotations = read_annotations("vidstg", write_json(tmp_path / "t.json", pairs), split="test")
    stored = ["g/100.mp4", "200.mp4", "g/200.mp4", "g/300.mp4", "h/300.mp4", "x400.mp4"]
    matched = match_videos(annotations, stored)
    assert [sample.video for sample in matched.samples] == ["g/100.mp4", "200.mp4", "300.mp4", "400.mp4"]
    assert [sample.id for sample in matched.samples] == ["0", "1", "2", "3"]
