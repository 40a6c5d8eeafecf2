"""Listing of videos: folders, patterns and files."""

from __future__ import annotations

import os

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.video.listing import all_videos, list_videos


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.MP4", "sub/a.webm", "sub/[1].mp4", "notes.txt", "sub/list.json"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_all_videos_below_a_folder_are_found_by_suffix(folder):
    assert list(all_videos(folder)) == ["b.MP4", "sub/[1].mp4", "sub/a.webm"]
    with pytest.raises(InputError, match="no such folder"):
        all_videos(folder / "absent")
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="there is no video below"):
        all_videos(folder / "empty")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["notes.txt", "sub"], ["notes.txt", "sub/[1].mp4", "sub/a.webm"]),
        (["sub/a.webm", "sub", "b.MP4"], ["sub/a.webm", "sub/[1].mp4", "b.MP4"]),
        (["*.MP4"], ["b.MP4"]),
        (["s?b"], ["sub/[1].mp4", "sub/a.webm"]),
        (["**/*.webm"], ["sub/a.webm"]),
        (["sub/[1].mp4"], ["sub/[1].mp4"]),
    ],
)
def test_files_folders_and_patterns(folder, monkeypatch, given, found):
    monkeypatch.chdir(folder)
    assert [os.fspath(path) for path in list_videos(given)] == [os.fspath(folder / name) for name in found]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no videos are given"),
        (["absent.mp4"], "absent.mp4: no such file or folder"),
        (["*.avi"], r"\*.avi: no file fits this pattern"),
        ([5], "video of type int: must be the path"),
    ],
)
def test_what_is_no_video(folder, monkeypatch, given, message):
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=message):
        list_videos(given)
