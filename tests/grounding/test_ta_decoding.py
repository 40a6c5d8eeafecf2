"""TA-STVG from the features of a video on, on a tiny model without its backbones: numbers and padding.

That the numbers are right is told by `test_goldens`, which takes the whole model of the released size.
"""

from __future__ import annotations

import numpy as np

from tests.grounding.test_cg_decoding import (
    IDS,
    VIDEO,
    T,
    assert_no_layer_learns_from_another,
    padded,
    train,
)
from tests.tiny import apply, tiny

# Between the scores of the frames: some of each video make the queries of a pass, and some do not.
SPLITTING = {"sampling_threshold": 0.193, "actioness_threshold": 0.215}
LAYERED = ("boxes_cxcywh", "start_end_logits", "actioness_logits")
FRAMES = ("motion_sampling_logits", "appearance_sampling_logits", "sampling_score")
WORDS = ("appearance_attribute_logits", "motion_attribute_logits")


def run(call, *inputs, **changes):
    module, parameters = tiny(**SPLITTING | changes)
    # Fresh biases are zero, and four ReLUs of the anchor head can all be dead by chance.
    parameters["anchor_head"]["dense"]["bias"] += 1
    return apply(module, parameters, call, *inputs)


def numbers(output) -> dict[str, np.ndarray]:
    """Of each layer and video, a weighted sum over frames or words."""
    found = {}
    for name in (*LAYERED, *FRAMES, *WORDS):
        values = getattr(output, name)
        if values is not None:
            values = np.asarray(values)
            values = values[:, :, :T] if name in LAYERED else values[:, :T] if name in FRAMES else values
            rows = values.reshape(*values.shape[: 2 if name in LAYERED else 1], -1)
            found[name] = rows @ np.cos(np.arange(rows.shape[-1]))
    return found


def assert_numbers(output, expected):
    found = numbers(output)
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], atol=5e-5, err_msg=name)


SAMPLING = {
    "motion_sampling_logits": [0.60697, 0.45502],
    "appearance_sampling_logits": [1.3207, 0.19743],
    "sampling_score": [0.05768, -0.03968],
}


def test_two_passes_over_a_padded_batch():
    expected = SAMPLING | {
        "boxes_cxcywh": [[-0.52958, -0.52025], [-0.31078, -0.26515]],
        "start_end_logits": [[-0.97364, 0.92152], [-0.63758, 0.29578]],
        "actioness_logits": [[-0.56763, -0.16386], [0.21237, 0.41957]],
        "appearance_attribute_logits": [1.75753, 1.9764],
        "motion_attribute_logits": [6.90496, -9.13299],
    }
    assert_numbers(run(lambda m, *a: m.ground(*a), *padded(VIDEO, IDS)), expected)


def test_one_pass_in_training():
    expected = SAMPLING | {
        "boxes_cxcywh": [[-0.49641, -0.53684], [-0.36105, -0.30786]],
        "start_end_logits": [[-0.9948, 0.93386], [-1.82479, 0.5363]],
        "actioness_logits": [[0.0683, -0.19921], [-0.02833, 0.30649]],
        "appearance_attribute_logits": [2.67749, 2.90343],
        "motion_attribute_logits": [1.2017, -9.90626],
    }
    output, changes = run(train, VIDEO, IDS)
    assert_numbers(output, expected)
    assert_no_layer_learns_from_another(output, changes)


def test_activation_alone_keeps_every_frame():
    expected = {
        "boxes_cxcywh": [[-0.57086, -0.52598], [-0.2844, -0.30165]],
        "start_end_logits": [[-0.43682, 0.91241], [-0.50705, 0.43664]],
        "actioness_logits": [[0.06229, -0.28389], [0.42695, 0.33745]],
        "appearance_attribute_logits": [1.23916, 2.72667],
        "motion_attribute_logits": [6.03216, -9.41168],
    }
    single = run(lambda m, *a: m.ground(*a), VIDEO, IDS, queries="activation", second_pass=False)
    assert_numbers(single, expected)
