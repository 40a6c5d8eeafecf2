"""BERT in parts. `tests/retrieval/test_alpro.py` compares it with the released one."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_jax.backbones.bert import Bert, BertConfig
from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule, initialize

CONFIG = BertConfig(vocab_size=20, width=8, layers=3, heads=2, hidden=16, positions=6)
MODULE = PureModule(Bert(CONFIG))
IDS = np.array([[2, 5, 7, 3, 0, 0], [2, 9, 4, 6, 8, 3]], np.int32)
VALID = IDS > 0


def test_parts_of_the_layers_are_all_of_them():
    def both(model):
        x = model.embed(IDS)
        first = model.run(x, VALID, slice(1))
        return model.run(x, VALID), model.run(first, VALID, slice(1, None)), first

    whole, in_parts, first = MODULE.apply(initialize(unflatten(MODULE.declarations), seed=0), both)
    np.testing.assert_array_equal(whole, in_parts)
    assert np.abs(whole - first).max() > 1e-3


def test_what_stands_in_padding_changes_nothing():
    parameters = initialize(unflatten(MODULE.declarations), seed=0)
    plain, other = (
        MODULE.apply(parameters, lambda m, ids=ids: m.run(m.embed(ids), VALID))
        for ids in (IDS, np.where(VALID, IDS, 9))
    )
    np.testing.assert_allclose(np.asarray(plain)[VALID], np.asarray(other)[VALID], atol=1e-6)


def test_a_text_beyond_the_table_is_refused():
    with pytest.raises(ValueError, match="a text has 7 tokens; the text encoder takes at most 6"):
        MODULE.apply(unflatten(MODULE.declarations), lambda m: m.embed(np.zeros((1, 7), np.int32)))
