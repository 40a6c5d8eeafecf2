"""Runs that store frames: what they keep, do again, refuse and report."""

import functools
import json
import os
import shutil

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.fixed_number import choose_frames
from stvg_jax.data_pipeline.shards import FrameStore, Settings, check_store, jpeg, prepare_frames
from stvg_jax.data_pipeline.shards.folder import StoreFolder
from stvg_jax.data_pipeline.shards.plan import Plan
from tests import videos as making
from tests.data_pipeline.shards.conftest import SETTINGS
from tests.data_pipeline.shards.test_store import numbers
from tests.videos import write_video


@pytest.fixture
def folder(tmp_path, videos):
    """Two good videos that may be changed."""
    (tmp_path / "videos").mkdir()
    for name in ("b-frames.mp4", "irregular.mkv"):
        shutil.copy2(videos / name, tmp_path / "videos" / name)
    return tmp_path / "videos"


def run(wanted, folder, out, settings=SETTINGS, **options):
    lines = []
    summary = prepare_frames(wanted, folder, out, settings, processes=1, say=lines.append, **options)
    return summary, "\n".join(lines)


def refused(message, *args, **options):
    with pytest.raises(InputError, match=message) as error:
        run(*args, **options)
    assert "\n" not in str(error.value)


def test_only_wanted_frames_are_stored_and_others_are_named(folder, tmp_path):
    ids = np.array([2, 3, 11, 29])
    summary, said = run({"b-frames.mp4": ids, "irregular.mkv": None}, folder, tmp_path / "out")
    assert (summary.stored, summary.failed) == (2, {})
    assert "to store: videos 2, frames " in said
    store = FrameStore(tmp_path / "out")
    np.testing.assert_array_equal(store.videos["b-frames.mp4"].frame_ids, ids)
    assert numbers(store, "b-frames.mp4", [29, 2, 11]) == [29, 2, 11]
    assert numbers(store, "irregular.mkv", range(30)) == list(range(30))
    with pytest.raises(InputError, match="frame 12 of b-frames.mp4 is not stored, only 4 of its 30 frames"):
        store.read("b-frames.mp4", [2, 12])
    totals = json.loads((tmp_path / "out" / "manifest.json").read_text())["totals"]
    size = sum(path.stat().st_size for path in (tmp_path / "out" / "shards").rglob("*") if path.is_file())
    assert totals == {"videos": 2, "frames": 34, "bytes": size}


def test_finished_videos_stay_and_new_ones_and_new_frames_are_added(folder, tmp_path):
    out = tmp_path / "out"
    run({"b-frames.mp4": np.array([2, 3])}, folder, out)
    before = FrameStore(out)
    _, said = run({"b-frames.mp4": np.array([3]), "irregular.mkv": np.array([5])}, folder, out)
    assert "stored already: 1 of 2 videos" in said
    assert FrameStore(out).videos["b-frames.mp4"] == before.videos["b-frames.mp4"]
    _, said = run({"b-frames.mp4": np.array([3, 9])}, folder, out)
    assert "to be stored again, more frames wanted: 1" in said
    store = FrameStore(out)
    assert numbers(store, "b-frames.mp4", [2, 3, 9]) == [2, 3, 9]
    assert numbers(store, "irregular.mkv", [5]) == [5]
    with pytest.raises(InputError, match="No such file"):
        # What an earlier reader knows of the old shard must not be applied to the new one.
        before.read("b-frames.mp4", [3])
    assert len([p for p in (out / "shards").rglob("*") if p.is_file()]) == 2


def test_frames_may_follow_from_the_number_of_frames(folder, tmp_path):
    out, wanted = tmp_path / "out", dict.fromkeys(("b-frames.mp4", "irregular.mkv"), four_of)
    summary, said = run(wanted, folder, out)
    assert "to store: videos 2, frames 8;" in said
    assert FrameStore(out).videos["b-frames.mp4"].frame_ids.tolist() == [0, 7, 15, 22]
    assert "stored already: 2 of 2 videos" in run(wanted, folder, out)[1]
    write_video(folder / "b-frames.mp4", 12)
    assert "to be stored again, video changed: 1" in run(wanted, folder, out)[1]
    assert FrameStore(out).videos["b-frames.mp4"].frame_ids.tolist() == [0, 3, 6, 9]
    run({"irregular.mkv": np.array([1])}, folder, out)
    assert FrameStore(out).videos["irregular.mkv"].frame_ids.tolist() == [0, 1, 7, 15, 22]
    run(dict.fromkeys(wanted, eight_of), folder, out)
    assert FrameStore(out).videos["irregular.mkv"].frame_ids.tolist() == [0, 1, 3, 7, 11, 15, 18, 22, 26]


four_of = functools.partial(choose_frames, rule="uniform", number=4)
eight_of = functools.partial(choose_frames, rule="uniform", number=8)


def test_a_changed_video_is_stored_again_and_a_copied_one_is_not(folder, tmp_path):
    out = tmp_path / "out"
    wanted = dict.fromkeys(("b-frames.mp4", "irregular.mkv"))
    run(wanted, folder, out)
    os.utime(folder / "b-frames.mp4", (1, 1))
    write_video(folder / "irregular.mkv", 12)
    _, said = run(wanted, folder, out)
    assert "to be stored again, video changed: 1" in said
    assert FrameStore(out).videos["irregular.mkv"].frame_count == 12
    shutil.rmtree(folder)
    summary, _ = run(wanted, folder, out)
    assert (summary.stored, summary.failed) == (2, {})


def test_other_settings_are_refused_with_both_values(folder, tmp_path):
    out = tmp_path / "out"
    run({"b-frames.mp4": np.array([2])}, folder, out)
    refused("made with height 48 .now 32., quality 95 .now 90.", {}, folder, out, Settings(32, 90))
    assert FrameStore(out).settings == SETTINGS


