"""Questions about many videos: answers as alone, each clip read once, and damage that stops nothing."""

from __future__ import annotations

import threading

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.video import open_video
from stvg_jax.grounding.inference import Grounder, Query, ground_each
from tests.videos import write_video

SENTENCES = "the man in red sits down", "a dog runs to the white car"


@pytest.fixture(scope="module")
def grounder(checkpoint):
    return Grounder.load(checkpoint)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    return [str(write_video(folder / f"{count}.mp4", count)) for count in (2, 3)]


@pytest.fixture
def opened(monkeypatch):
    """Names of the videos that are opened, in order."""
    names = []

    def open_counted(path, *args, **options):
        names.append(str(path))
        return open_video(path, *args, **options)

    monkeypatch.setattr("stvg_jax.data_pipeline.video.open_video", open_counted)
    return names


def test_a_list_of_pairs_gives_a_list_of_tubes(grounder, videos, opened, monkeypatch):
    encoded = []
    encode = Grounder.encode_clip
    monkeypatch.setattr(Grounder, "encode_clip", lambda self, clip: encoded.append(clip.video) or encode(self, clip))
    pairs = [(video, sentence) for sentence in SENTENCES for video in videos]
    tubes = grounder.ground_many([*pairs, pairs[0]])
    assert opened == encoded == videos
    assert tubes == [grounder.ground(video, sentence) for video, sentence in [*pairs, pairs[0]]]


def test_parts_and_subjects(grounder, videos, opened):
    queries = [
        Query(videos[1], SENTENCES[0], start=0.1),
        Query(videos[0], SENTENCES[0], subject="the dog"),
        Query(videos[1], SENTENCES[0], end=0.2),
        Query(videos[1], SENTENCES[1], start=0.1),
    ]
    first, second, third, fourth = grounder.ground_many(queries, resolution=64)
    assert opened == [videos[1], videos[1], videos[0]]
    assert [tube.clip for tube in (first, second, third, fourth)] == [(1, 3), (0, 2), (0, 2), (1, 3)]
    assert second.subject == "the dog"
    assert first == grounder.ground(videos[1], SENTENCES[0], start=0.1)


def test_damage_stops_no_other_video(grounder, videos, tmp_path):
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(b"dear diary" * 99)
    queries = [Query(str(damaged), sentence) for sentence in SENTENCES]
    queries += [Query(videos[0], SENTENCES[0], start=50), Query(videos[0], SENTENCES[0])]
    answers = dict(ground_each(grounder, queries))
    assert list(answers) == queries
    reasons = [str(answer) if isinstance(answer, InputError) else "" for answer in answers.values()]
    assert reasons[0] == reasons[1]
    assert "not a video" in reasons[0]
    assert "seconds 50 to the end hold no frame" in reasons[2]
    assert answers[queries[3]] == grounder.ground(videos[0], SENTENCES[0])
    with pytest.raises(InputError, match=r"2\.mp4: seconds 50 to the end hold no frame"):
        grounder.ground_many(queries[2:])


def test_the_next_clip_is_read_while_the_model_runs(grounder, videos, monkeypatch):
    read_clip, second_read = Grounder.read_clip, threading.Event()

    def read(self, video, *args, **options):
        clip = read_clip(self, video, *args, **options)
        if video == videos[1]:
            second_read.set()
        return clip

    monkeypatch.setattr(Grounder, "read_clip", read)
    answers = ground_each(grounder, [Query(video, SENTENCES[0]) for video in videos])
    next(answers)
    assert second_read.wait(60)
    answers.close()


def test_no_questions(grounder):
    assert grounder.ground_many([]) == []


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("a.mp4", "a question of type str: must be a .video, sentence. pair or a Query"),
        (("a.mp4", "b", "c"), "a question of type tuple"),
        ((5, "the man"), "video of type int: must be the path"),
        (("a.mp4", None), "sentence None: must be text"),
        (("a.mp4", "..."), "has no words"),
    ],
)
def test_what_is_no_question(grounder, question, message):
    with pytest.raises(InputError, match=message):
        grounder.ground_many([question])
    with pytest.raises(InputError, match="seconds 2:1 hold nothing"):
        Query("a.mp4", "the man", start=2, end=1)


def test_damaged_parameters_are_no_fault_of_a_video(grounder, videos, monkeypatch):
    def damaged(self):
        raise InputError("the parameters are damaged")

    monkeypatch.setattr(Grounder, "parameters", property(damaged))
    with pytest.raises(InputError, match="^the parameters are damaged"):
        list(ground_each(grounder, [Query(videos[0], SENTENCES[0])]))
