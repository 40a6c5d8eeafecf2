"""Groups of parameters, and AdamW against its definition."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.train.optim import (
    FROZEN,
    INHERITED,
    OptimConfig,
    assign_groups,
    assign_uses,
    make_optimizer,
    split_frozen,
)
from stvg_jax.train.state import start_average, update_average

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


# What PyTorch 2.13 makes of three parameters at a rate of 3e-4 with decay 1e-4 and gradients clipped to 0.1 together.
# None: no gradient; such a parameter does not count in the norm either.
GRADIENTS = {
    "a": [[0.03, 0.02], [0.01, -0.02], [0.2, 0.1], [0.03, 0.01], [-0.05, 0.04]],
    "b": [[0.1, -0.02], None, None, [0.05, 0.05], [0.0, -0.01]],
    "c": [None, None, [0.08], None, [0.02]],
}
STARTS = {"a": [1.0, -2.0], "b": [0.0, 0.5], "c": [0.25]}
WANTED = {
    "a": [
        [0.99969995, -2.0002999],
        [0.99943507, -2.0002720],
        [0.99918652, -2.0004213],
        [0.99893796, -2.0005751],
        [0.99882925, -2.0007782],
    ],
    "b": [
        [-2.9999996e-4, 0.50029999],
        [-2.9999996e-4, 0.50029999],
        [-2.9999996e-4, 0.50029999],
        [-5.8303546e-4, 0.50016022],
        [-8.0182269e-4, 0.50008935],
    ],
    "c": [[0.25], [0.25], [0.24969998], [0.24969998], [0.24941313]],
}


def test_parameters_without_a_gradient_stay():
    uses = assign_uses(("a", "b", "c"), ((r"b", "second"), (r"c", "third")))
    assert uses == {"b": "second", "c": "third"}
    optimizer = make_optimizer(OptimConfig(), dict.fromkeys("abc", "base"), lambda step: {"base": 3e-4}, uses)
    parameters = {name: jnp.array(value) for name, value in STARTS.items()}
    state, update = optimizer.init(parameters), jax.jit(optimizer.update)
    for step in range(5):
        now = {name: GRADIENTS[name][step] for name in parameters}
        used = {use: now[name] is not None for name, use in uses.items()}
        gradients = {name: jnp.zeros_like(parameters[name]) if g is None else jnp.array(g) for name, g in now.items()}
        before = parameters
        updates, state = update(gradients, state, parameters, used=used)
        parameters = optax.apply_updates(parameters, updates)
        for name, value in parameters.items():
            np.testing.assert_allclose(value, WANTED[name][step], rtol=2e-5, err_msg=f"{name} {step}")
            if now[name] is None:
                np.testing.assert_array_equal(value, before[name])
    assert int(state[1].count) == 5
    assert {use: int(count) for use, count in state[1].use_counts.items()} == {"second": 3, "third": 2}


def test_the_state_is_another_only_where_a_parameter_may_be_unused():
    """Checkpoints of models that always use everything stay what they were."""
    groups, rates = dict.fromkeys("ab", "base"), lambda step: {"base": 3e-4}
    parameters = {"a": jnp.ones(2), "b": jnp.ones(2)}

    def leaves(uses):
        state = make_optimizer(OptimConfig(), groups, rates, uses).init(parameters)
        paths = jax.tree.leaves_with_path({"optimizer": state})
        return {jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in paths}

    plain = {"optimizer/1/count", *(f"optimizer/1/{m}/{p}" for m in ("mu", "nu") for p in "ab"), "optimizer/3/count"}
    assert leaves(None) == leaves({}) == plain
    more = leaves({"b": "second"}) - plain
    assert more == {"optimizer/1/use_counts/second"}
    ((pattern, other),) = INHERITED
    assert [re.fullmatch(pattern, name).expand(other) for name in more] == ["optimizer/1/count"]


def test_every_group_needs_a_rate():
    with pytest.raises(InputError, match="group slow; the groups are base"):
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
        OptimConfig(max_gradient_norm=-1.0)
    with pytest.raises(ValueError, match="beta2"):
        OptimConfig(beta2=1.0)
    with pytest.raises(ValueError, match="undecayed has '\\(', which is no regular expression"):
        OptimConfig(undecayed=("(",))
    with pytest.raises(ValueError, match="ema_decay"):
        OptimConfig(ema_decay=1.0)


def test_other_moments_no_limit_and_parameters_without_decay():
    """STGT's recipe: second moments of 0.98, no limit of the gradient, biases without decay."""
    rng = np.random.default_rng(3)
    start = {path: rng.standard_normal(4).astype(np.float32) for path in ("a/kernel", "a/bias")}
    gradients = [{path: 50 * rng.standard_normal(4).astype(np.float32) for path in start} for _ in range(3)]
    config = OptimConfig(weight_decay=0.5, undecayed=(".*/bias",), max_gradient_norm=0.0, beta2=0.98)
    optimizer = make_optimizer(config, dict.fromkeys(start, "base"), lambda step: {"base": 0.1})
    parameters, state = start, optimizer.init(start)
    expected = {path: value.astype(np.float64) for path, value in start.items()}
    first, second = ({path: np.zeros(4) for path in start} for _ in range(2))
    for number, gradient in enumerate(gradients, 1):
        updates, state = optimizer.update(gradient, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
        for path, g in gradient.items():
            first[path] = 0.9 * first[path] + 0.1 * g
            second[path] = 0.98 * second[path] + 0.02 * g.astype(np.float64) ** 2
            moved = first[path] / (1 - 0.9**number) / (np.sqrt(second[path] / (1 - 0.98**number)) + 1e-8)
            expected[path] -= 0.1 * (moved + (0.5 * expected[path] if path == "a/kernel" else 0))
    for path, value in expected.items():
        np.testing.assert_allclose(parameters[path], value, rtol=1e-5)
