from __future__ import annotations

import jax
import numpy as np
import pytest

from stvg_jax.backbones.roberta import Roberta, RobertaConfig
from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule, initialize

CONFIG = RobertaConfig(vocab_size=50, width=16, layers=2, heads=2, hidden=32, positions=20)


def test_padding_changes_nothing_and_long_text_is_refused():
    module = PureModule(Roberta(CONFIG))
    parameters = initialize(unflatten(module.declarations), seed=0)
    rng = np.random.default_rng(0)
    ids = rng.integers(4, 50, (2, 9)).astype(np.int32)
    lengths = np.array([4, 9])
    run = jax.jit(lambda ids, valid=None: module.apply(parameters, lambda m: m(ids, valid)))
    together = np.asarray(run(ids, np.arange(9) < lengths[:, None]))
    for i, length in enumerate(lengths):
        alone = np.asarray(run(ids[i : i + 1, :length]))
        np.testing.assert_allclose(together[i, :length], alone[0], atol=1e-6)
    with pytest.raises(ValueError, match="19 tokens; the text encoder takes at most 18"):
        module.apply(parameters, lambda m: m(np.zeros((1, 19), np.int32)))