def test_failures_are_reported_with_their_reasons_and_stop_the_store(folder, tmp_path):
    out = tmp_path / "out"
    making.damage_frame(write_video(folder / "damaged.mp4"), 13)
    making.truncate(write_video(folder / "short.mkv"))
    (folder / "notes.mp4").write_text("no video\n" * 9)
    bad = {"damaged.mp4": None, "short.mkv": None, "notes.mp4": None}
    wanted = bad | {"b-frames.mp4": None, "irregular.mkv": np.array([3, 30])}
    refused("4 of 5 videos failed .80.00%.*failed.json.*--max-failed 0.7", wanted, folder, out, max_failed=0.7)
    reasons = json.loads((out / "failed.json").read_text())
    assert list(reasons) == sorted([*bad, "irregular.mkv"])
    assert "frame 13 of 30 cannot be decoded" in reasons["damaged.mp4"]
    assert "cut short" in reasons["short.mkv"]
    assert "not a video" in reasons["notes.mp4"]
    assert "frame 30 is wanted, but the video has 30 frames" in reasons["irregular.mkv"]
    with pytest.raises(InputError, match="not finished, 1 of 5"):
        FrameStore(out)

    write_video(folder / "damaged.mp4")
    summary, said = run(wanted, folder, out, max_failed=0.6)
    assert "warning: 3 of 5 videos failed" in said
    assert sorted(summary.failed) == ["irregular.mkv", "notes.mp4", "short.mkv"]
    store = FrameStore(out)
    assert sorted(store.videos) == ["b-frames.mp4", "damaged.mp4"]
    with pytest.raises(InputError, match="short.mkv could not be stored .*cut short"):
        store.read("short.mkv", [0])
    assert check_store(out) == {}
    run({"b-frames.mp4": None}, folder, out)
    assert not (out / "failed.json").exists()
    with pytest.raises(InputError, match="short.mkv could not be stored"):
        FrameStore(out).read("short.mkv", [0])


def test_the_good_part_of_a_damaged_video_is_stored_on_request(folder, tmp_path):
    making.damage_frame(write_video(folder / "damaged.mp4"), 13)
    run({"damaged.mp4": np.array([3, 12])}, folder, tmp_path / "out", allow_partial=True)
    assert numbers(FrameStore(tmp_path / "out"), "damaged.mp4", [3, 12]) == [3, 12]
    wanted = {"damaged.mp4": np.array([3, 13])}
    refused("frame 13 is wanted, but", wanted, folder, tmp_path / "other", allow_partial=True)


def test_missing_videos_end_a_run_before_it_begins(folder, tmp_path):
    wanted = {"b-frames.mp4": None, "absent.mp4": None}
    refused("1 of 2 videos failed .*absent.mp4: no such file", wanted, folder, tmp_path / "out")
    assert not list((tmp_path / "out" / "shards").iterdir())
    assert run(wanted, folder, tmp_path / "out", max_failed=0.5)[0].stored == 1


def test_a_plan_writes_nothing_and_is_near_the_truth(folder, tmp_path):
    wanted = dict.fromkeys(("b-frames.mp4", "irregular.mkv"))
    plan = run(wanted, folder, tmp_path / "out", plan_only=True)[0].plan
    assert not (tmp_path / "out").exists()
    run(wanted, folder, tmp_path / "out")
    store = FrameStore(tmp_path / "out")
    jpegs = [len(data) for video in wanted for data in store.read(video, range(30))]
    assert plan.bytes_per_frame == pytest.approx(np.mean(jpegs), rel=0.1)
    assert plan.frames == pytest.approx(60, rel=0.1)
    assert plan.seconds > 0


def test_a_plan_that_does_not_fit_is_refused(tmp_path):
    plan = Plan({"a.mp4": 1000}, bytes=6e9, seconds=100.0, bytes_per_frame=6e6, free_bytes=10**9)
    with pytest.raises(InputError, match=r"about 6.0 GB are needed and 1.0 GB are free; .*--frames sampled"):
        plan.check_space(tmp_path)
    Plan({"a.mp4": 1000}, 9e8, 100.0, 9e5, 10**9).check_space(tmp_path)


def test_two_runs_at_once_are_refused(folder, tmp_path):
    out = tmp_path / "out"
    run({"b-frames.mp4": np.array([2])}, folder, out)
    with StoreFolder(out).locked():
        refused("another process is writing", {"b-frames.mp4": None}, folder, out)
        with pytest.raises(InputError, match="another process is writing"):
            check_store(out)
    run({"b-frames.mp4": None}, folder, out)


@pytest.mark.parametrize(
    ("wanted", "options", "message"),
    [
        ({"../a.mp4": None}, {}, "path below the folder"),
        ({"/a.mp4": None}, {}, "path below the folder"),
        ({"a.mp4": np.array([3, 3])}, {}, "ascending"),
        ({"a.mp4": np.array([], int)}, {}, "at least one"),
        ({}, {"max_failed": 2}, "from 0 to 1"),
        ({}, {"decoder": "vlc"}, "unknown decoder 'vlc'"),
    ],
)
def test_unusable_arguments_are_refused_before_anything_is_written(tmp_path, wanted, options, message):
    refused(message, wanted, tmp_path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_frames_keep_the_size_of_the_video_on_request(folder, tmp_path):
    run({"b-frames.mp4": np.array([4])}, folder, tmp_path / "out", Settings(height=0))
    assert jpeg.decode(FrameStore(tmp_path / "out").read("b-frames.mp4", [4])[0]).shape == (64, 96, 3)
