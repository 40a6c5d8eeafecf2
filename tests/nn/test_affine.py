import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.nn.affine import affine


def plain(x, kernel, bias):
    return x @ kernel if bias is None else x @ kernel + bias


def drawn(*shape):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 5, 3, 4)])
@pytest.mark.parametrize("bias", [drawn(6), None])
def test_value_and_gradients(shape, bias):
    x, kernel, weights = drawn(*shape), drawn(4, 6), drawn(*shape[:-1], 6)
    arguments = (x, kernel) if bias is None else (x, kernel, bias)

    def total(function):
        return lambda x, kernel, bias=None: (weights * jnp.sin(function(x, kernel, bias))).sum()

    np.testing.assert_allclose(affine(x, kernel, bias), plain(x, kernel, bias), atol=1e-5)
    positions = tuple(range(len(arguments)))
    ours, theirs = (jax.grad(total(f), positions)(*arguments) for f in (affine, plain))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)


def test_parameters_shared_by_mapped_rows():
    x, kernel, bias = drawn(7, 5, 4), drawn(4, 6), drawn(6)

    def total(function, kernel, bias):
        return jnp.sin(jax.vmap(lambda row: function(row, kernel, bias))(x)).sum()

    for mine, other in zip(
        jax.grad(total, (1, 2))(affine, kernel, bias), jax.grad(total, (1, 2))(plain, kernel, bias), strict=True
    ):
        np.testing.assert_allclose(mine, other, atol=1e-5)


def test_types_are_kept():
    x, kernel, bias = (jnp.asarray(value, jnp.bfloat16) for value in (drawn(3, 4), drawn(4, 6), drawn(6)))
    value, pull = jax.vjp(affine, x, kernel, bias)
    assert value.dtype == jnp.bfloat16
    assert [gradient.dtype for gradient in pull(value)] == [jnp.bfloat16] * 3
