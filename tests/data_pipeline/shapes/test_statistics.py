import numpy as np
import pytest

from stvg_jax.data_pipeline.shapes.statistics import BASELINES, make_cases, overlap, report


@pytest.fixture(scope="module")
def cases():
    return make_cases("check", 24)


def test_overlap():
    box, half = np.array([0.0, 0.0, 10.0, 10.0]), np.array([0.0, 0.0, 10.0, 5.0])
    truth = ((10, 20), np.tile(box, (10, 1)))
    assert overlap(truth, truth) == (1.0, 1.0)
    assert overlap(truth, ((15, 25), np.tile(half, (10, 1)))) == (5 / 15, pytest.approx(2.5 / 15))
    assert overlap(truth, ((20, 30), np.tile(box, (10, 1)))) == (0.0, 0.0)


def test_guessing_is_poor_and_partial_reading_in_between(cases):
    scores = {b.__name__: np.mean([overlap(c.true_tube(), b(c)) for c in cases], axis=0) for b in BASELINES}
    for blind in ("random_tube", "whole_clip_centre_box", "middle_centre_box"):
        assert scores[blind][1] < 0.1
    assert scores["any_thing"][1] < scores["only_appearance"][1] < scores["no_time_no_place"][1] < 1


def test_report(cases):
    text = report(cases[:6])
    assert text.startswith("6 sentences") and all(baseline.__name__ in text for baseline in BASELINES)
