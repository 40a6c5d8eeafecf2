"""Parameters when training begins, and the tokenizer of a training from scratch."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from stvg_jax.nn.declare import Declared
from stvg_jax.train.initialise import initial_parameters


def draw(rng, shape):
    return rng.standard_normal(shape)


DECLARED = {path: Declared(shape, draw, np.float32) for path, shape in {"a/x": (2,), "a/y": (3,), "b/z": (4,)}.items()}


def write(folder, **values):
    parameters = {path.replace("_", "/"): np.full(shape, value, np.float32) for path, (shape, value) in values.items()}
    with checkpoint.new_directory(folder) as directory:
        checkpoint.write(directory, parameters, checkpoint.Description("ta_stvg", {}, kind="initialisation"))
    return str(folder)


def test_from_scratch_depends_on_the_seed_alone():
    first, lines = initial_parameters(DECLARED, (), (), seed=3)
    second, _ = initial_parameters(DECLARED, (), (), seed=3)
    other, _ = initial_parameters(DECLARED, (), (), seed=4)
    for path in DECLARED:
        np.testing.assert_array_equal(first[path], second[path])
        assert not np.array_equal(first[path], other[path])
    assert lines == ["drawn: 3 parameters (a 2, b 1)"]


def test_later_checkpoints_win_and_the_rest_is_drawn(tmp_path):
    sources = write(tmp_path / "one", a_x=((2,), 1), b_z=((4,), 1)), write(tmp_path / "two", b_z=((4,), 2))
    drawn, _ = initial_parameters(DECLARED, (), (), seed=0)
    found, lines = initial_parameters(DECLARED, sources, (), seed=0)
    np.testing.assert_array_equal(found["a/x"], [1, 1])
    np.testing.assert_array_equal(found["b/z"], [2, 2, 2, 2])
    np.testing.assert_array_equal(found["a/y"], drawn["a/y"])
    assert lines == [
        f"{sources[0]}: 1 parameters (a 1)",
        "drawn: 1 parameters (a 1)",
        f"{sources[1]}: 1 parameters (b 1)",
    ]


def test_what_does_not_fit_is_listed_unless_left_out(tmp_path):
    source = write(tmp_path / "one", a_x=((5,), 1), c_q=((1,), 1), a_y=((3,), 7))
    with pytest.raises(InputError) as caught:
        initial_parameters(DECLARED, [source], (), seed=0)
    message = str(caught.value)
    assert "! a/x has shape (5,), the model needs (2,)" in message
    assert "+ c/q (1,) is not a parameter of the model" in message
    found, _ = initial_parameters(DECLARED, [source], ("a/x", "c/.*"), seed=0)
    np.testing.assert_array_equal(found["a/y"], [7, 7, 7])
    with pytest.raises(InputError, match=r"leave_out: d/\.\* match no parameter"):
        initial_parameters(DECLARED, [source], ("a/x", "c/.*", "d/.*"), seed=0)
