"""Axes along which parameters are split."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh, PartitionSpec

from stvg_jax.core.errors import InputError
from stvg_jax.train.sharding import REPLICATE, ShardingRules, bytes_per_device, parameter_specs, tree_shardings

SHAPES = {
    path: jax.ShapeDtypeStruct(shape, jnp.float32)
    for path, shape in {
        "a/kernel": (128, 512),
        "a/bias": (512,),
        "b/kernel": (3, 3, 129, 128),
        "odd/kernel": (151, 151),
        "table": (512, 512),
    }.items()
}


def test_the_largest_axis_that_can_be_divided_is_split():
    specs = parameter_specs(SHAPES, 4)
    assert specs == {
        "a/kernel": PartitionSpec(None, "fsdp"),
        "a/bias": PartitionSpec(),
        "b/kernel": PartitionSpec(None, None, None, "fsdp"),
        "odd/kernel": PartitionSpec(),
        "table": PartitionSpec("fsdp"),
    }


def test_the_first_rule_that_matches_decides():
    rules = ShardingRules((("a/bias", 0), ("a/.*", 0), (".*/kernel", REPLICATE)))
    specs = parameter_specs(SHAPES, 2, rules)
    assert specs["a/bias"] == specs["a/kernel"] == PartitionSpec("fsdp")
    assert specs["b/kernel"] == PartitionSpec()
    assert set(parameter_specs(SHAPES, 1, rules).values()) == {PartitionSpec()}


def test_rules_that_do_not_fit_are_all_named():
    rules = ShardingRules((("c/.*", 0), ("b/kernel", 2), ("a/bias", 1)))
    with pytest.raises(InputError) as caught:
        parameter_specs(SHAPES, 2, rules)
    message = str(caught.value)
    assert "3 problems" in message
    assert "rule 'c/.*' matches no parameter" in message
    assert "axis 2 of b/kernel (3, 3, 129, 128) cannot be split over 2 devices" in message
    assert "axis 1 of a/bias (512,)" in message


def test_what_belongs_to_a_parameter_lies_like_it():
    mesh = AbstractMesh((2, 4), ("data", "fsdp"))
    factored = jax.ShapeDtypeStruct((128,), jnp.float32)
    tree = {"moments": ({"a/kernel": SHAPES["a/kernel"]}, {"a/kernel": factored}), "count": factored}
    lying = jax.tree.map(lambda sharding: sharding.spec, tree_shardings(tree, SHAPES, mesh))
    split, whole = PartitionSpec(None, "fsdp"), PartitionSpec()
    assert lying == {"moments": ({"a/kernel": split}, {"a/kernel": whole}), "count": whole}


def test_bytes_of_a_device():
    mesh = AbstractMesh((2, 4), ("data", "fsdp"))
    parts = {path: SHAPES[path] for path in ("a/kernel", "odd/kernel")}
    assert bytes_per_device(parts, tree_shardings(parts, SHAPES, mesh)) == 128 * 512 * 4 // 4 + 151 * 151 * 4
