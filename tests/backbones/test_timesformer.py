"""TimeSformer: positions of other numbers of frames, and what its attention mixes.

`tests/retrieval/test_alpro.py` compares it with the released one.
"""

from __future__ import annotations

import numpy as np
import pytest

from stvg_jax.backbones.timesformer import TimeSformer, TimeSformerConfig
from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule, initialize
from tests.tiny import apply

CONFIG = TimeSformerConfig(image=32, patch=16, frames=4, width=8, blocks=1, heads=2, hidden=16)
MODULE = PureModule(TimeSformer(CONFIG))


def frames(number: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, number, 32, 32, 3)).astype(np.float32)


@pytest.mark.parametrize(("number", "expected"), [(8, [0, 0, 1, 1, 2, 2, 3, 3]), (3, [0, 1, 2]), (1, [0])])
def test_other_numbers_of_frames_take_the_nearest_times(number, expected):
    parameters = {path: np.zeros(d.shape, np.float32) for path, d in MODULE.declarations.items()}
    parameters["times"] = np.arange(4)[:, None] * np.ones((1, 8), np.float32)
    _, patches = MODULE.apply(unflatten(parameters), lambda m: m.embed(frames(number)))
    assert np.asarray(patches)[0, :, 0, 0].tolist() == expected


def test_a_new_model_mixes_no_frames_but_in_the_class_token():
    """Its attention over time ends in a projection that starts at zero; then the order of frames is of no account."""
    parameters = initialize(unflatten(MODULE.declarations), seed=0)
    shown = frames(4)
    forwards, backwards = (apply(MODULE, parameters, TimeSformer.__call__, x) for x in (shown, shown[:, ::-1]))
    assert forwards.shape == (1, 5, 8)
    np.testing.assert_allclose(forwards, backwards, atol=2e-6)


def test_pictures_of_another_size_are_refused():
    with pytest.raises(ValueError, match="they must be 32 x 32 pixels"):
        MODULE.apply(unflatten(MODULE.declarations), lambda m: m(np.zeros((1, 4, 16, 32, 3), np.float32)))
