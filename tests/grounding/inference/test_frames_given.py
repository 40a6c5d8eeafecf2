"""Frames in memory and folders of pictures give the answer of the same frames in a video."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from stvg_jax.cli import main
from stvg_jax.core.errors import InputError
from stvg_jax.grounding.inference import Grounder, Tube
from tests.loopback import serving
from tests.videos import numbered_picture

SENTENCE = "the man in red sits down"
FPS = 10


@pytest.fixture(scope="module")
def grounder(checkpoint):
    return Grounder.load(checkpoint)


@pytest.fixture(scope="module")
def frames():
    return np.stack([numbered_picture(number) for number in range(3)])


@pytest.fixture(scope="module")
def lossless(frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("lossless") / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=FPS)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "bgr0"
        for number, rgb in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="bgr0")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def pictures(frames, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number, rgb in enumerate(frames):
        Image.fromarray(rgb).save(folder / f"{number + 8}.png")
    return folder


def test_the_answer_of_a_lossless_video(grounder, frames, lossless, pictures):
    expected = grounder.ground(lossless, SENTENCE)
    tube = grounder.ground(frames, SENTENCE, fps=FPS)
    assert tube == dataclasses.replace(expected, video="frames in memory")
    assert Tube.from_json(tube.to_dict()) == tube
    assert grounder.ground(pictures, SENTENCE, fps=FPS) == dataclasses.replace(expected, video=str(pictures))


def test_what_cannot_be_grounded(grounder, frames, lossless, pictures):
    for video, fps, message in (
        (frames, None, "frames of an array have no times of their own: give their frames per second"),
        (frames / 255, FPS, "frames are float64: must be uint8"),
        (pictures, None, "pictures of a folder have no times of their own"),
        (lossless, FPS, "fps 10: is for pictures of a folder and for arrays; leave it out for"),
        ([frames], FPS, "video of type list: must be the path"),
    ):
        with pytest.raises(InputError, match=message):
            grounder.ground(video, SENTENCE, fps=fps)


def test_the_command(grounder, checkpoint, pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Grounder, "load", lambda path, dtype: grounder)
    ground = ["ground", str(pictures), SENTENCE, "--checkpoint", str(checkpoint), "--no-video", "--out"]
    assert main([*ground, str(tmp_path), "--fps", "10"]) == 0
    assert Tube.from_json(tmp_path / "tube.json") == grounder.ground(pictures, SENTENCE, fps=FPS)
    assert (tmp_path / "tube.png").is_file()
    assert main([*ground, str(tmp_path)]) == 2
    assert "give their frames per second" in capsys.readouterr().err
    assert main([*ground, str(pictures), "--fps", "10"]) == 2
    assert "holds the pictures themselves" in capsys.readouterr().err


def test_a_video_of_the_network(grounder, checkpoint, lossless, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Grounder, "load", lambda path, dtype: grounder)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    ground = [SENTENCE, "--checkpoint", str(checkpoint), "--no-video", "--out", str(tmp_path)]
    with serving(lossless.parent) as address:
        assert main(["ground", f"{address}/clip.mkv", *ground]) == 2
        assert "--allow-network lets this command fetch it" in capsys.readouterr().err
        # Other mistakes are told before anything is fetched.
        wrong = ["--allow-network", "--start", "2", "--end", "1"]
        assert main(["ground", f"{address}/none.mkv", *ground, *wrong]) == 2
        assert "none.mkv" not in capsys.readouterr().err
        assert main(["ground", f"{address}/clip.mkv", *ground, "--allow-network"]) == 0
    expected = dataclasses.replace(grounder.ground(lossless, SENTENCE), video=f"{address}/clip.mkv")
    assert Tube.from_json(tmp_path / "tube.json") == expected
    assert (tmp_path / "tube.png").is_file()
