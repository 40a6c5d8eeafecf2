"""The confidence of a tube: its score, the calibration of a checkpoint, and what is said about it."""

from __future__ import annotations

import dataclasses
import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax import InputError, Tube
from stvg_jax.core import checkpoint as checkpoint_files
from stvg_jax.core.checkpoint import describe as describe_checkpoint
from stvg_jax.grounding.inference import Grounder, answering
from stvg_jax.grounding.inference.answer import describe
from stvg_jax.grounding.inference.clip import Clip
from stvg_jax.grounding.inference.confidence import (
    Calibration,
    among_windows,
    judge,
    parameters_digest,
    read_calibration,
    stated_calibration,
    tube_score,
)
from stvg_jax.grounding.inference.moments import Collector, best_tubes
from stvg_jax.grounding.inference.tube import FrameScores, Moment
from stvg_jax.grounding.protocol import TWO_PASSES
from stvg_jax.grounding.types import GroundingOutput
from stvg_jax.models.names import default_checkpoint
from tests.grounding.inference.test_moments import window
from tests.grounding.inference.test_tube import make_tube
from tests.videos import numbered_picture

CALIBRATION = Calibration(2.0, 1.0, 0.2, "abc", {"split": "val"})


def scores(actioness, sampling=1.0) -> FrameScores:
    frames = np.arange(0, 8, 2)
    values = (np.broadcast_to(value, 4) for value in (sampling, actioness, 0.25, 0.25))
    return FrameScores(frames, *values, frames // 2 % 2)


def test_the_score_is_a_product_over_the_interval():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60]], float)
    seen = scores([0.1, 0.8, 0.5, 0.9], [0.1, 0.6, 0.4, 0.9])
    # Of the frames 2 and 4; their boxes have an IoU of one half. Actioness is the largest of the clip.
    assert tube_score((2, 5), seen, boxes) == pytest.approx(0.9 * 0.5 * 0.5)
    assert tube_score((2, 3), seen, boxes) == pytest.approx(0.9 * 0.6)
    assert tube_score((3, 4), seen, boxes) == 0


def test_a_calibration_gives_probabilities():
    assert CALIBRATION.probability(1.0) == pytest.approx(1 / (1 + np.exp(-1)))
    values = CALIBRATION.probability(np.array([0.0, 0.2, 0.5, 1.0]))
    assert np.all(np.diff(values) > 0)
    assert values[0] == pytest.approx(0, abs=1e-9)
    # Odds are a power of the score.
    odds = values / (1 - values)
    assert odds[2] / odds[3] == pytest.approx(0.5**2)


def test_a_low_confidence_means_not_found():
    assert judge(0.9, CALIBRATION)[1:] == (True, True)
    assert judge(0.1, CALIBRATION)[1:] == (True, False)
    assert judge(0.1, None) == (0.1, False, None)


def test_the_file_gives_the_calibration_back(tmp_path):
    CALIBRATION.write(tmp_path / checkpoint_files.CALIBRATION)
    assert read_calibration(tmp_path / checkpoint_files.CALIBRATION) == CALIBRATION
    assert stated_calibration(tmp_path / "nothing", {}) is None
    with pytest.raises(InputError, match="made for other parameters; delete it, or calibrate"):
        stated_calibration(tmp_path, {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "stvg_jax.calibration/0"}, "is no calibration of the format"),
        ({"slope": None}, "slope must be a finite number, not 'None'"),
        ({"offset": True}, "offset must be a finite number"),
        ({"offset": float("nan")}, "offset must be a finite number, not 'nan'"),
        ({"slope": -1}, "slope -1 must be positive"),
        ({"threshold": 1.5}, "threshold 1.5 from 0 to 1"),
        ({"parameters": 3}, "parameters must be a text"),
    ],
)
def test_what_is_no_calibration(tmp_path, change, message):
    CALIBRATION.write(tmp_path / checkpoint_files.CALIBRATION)
    content = json.loads((tmp_path / checkpoint_files.CALIBRATION).read_text()) | change
    (tmp_path / checkpoint_files.CALIBRATION).write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_calibration(tmp_path / checkpoint_files.CALIBRATION)


def test_the_built_in_checkpoint_is_calibrated():
    parameters = describe_checkpoint(default_checkpoint()).parameters
    calibration = stated_calibration(default_checkpoint(), parameters)
    assert calibration is not None
    assert 0.1 < calibration.threshold < 0.3
    assert parameters_digest(dict(reversed(parameters.items()))) == calibration.parameters


def test_an_answer_has_the_confidence_of_its_checkpoint(checkpoint, tmp_path):
    question = np.stack([numbered_picture(number) for number in range(3)]), "the man in red sits down"
    plain = Grounder.load(checkpoint).ground(*question, fps=10)
    assert 0 < plain.confidence < 1
    assert (plain.calibrated, plain.found, plain.note) == (False, None, "")
    shutil.copytree(checkpoint, tmp_path / "copy")
    digest = parameters_digest(describe_checkpoint(checkpoint).parameters)
    calibration = dataclasses.replace(CALIBRATION, threshold=1.0, parameters=digest)
    calibration.write(tmp_path / "copy" / checkpoint_files.CALIBRATION)
    grounder = Grounder.load(tmp_path / "copy")
    tube = grounder.ground(*question, fps=10)
    assert tube.confidence == pytest.approx(calibration.probability(plain.confidence), abs=1e-5)
    assert (tube.calibrated, tube.found) == (True, False)
    # In one window nothing is different.
    searched = grounder.ground(*question, fps=10, window="auto")
    assert searched.moments[0].confidence == searched.confidence
    assert searched.found is False


