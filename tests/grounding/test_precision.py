"""Computation in bfloat16."""

from __future__ import annotations

import re

import jax
import pytest

from stvg_jax.core.registry import make_model
from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule
from tests.grounding.batches import make_batch
from tests.tiny import tiny_model_config

PRODUCT = re.compile(r"stablehlo\.(?:dot_general|convolution)\(?.* : \(tensor<([^>]*)>, tensor<([^>]*)>\)")


@pytest.mark.parametrize("system", ["ta_stvg", "cg_stvg", "tubedetr", "stcat"])
def test_every_product_of_matrices_takes_bfloat16(system):
    """A layer that forgot the dtype would be right, and several times slower."""
    module = PureModule(make_model(system, tiny_model_config(system=system), "bfloat16"))
    parameters = jax.tree.map(lambda p: jax.ShapeDtypeStruct(p.shape, p.dtype), unflatten(module.declarations))
    lowered = jax.jit(lambda p, batch: module.apply(p, lambda model: model(batch))).lower(parameters, make_batch(t=4))
    text = lowered.as_text()
    factors = [factor for product in PRODUCT.findall(text) for factor in product]
    assert len(factors) == 2 * len(re.findall(r"stablehlo\.(?:dot_general|convolution)\b", text)) > 100
    assert {factor.split("x")[-1] for factor in factors} == {"bf16"}
