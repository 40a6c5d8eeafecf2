"""Uploads of a server."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.serve.limits import Limits, Refusal
from stvg_jax.serve.videos import Videos, clean_name


def receive(videos: Videos, content: bytes, name: str = "clip.mp4"):
    file = videos.new_file()
    file.write_bytes(content)
    return videos.add(file, hashlib.sha256(content).hexdigest(), name)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_uploads_are_deleted_after_their_time(tmp_path, clip):
    now, busy, deleted = [0.0], set(), []
    videos = Videos(
        tmp_path,
        Limits(kept_sec=60),
        in_use=busy.__contains__,
        deleted=lambda video: deleted.append(video.id),
        clock=lambda: now[0],
    )
    video = receive(videos, clip)
    now[0] = 59
    videos.expire()
    assert videos.get(video.id) is video
    now[0] = 120
    busy.add(video.id)
    videos.expire()
    assert files(tmp_path) == [f"{video.id}.video"]
    busy.clear()
    videos.expire()
    assert files(tmp_path) == []
    assert deleted == [video.id]
    with pytest.raises(Refusal, match="uploads are deleted after a time"):
        videos.get(video.id)


def test_the_least_used_upload_makes_room(tmp_path, clip):
    # Bytes behind the end of an MP4 are ignored.
    other = clip + bytes(8)
    third = clip + bytes(16)
    now = [0.0]
    videos = Videos(tmp_path, Limits(kept_bytes=2 * len(third)), clock=lambda: now[0])
    first = receive(videos, clip)
    now[0] = 1
    second = receive(videos, other)
    now[0] = 2
    videos.get(first.id)
    receive(videos, third)
    videos.get(first.id)
    with pytest.raises(Refusal):
        videos.get(second.id)


def test_there_is_no_room_beside_videos_in_use(tmp_path, clip):
    videos = Videos(tmp_path, Limits(kept_bytes=len(clip)), in_use=lambda _: True)
    video = receive(videos, clip)
    with pytest.raises(Refusal, match="no room"):
        receive(videos, clip + bytes(8))
    with pytest.raises(Refusal, match="not answered yet"):
        videos.delete(video.id)


def test_the_same_file_is_the_same_video(tmp_path, clip):
    videos = Videos(tmp_path, Limits())
    assert receive(videos, clip) is receive(videos, clip, "again.mp4")


def test_long_and_foreign_files_are_refused_by_their_names(tmp_path, clip):
    videos = Videos(tmp_path, Limits(video_sec=0.2))
    with pytest.raises(InputError, match=r"^'clip.mp4' lasts 0.3 s, and at most 0.2 s are taken"):
        receive(videos, clip)
    with pytest.raises(InputError) as refused:
        receive(videos, b"#!/bin/sh\n", "a.sh")
    assert "'a.sh'" in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_examples_cannot_be_deleted_and_stay(tmp_path):
    now = [0.0]
    videos = Videos(tmp_path, Limits(), clock=lambda: now[0])
    videos.add_examples()
    now[0] = 1e9
    videos.expire()
    assert [video.id for video in videos.examples] == ["example-1", "example-2", "example-3"]
    assert [len(video.sentences) for video in videos.examples] == [2, 2, 2]
    with pytest.raises(Refusal, match="an example"):
        videos.delete("example-1")


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("party.mp4", "party.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\party.mp4", "party.mp4"),
        ("a\nb\u202ec.mp4", "a_b_c.mp4"),
        ("<img src=x>.mp4", "<img src=x>.mp4"),
        ("", "video"),
        ("..", "video"),
        ("x" * 500, "x" * 100),
    ],
)
def test_names_are_printable_and_short(name, clean):
    assert clean_name(name) == clean
