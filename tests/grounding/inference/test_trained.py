"""Clips that are longer than those of training are announced."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.grounding.inference.trained import TrainedClip, stated_clip_sec
from stvg_jax.grounding.protocol import SINGLE_PASS, TWO_PASSES
from stvg_jax.models.names import default_checkpoint


@pytest.mark.parametrize(
    ("config", "protocol", "sec", "frames", "seconds"),
    [
        (ClipConfig(), TWO_PASSES, None, 128, 20),
        (ClipConfig(sampling="vidstg"), TWO_PASSES, None, 128, 28.01),
        (ClipConfig(sampling="tubedetr_hcstvg", frames_per_pass=200, sample_fps=5), SINGLE_PASS, None, 100, 20),
        (ClipConfig(sampling="tubedetr_vidstg", frames_per_pass=200, sample_fps=5), SINGLE_PASS, None, 200, 40),
        (ClipConfig(sample_fps=0.8), TWO_PASSES, 4.0, 32, 4),
    ],
)
def test_length_and_density_follow_from_the_frame_rule(config, protocol, sec, frames, seconds):
    assert TrainedClip.of(config, protocol, sec) == TrainedClip(seconds, frames)


def test_the_built_in_checkpoint_states_its_length():
    assert stated_clip_sec(default_checkpoint()) == 4.0


@pytest.mark.parametrize("value", [0, -1, True, "4"])
def test_a_bad_length_is_refused(tmp_path, value):
    assert stated_clip_sec(tmp_path) is None
    (tmp_path / "training.json").write_text(json.dumps({"clip_sec": value}))
    with pytest.raises(InputError, match="clip_sec must be a positive number"):
        stated_clip_sec(tmp_path)


def test_only_frames_that_are_left_out_are_announced():
    trained = TrainedClip(20, 128)
    times = np.linspace(0, 299.8, 128)
    assert trained.warning("a.mp4", 25, times).startswith(
        "a.mp4: the model sees a frame every 2.4 s of this clip of 299.8 s and was trained on one every 0.16 s"
    )
    assert "--window auto" in trained.warning("a.mp4", 25, times)
    assert trained.warning("a.mp4", 25, np.linspace(0, 24, 128)) == ""
    assert trained.warning("a.mp4", 25, times[:1]) == ""
    # Every frame of a slow video is seen.
    assert trained.warning("a.mp4", 127 / 299.8, times) == ""
