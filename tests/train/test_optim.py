"""Groups of parameters, and AdamW against its definition."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stvg_jax.errors import InputError
from stvg_jax.train.ema import start_average, update_average
from stvg_jax.train.optim import FROZEN, OptimConfig, assign_groups, make_optimizer, split_frozen

RULES = ((r"a/frozen/.*", FROZEN), (r"a/.*", "slow"), (r".*", "base"))
PATHS = ("a/frozen/kernel", "a/kernel", "b/kernel", "b/bias")


def test_the_first_rule_that_matches_decides():
    groups = assign_groups(PATHS, RULES)
    assert groups == dict(zip(PATHS, (FROZEN, "slow", "base", "base"), strict=True))
    trained, frozen = split_frozen({path: path.upper() for path in PATHS}, groups)
    assert list(trained) == ["a/kernel", "b/kernel", "b/bias"]
    assert frozen == {"a/frozen/kernel": "A/FROZEN/KERNEL"}


def test_rules_and_parameters_that_do_not_meet_are_all_listed():
    with pytest.raises(InputError) as error:
        assign_groups(PATHS, ((r"a/.*", "slow"), (r"a/kernel", "shadowed"), (r"c/.*", "gone"), (r"b/kernel", "base")))
    message = str(error.value)
    assert "3 problems" in message
    assert "parameter b/bias" in message
    assert "'a/kernel'" in message
    assert "'c/.*'" in message
    # A rule names a whole path.
    with pytest.raises(InputError, match="parameter ab"):
        assign_groups(["a", "ab"], [("a", "base")])


def adamw(parameters, gradients, rates, *, decay=0.01, max_norm=0.1):
    """AdamW after clipping, in float64 by the papers' formulas; yields the parameters after each step."""
    p = {k: v.astype(np.float64) for k, v in parameters.items()}
    m = {k: np.zeros_like(v) for k, v in p.items()}
    v = {k: np.zeros_like(x) for k, x in p.items()}
    for step, gradient in enumerate(gradients, 1):
        norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradient.values()))
        for k in p:
            g = gradient[k] * min(1, max_norm / (norm + 1e-6))
            m[k] = 0.9 * m[k] + 0.1 * g
            v[k] = 0.999 * v[k] + 0.001 * g**2
            rate = rates(step - 1)[k[0]]
            p[k] = p[k] * (1 - rate * decay)
            p[k] -= rate * (m[k] / (1 - 0.9**step)) / (np.sqrt(v[k] / (1 - 0.999**step)) + 1e-8)
        yield {k: x.copy() for k, x in p.items()}


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-8], ids=["clipped", "not clipped", "as small as epsilon"])
def test_adamw(scale):
    rng = np.random.default_rng(0)
    parameters = {"a/kernel": rng.standard_normal((3, 4)).astype(np.float32), "b/bias": np.ones(4, np.float32)}
    gradients = [
        {k: (scale * rng.standard_normal(v.shape)).astype(np.float32) for k, v in parameters.items()} for _ in range(4)
    ]

    def rates(step):
        return {"a": 0.1 / (step + 1), "b": 0.02}

    groups = {"a/kernel": "a", "b/bias": "b", "c/kernel": FROZEN}
    optimizer = make_optimizer(OptimConfig(weight_decay=0.01, max_gradient_norm=0.1), groups, rates)
    state, ours = optimizer.init(parameters), parameters
    update = jax.jit(optimizer.update)
    for gradient, expected in zip(gradients, adamw(parameters, gradients, rates), strict=True):
        updates, state = update(gradient, state, ours)
        ours = optax.apply_updates(ours, updates)
        for path in parameters:
            np.testing.assert_allclose(ours[path], expected[path], rtol=2e-5, atol=2e-6)


def test_every_group_needs_a_rate():
    with pytest.raises(InputError, match="group slow; there are rates for base"):
        make_optimizer(OptimConfig(), assign_groups(PATHS, RULES), lambda step: {"base": 1.0})


def test_moving_average():
    parameters = {"a": jnp.ones(2)}
    average = start_average(parameters)
    assert average["a"] is not parameters["a"]
    for _ in range(3):
        average = update_average(average, {"a": jnp.zeros(2)}, decay=0.9)
    np.testing.assert_allclose(average["a"], 0.9**3, rtol=1e-6)


def test_bad_configurations_are_refused():
    with pytest.raises(ValueError, match="max_gradient_norm"):
        OptimConfig(max_gradient_norm=0.0)
    with pytest.raises(ValueError, match="ema_decay"):
        OptimConfig(ema_decay=1.0)
