"""The choice of a decoder, and decord where it agrees with the file."""

import importlib.util
import shutil
import sys
import types

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.video import open_video
from tests import videos
from tests.data_pipeline.video.making import ONE, add_clean_aperture, copy, set_matrix

needs_decord = pytest.mark.skipif(importlib.util.find_spec("decord") is None, reason="decord is not installed")


def test_an_unknown_decoder_is_named_with_the_choices(kinds):
    with pytest.raises(InputError, match="'opencv'; choose one of pyav, decord"):
        open_video(kinds["b-frames.mp4"], decoder="opencv")


def test_absent_decord_is_named_with_its_remedy(kinds, monkeypatch):
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(InputError, match=r"use decoder 'pyav', or install it; pip install -e '\.\[decord\]'"):
        open_video(kinds["b-frames.mp4"], decoder="decord")


@needs_decord
@pytest.mark.parametrize("name", ["b-frames.mp4", "b-frames.mkv", "irregular.mp4"])
def test_decord_gives_the_same_frames(kinds, name):
    with open_video(kinds[name]) as exact, open_video(kinds[name], decoder="decord") as reader:
        assert reader.info == exact.info
        ids = [20, 3, 29, 3]
        difference = np.abs(reader.read(ids).astype(int) - exact.read(ids))
        assert difference.max() <= 4


@needs_decord
def test_decord_is_refused_where_it_would_be_wrong(tmp_path, kinds):
    cut = videos.cut_without_encoding(kinds["b-frames.mp4"], tmp_path / "cut.mp4", first=14)
    turned = videos.write_rotated(tmp_path / "turned.mp4", 90)
    mirrored = set_matrix(shutil.copy(kinds["b-frames.mp4"], tmp_path / "mirrored.mp4"), -ONE, 0, 0, ONE)
    crop = "h264_metadata=crop_left=16:crop_right=8:crop_top=4:crop_bottom=6"
    cropped = copy(kinds["b-frames.mp4"], tmp_path / "cropped.mp4", bitstream_filter=crop)
    clean = add_clean_aperture(shutil.copy(kinds["b-frames.mp4"], tmp_path / "clean.mp4"), 72, 1, 50, 1, 4, 1, -4, 1)
    for path, reason in [
        (cut, "edit list"),
        (turned, "rotated by 90"),
        (mirrored, "mirrored"),
        (cropped, "decord cannot read frames|another picture"),
        (clean, "decord cannot read frames|another picture"),
        (kinds["open-gops.mp4"], "open groups"),
        (kinds["no-times.avi"], "no times in display order"),
    ]:
        with pytest.raises(InputError, match=f"({reason}).*use decoder 'pyav'"):
            open_video(path, decoder="decord")


@pytest.mark.parametrize(("fault", "message"), [("count", "decord counts 29 frames"), ("picture", "for frame 14")])
def test_decord_is_refused_when_it_disagrees(kinds, monkeypatch, fault, message):
    with open_video(kinds["b-frames.mp4"]) as exact:
        frames = exact.read(range(30))
    frames = frames[:29] if fault == "count" else np.concatenate([frames[:14], frames[13:14], frames[15:]])

    class Reader:
        def __init__(self, path, ctx):
            self.frames = frames

        def __len__(self):
            return len(frames)

        def get_batch(self, ids):
            return types.SimpleNamespace(asnumpy=lambda: frames[ids])

    logging = types.SimpleNamespace(set_level=lambda level: None, QUIET=0)
    fake = types.SimpleNamespace(VideoReader=Reader, cpu=lambda index: None, logging=logging)
    monkeypatch.setitem(sys.modules, "decord", fake)
    with pytest.raises(InputError, match=f"{message}.*use decoder 'pyav'"):
        open_video(kinds["b-frames.mp4"], decoder="decord")
