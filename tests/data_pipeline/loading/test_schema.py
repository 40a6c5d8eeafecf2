"""The one description of a batch, and those who must agree with it."""

import dataclasses

import numpy as np
import pytest

from stvg_jax.data_pipeline.loading.schema import GROUNDING_BATCH, Array, BatchSchema
from stvg_jax.grounding.targets import GroundingTargets
from stvg_jax.grounding.types import GroundingBatch

SCHEMA = BatchSchema(
    {
        "ids": Array("int32", ("n",), "numbers", pad=-5),
        "valid": Array("bool", ("n",), "which are real", marks="ids"),
        "boxes": Array("float32", ("n", 2), "boxes", given="training"),
        "size": Array("int32", (2,), "size", given="evaluation", sent="never"),
        "row": Array("int32", (), "number", sent="training"),
    }
)


def test_rows_are_padded_at_their_ends_and_marked():
    rows = [
        {"ids": [7, 8, 9], "boxes": np.ones((3, 2)), "row": 4},
        {"ids": np.array([1]), "boxes": np.full((1, 2), 2.5), "row": 5},
    ]
    batch = SCHEMA.pack(rows, {"n": 4})
    assert {name: value.dtype.name for name, value in batch.items()} == {
        "ids": "int32", "valid": "bool", "boxes": "float32", "row": "int32",
    }  # fmt: skip
    assert batch["ids"].tolist() == [[7, 8, 9, -5], [1, -5, -5, -5]]
    assert batch["valid"].tolist() == [[True, True, True, False], [True, False, False, False]]
    assert batch["boxes"].tolist() == [[[1, 1], [1, 1], [1, 1], [0, 0]], [[2.5, 2.5], [0, 0], [0, 0], [0, 0]]]
    assert batch["row"].tolist() == [4, 5]


def test_a_row_longer_than_its_batch_is_no_silent_cut():
    with pytest.raises(ValueError, match="broadcast"):
        SCHEMA.pack([{"ids": [1, 2, 3]}], {"n": 2})


def test_names_and_shapes_by_the_kind_of_batch():
    assert SCHEMA.names(training=True) == ("ids", "valid", "boxes", "row")
    assert SCHEMA.names(training=True, sent=True) == ("ids", "valid", "boxes", "row")
    assert SCHEMA.names(training=False) == ("ids", "valid", "size", "row")
    assert SCHEMA.names(training=False, sent=True) == ("ids", "valid")
    assert SCHEMA.shapes(3, {"n": 4}, training=True) == {
        "ids": ((3, 4), np.int32), "valid": ((3, 4), bool), "boxes": ((3, 4, 2), np.float32), "row": ((3,), np.int32),
    }  # fmt: skip


def test_models_and_losses_read_what_is_sent():
    """The fields of the model's inputs and targets have the names of arrays; `rows_valid` is made of `sample`."""
    inputs = {field.name for field in dataclasses.fields(GroundingBatch)}
    targets = {field.name for field in dataclasses.fields(GroundingTargets)} - {"rows_valid"} | {"sample"}
    assert set(GROUNDING_BATCH.names(training=False, sent=True)) == inputs
    assert set(GROUNDING_BATCH.names(training=True, sent=True)) == inputs | targets
