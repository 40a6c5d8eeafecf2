"""Long videos searched in windows, with an untrained model: everything but the quality of the answer."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.core.errors import InputError
from stvg_jax.grounding.inference import Grounder, Query, Tube, ground_each
from stvg_jax.grounding.inference.moments import as_moment, best_tubes
from stvg_jax.grounding.inference.searching import join_features
from stvg_jax.grounding.inference.trained import TrainedClip
from stvg_jax.grounding.tubedetr import TubeDETRConfig
from stvg_jax.grounding.types import VideoFeatures
from tests.videos import write_video

SENTENCE, OTHER = "the man in red sits down", "a dog runs to the white car"
# Passes of one frame, whose programs other tests have compiled.
COUNT, WINDOW = 8, 0.2


@pytest.fixture(scope="module")
def grounder(checkpoint):
    grounder = Grounder.load(checkpoint)
    grounder.trained_clip = TrainedClip(WINDOW, 2)
    return grounder


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("long") / "long.mp4", COUNT)


@pytest.fixture
def encoded(monkeypatch):
    """Clips that are encoded, in order."""
    clips, encode = [], Grounder.encode_clip
    monkeypatch.setattr(Grounder, "encode_clip", lambda self, clip: clips.append(clip) or encode(self, clip))
    return clips


def test_the_answer_is_that_of_the_windows_as_clips(grounder, video, encoded):
    tube = grounder.ground(video, SENTENCE, window="auto", stride=0.2, top=3)
    clips = encoded.copy()
    assert [(clip.start, clip.end) for clip in clips] == [(0, 2), (2, 4), (4, 6), (6, 8)]
    (question,) = grounder.ask([SENTENCE])
    alone = [grounder.answer_window(question, clip, grounder.encode_clip(clip)) for clip in clips]
    best = best_tubes(*zip(*alone, strict=True), top=3)
    assert tube.moments == tuple(as_moment(*found) for found in best)
    assert (tube.start_frame, tube.end_frame) == (tube.moments[0].start_frame, tube.moments[0].end_frame)
    assert tube.clip == best[0][0].clip
    assert tube.warning == ""
    assert Tube.from_json(tube.to_dict()) == tube


def test_several_sentences_share_frames_and_features(grounder, video, encoded):
    queries = [Query(str(video), sentence) for sentence in (SENTENCE, OTHER)]
    both = dict(ground_each(grounder, [*queries, Query(str(video), SENTENCE, start=90)], window=WINDOW))
    assert [clip.start for clip in encoded] == [0, 2, 4, 6]
    assert both[queries[0]] == grounder.ground(video, SENTENCE, window=WINDOW)
    assert both[queries[1]] == grounder.ground_many([queries[1]], window=WINDOW)[0] != both[queries[0]]
    assert "hold no frame" in str(list(both.values())[2])


def test_parts_and_arrays_are_searched_too(grounder, video):
    tube = grounder.ground(video, SENTENCE, start=0.2, end=0.7, window=WINDOW, top=9)
    assert min(moment.start_frame for moment in tube.moments) >= 2
    assert max(moment.end_frame for moment in tube.moments) <= 7
    short = np.zeros((1, 64, 96, 3), np.uint8)
    assert grounder.ground(short, SENTENCE, fps=10, window=WINDOW).clip == (0, 1)


def test_features_are_joined_along_time():
    parts = [VideoFeatures(np.full((2, n, 1, 1, 3), n), np.full((2, n, 1, 1, 3), -n), None, None) for n in (1, 2)]
    joined = join_features(parts)
    assert joined.appearance[:, :, 0, 0, 0].tolist() == [[1, 2, 2]] * 2
    assert joined.motion.shape == (2, 3, 1, 1, 3)
    assert join_features(parts[:1]) is parts[0]
    assert not TubeDETRConfig().joins_features


def test_windows_are_checked_before_anything_is_read(grounder, tmp_path):
    with pytest.raises(InputError, match=r"window 5: must be at most 0\.2 s"):
        grounder.ground(tmp_path / "absent.mp4", SENTENCE, window=5)
    with pytest.raises(InputError, match=r"window 5: must be at most 0\.2 s"):
        list(ground_each(grounder, [Query("absent.mp4", SENTENCE)], window=5))
    with pytest.raises(InputError, match="stride and top are for a search in windows"):
        grounder.ground(tmp_path / "absent.mp4", SENTENCE, top=5)


def test_the_commands(grounder, checkpoint, video, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Grounder, "load", lambda path, dtype: grounder)
    out = tmp_path / "out"
    ground = ["ground", str(video), SENTENCE, "--checkpoint", str(checkpoint)]
    windows = ["--window", "auto", "--top", "3"]
    assert main([*ground, *windows, "--no-video", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    expected = grounder.ground(video, SENTENCE, window="auto", top=3)
    assert Tube.from_json(out / "tube.json") == expected
    assert printed.count(", score ") == len(expected.moments)
    assert main([*ground, "--stride", "5", "--out", str(out)]) == 2
    assert "stride and top are for a search in windows" in capsys.readouterr().err

    many = [*ground, "--video", str(video), "--out", str(tmp_path / "many")]
    assert main([*many, *windows]) == 0
    (line,) = (json.loads(line) for line in (tmp_path / "many" / "answers.jsonl").read_text().splitlines())
    assert Tube.from_json(line["tube"]).moments == expected.moments
    assert main(many) == 2
    assert "answers with another" in capsys.readouterr().err