def test_words_that_the_model_does_not_know_are_named():
    grounder = Grounder.load()
    known, foreign = grounder.ask(["The red square spins.", "a man opens the \x1b[31m door door"])
    assert known.unknown == ()
    assert foreign.unknown[:2] == ("man", "opens")
    assert foreign.unknown.count("door") == 1
    passes = np.array([0, 2]), np.array([1, 3])
    clip = Clip("a.mp4", 8, 8, 10.0, 0.4, 0, 4, np.arange(4) / 10, passes, np.zeros((2, 2, 8, 8, 3)))
    output = GroundingOutput(
        boxes_cxcywh=jnp.full((1, 2, 2, 4), 0.5),
        start_end_logits=jnp.zeros((1, 2, 2, 2)),
        actioness_logits=jnp.full((1, 2, 2), 9.0),
        sampling_score=jnp.ones((2, 2)),
    )
    sure, unsure = (
        answering.make_tube(clip, output, question, TWO_PASSES, grounder.calibration, "it knows shapes only")
        for question in (known, foreign)
    )
    assert (sure.calibrated, sure.found, sure.note) == (True, True, "it knows shapes only")
    assert (unsure.calibrated, unsure.found, unsure.confidence) == (False, None, sure.confidence)
    assert unsure.note.startswith("it knows shapes only; the model does not know the words 'man', 'opens', ")
    assert unsure.note.isprintable()


@pytest.mark.parametrize("name", [None, "builtin"])
def test_the_built_in_checkpoint_says_what_it_knows(name):
    assert Grounder.load(name).note == "the built-in checkpoint knows only generated videos of moving shapes"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"confidence": 0.25, "calibrated": False},
        {"confidence": 1 / 3, "calibrated": True, "found": True, "note": "knows shapes only"},
        {"confidence": 0.0, "calibrated": True, "found": False},
        {"confidence": 0.5, "calibrated": True},
    ],
)
def test_json_gives_the_confidence_back(fields):
    tube = make_tube(**fields)
    content = json.loads(json.dumps(tube.to_dict()))
    assert ("confidence" in content) == ("confidence" in fields)
    again = Tube.from_json(content)
    assert again == tube
    assert again.found is fields.get("found")


def test_a_moment_keeps_its_confidence():
    boxes = np.zeros((3, 4), np.float32)
    tube = make_tube(moments=(Moment(11, 14, 0.3, 0.4, 2.5, boxes, 0.75), Moment(1, 4, 0.1, 0.2, 1.5, boxes)))
    again = Tube.from_json(json.loads(json.dumps(tube.to_dict())))
    assert [moment.confidence for moment in again.moments] == [0.75, None]
    assert "score 2.500, confidence 0.75" in describe(tube)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"confidence": 1.1}, "'confidence' must be from 0 to 1"),
        ({"confidence": "high"}, "'confidence' must be a number"),
        ({"calibrated": None}, "'calibrated' must be true or false"),
        ({"found": 1}, "'found' too, or null"),
        ({"calibrated": False}, "'found' too, or null"),
    ],
)
def test_what_is_no_confidence(change, message):
    content = make_tube(confidence=0.5, calibrated=True, found=True).to_dict() | change
    with pytest.raises(InputError, match=message):
        Tube.from_json(content)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"calibrated": True, "found": True}, "  confidence 0.12"),
        ({"calibrated": True, "found": False}, "  confidence 0.12: probably not in this video"),
        ({"calibrated": False}, "  confidence 0.12, not calibrated (docs/confidence.md)"),
    ],
)
def test_the_answer_says_it(fields, line):
    told = describe(make_tube(confidence=0.12, note="it knows shapes only", **fields)).splitlines()
    assert told[-2:] == [line, "  it knows shapes only"]
    assert len(describe(make_tube()).splitlines()) == len(told) - 2


def test_a_joined_moment_is_as_sure_as_its_best_window():
    """The parts of an event that other windows cut off say less."""
    sure = [0.2, 0.9, 0.5]
    answers = [window(0, 30, 39), window(20, 30, 59), window(40, 40, 70)]
    answers = [
        dataclasses.replace(answer, confidence=value, calibrated=True, found=value > 0.3)
        for answer, value in zip(answers, sure, strict=True)
    ]
    ((tube, _),) = best_tubes(answers, [0.1, 0.8, 0.7], top=1)
    assert (tube.start_frame, tube.end_frame) == (30, 70)
    assert (tube.confidence, tube.calibrated, tube.found) == (0.9, True, True)


def test_the_best_of_many_windows_is_less_sure():
    assert among_windows(0.8, 1) == pytest.approx(0.8)
    assert among_windows(0.8, 16) == pytest.approx(0.5)
    assert among_windows(1.0, 16) <= 1
    collector = Collector(top=1)
    for start in range(0, 160, 40):
        answer = window(start, start + 5, start + 15)
        collector.add(dataclasses.replace(answer, confidence=0.8, calibrated=True, found=True), float(start))
    best = collector.best()
    # Four windows.
    assert best.confidence == best.moments[0].confidence == pytest.approx(2 / 3, abs=1e-6)
    assert (best.calibrated, best.found) == (True, None)
    plain = Collector(top=1)
    for start in (0, 40):
        plain.add(dataclasses.replace(window(start, start + 5, start + 15), confidence=0.8), 1.0)
    assert plain.best().confidence == 0.8
