"""tube.webm, tube.gif and the moment of an answer as a clip of its own."""

from __future__ import annotations

import base64
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import Silent
from stvg_jax.grounding.inference import draw
from stvg_jax.grounding.inference.answer import Outputs
from tests.grounding.inference.drawing import decode, make_tube, plain, redness, times_of
from tests.videos import HEIGHT, WIDTH, numbers_in, write_video


def test_webm(tmp_path):
    tube = make_tube(97, 63, fps=30000 / 1001, box=(10, 8, 30, 15))
    draw.draw_video(tube, plain(tube), tmp_path / "out.webm")
    frames, _, codec = decode(tmp_path / "out.webm")
    assert (len(frames), codec) == (12, "vp9")
    np.testing.assert_allclose(times_of(tmp_path / "out.webm")[:12], np.arange(12) * 1001 / 30000, atol=1e-3)
    assert redness(frames[5]).max() > 60


def test_gif(tmp_path):
    tube = make_tube(600, 120, fps=25.0, clip=(0, 30), interval=(10, 20), box=(100, 20, 400, 100))
    draw.draw_video(tube, plain(tube), tmp_path / "out.gif")
    with Image.open(tmp_path / "out.gif") as picture:
        assert picture.format == "GIF"
        assert picture.width == 480
        assert picture.info["loop"] == 0
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(picture)]
        picture.seek(5)
        shown = np.asarray(picture.convert("RGB")).astype(int)
    # Every third frame; frames that look alike are one for longer.
    assert sum(durations) == 1200
    assert redness(shown).max() > 60


def test_the_moment_as_a_clip(tmp_path):
    write_video(tmp_path / "video.mp4", 20)
    tube = dataclasses.replace(
        make_tube(WIDTH, HEIGHT, fps=10.0, clip=(2, 18), interval=(5, 9), box=(1, 1, 20, 20)),
        video=str(tmp_path / "video.mp4"),
    )
    outputs = Outputs(tmp_path / "out", [tube.sentence], Path(tube.video))
    outputs.write(tmp_path / "out", tube)
    outputs.draw(tmp_path / "out", tube, video=False, cut=True, progress=Silent())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"tube.json", "tube.png", "cut.mp4"}
    frames, rate, _ = decode(tmp_path / "out" / "cut.mp4")
    assert numbers_in(frames) == [5, 6, 7, 8]
    assert rate == 10
    # It goes with the next answer.
    outputs.write(tmp_path / "out", tube)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tube.json"]

    shown = tube._repr_html_()
    picture = base64.b64decode(shown.partition("base64,")[2].partition('"')[0])
    assert Image.open(io.BytesIO(picture)).format == "PNG"


def test_a_moment_of_odd_size(tmp_path):
    tube = make_tube(97, 63)
    draw.cut_video(tube, (rgb for frame, rgb in plain(tube) if 4 <= frame < 8), tmp_path / "cut.mp4")
    assert [frame.shape for frame in decode(tmp_path / "cut.mp4")[0]] == [(64, 98, 3)] * 4


def test_another_ending(tmp_path):
    tube = make_tube()
    with pytest.raises(InputError, match=r"^out.avi: no video is written with this ending; use .mp4, .webm, .gif$"):
        draw.draw_video(tube, plain(tube), tmp_path / "out.avi")
    with pytest.raises(ValueError, match="11 frames for 12 times"):
        draw.draw_video(tube, list(plain(tube))[:11], tmp_path / "out.gif")
    assert list(tmp_path.iterdir()) == []
