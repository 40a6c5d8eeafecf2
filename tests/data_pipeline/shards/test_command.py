"""`stvg-jax prepare frames`, from the command line to the stored frames."""

import argparse
import json
import shutil

import numpy as np
import pytest

from stvg_jax.commands import prepare_frames
from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.frame_rules import evaluation_frame_ids
from stvg_jax.data_pipeline.frames import model_size
from stvg_jax.data_pipeline.shards import FrameStore
from tests.data_pipeline.shards.test_checking import flip
from tests.data_pipeline.shards.test_store import numbers
from tests.videos import HEIGHT, WIDTH, write_video


def command(*arguments):
    parser = argparse.ArgumentParser()
    prepare_frames.add_arguments(parser)
    prepare_frames.run(parser.parse_args([str(a) for a in arguments]))


@pytest.fixture
def dataset(tmp_path):
    """A folder of HC-STVG with one video in each split, of 200 frames and of 30."""
    (tmp_path / "hcstvg" / "annos").mkdir(parents=True)
    (tmp_path / "hcstvg" / "v1_video").mkdir()
    for split, count in (("train", 200), ("test", 30)):
        entry = {"bbox": [[10, 10, 30, 30]] * 8, "st_frame": 3, "st_time": 0, "ed_time": 1}
        entry |= {"caption": "The man stands up.", "sub": "the man", "width": WIDTH, "height": HEIGHT, "img_num": count}
        annotations = {f"{split}.mp4": entry | {"verb_index_list": [], "adj_index_list": []}}
        (tmp_path / "hcstvg" / "annos" / f"{split}.json").write_text(json.dumps(annotations))
        write_video(tmp_path / "hcstvg" / "v1_video" / f"{split}.mp4", count, gop=50)
    return tmp_path / "hcstvg"


def test_the_frames_that_annotations_need_are_stored_and_checked(dataset, tmp_path, capsys):
    out = tmp_path / "out"
    options = ("--dataset", "hcstvg", "--annotations", dataset, "--split", "train", "test", "--processes", 1)
    command(*options, "--out", out, "--plan-only")
    assert "videos 2" in capsys.readouterr().out
    assert not out.exists()
    command(*options, "--out", out, "--height", 48, "--quality", 90, "--subsampling", "4:2:0")
    store = FrameStore(out)
    sampled = evaluation_frame_ids(200, "hcstvg")
    np.testing.assert_array_equal(store.videos["train.mp4"].frame_ids, sampled)
    assert numbers(store, "train.mp4", sampled) == sampled.tolist()
    assert store.videos["test.mp4"].stored_count == 29
    assert (store.settings.height, store.settings.quality, store.settings.subsampling) == (48, 90, "4:2:0")

    command("--out", out, "--check")
    assert "is whole" in capsys.readouterr().out
    flip(out / store.videos["test.mp4"].file, 70_000)
    command("--out", out, "--check", "--fast")
    with pytest.raises(InputError, match="1 of the videos are damaged; run the command that prepared"):
        command("--out", out, "--check")
    assert "test.mp4: its shard has changed" in capsys.readouterr().out


def families(out, *arguments, capsys):
    """Names of the families that are served, and what the others lack, after a run of the command."""
    capsys.readouterr()
    command(*arguments, "--processes", 1, "--out", out)
    lines = capsys.readouterr().out.splitlines()
    (first,) = (k for k, line in enumerate(lines) if line.startswith("families of models that these frames serve: "))
    others = {line.split(",")[0].strip(): line for line in lines[first + 2 :]}
    return lines[first].split(": ")[1].split(", "), others


def test_the_command_says_which_families_the_frames_serve(dataset, tmp_path, capsys):
    options = ("--dataset", "hcstvg", "--annotations", dataset, "--split", "train", "test")
    served, others = families(tmp_path / "usual", *options, capsys=capsys)
    assert served == ["ta_stvg", "cg_stvg", "stcat"]
    assert others == {
        "tubedetr": "  tubedetr, 352 pixels: frames not stored for evaluation (1 of 2 tubes); frames not stored for "
        "training (1 of 2 tubes)"
    }
    served, others = families(tmp_path / "clips", *options, "--frames", "clips", capsys=capsys)
    assert (served, others) == (["ta_stvg", "cg_stvg", "tubedetr", "stcat"], {})
    served, others = families(tmp_path / "small", "--videos", dataset / "v1_video", "--height", 32, capsys=capsys)
    assert served == ["none"]
    assert others["ta_stvg"] == "  ta_stvg, 420 pixels: frames reduced for other models (2 of 2 videos)"


def test_frames_of_one_family_are_stored_in_its_own_way(dataset, tmp_path, capsys):
    options = ("--dataset", "hcstvg", "--annotations", dataset, "--split", "train", "test", "--family", "tubedetr")
    served, others = families(tmp_path / "own", *options, capsys=capsys)
    # No frame of these small videos was reduced.
    assert served == ["tubedetr"] and set(others) == {"ta_stvg", "cg_stvg", "stcat"}
    store = FrameStore(tmp_path / "own")
    assert (store.settings.height, store.settings.sizing) == (352, "five_to_three")
    ids = evaluation_frame_ids(200, "tubedetr_hcstvg", passes=1, frames_per_pass=200, sample_fps=5.0)
    np.testing.assert_array_equal(store.videos["train.mp4"].frame_ids, ids)
    command(*options, "--out", tmp_path / "reduced", "--height", 48)
    video = FrameStore(tmp_path / "reduced").videos["train.mp4"]
    assert (video.stored_height, video.stored_width) == model_size(HEIGHT, WIDTH, 48, "five_to_three")
    with pytest.raises(InputError, match="--family pointing: it has no released models for this dataset"):
        command(*options[:-1], "pointing", "--out", tmp_path / "none")


def test_all_videos_of_a_folder_are_stored_without_annotations(dataset, tmp_path):
    shutil.copytree(dataset / "v1_video", tmp_path / "mine" / "sub")
    command("--videos", tmp_path / "mine", "--out", tmp_path / "out")
    stored = FrameStore(tmp_path / "out").videos
    assert {video: entry.stored_count for video, entry in stored.items()} == {"sub/train.mp4": 200, "sub/test.mp4": 30}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--videos is missing"),
        (["--fast"], "--fast goes with --check"),
        (["--videos", "v", "--frames", "sampled"], "--frames sampled needs annotations"),
        (["--videos", "v", "--dataset", "hcstvg"], "--dataset, --annotations and --split go together"),
        (["--videos", "absent"], "absent: no such folder"),
    ],
)
def test_unusable_options_are_refused(tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        command("--out", tmp_path / "out", *arguments)
