from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from stvg_jax.backbones.resnet import ConvNorm, ResNet, ResNetConfig
from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule, initialize


def test_padded_images_equal_themselves_alone():
    module = PureModule(ResNet(ResNetConfig(blocks=(2, 1, 2, 1), width=8)))
    parameters = initialize(unflatten(module.declarations), seed=0)
    run = jax.jit(lambda images, sizes=None: module.apply(parameters, lambda m: m(images, sizes)))
    rng = np.random.default_rng(0)
    sizes = [(32, 32), (33, 95), (64, 31), (97, 100), (1, 128)]
    images = [rng.standard_normal((h, w, 3)).astype(np.float32) for h, w in sizes]
    bucket = 5 * rng.standard_normal((len(sizes), 100, 130, 3)).astype(np.float32)
    for i, image in enumerate(images):
        bucket[i, : image.shape[0], : image.shape[1]] = image
    together = np.asarray(run(bucket, np.array(sizes)))
    for i, image in enumerate(images):
        alone = np.asarray(run(image[None]))[0]
        h, w, _ = alone.shape
        np.testing.assert_allclose(together[i, :h, :w], alone, atol=1e-6 * np.abs(alone).max())


def test_batch_norm_is_applied_and_frozen_statistics_are_not_parameters():
    from flax import nnx

    layer = ConvNorm(4, 6, 3, dtype=jnp.float32)
    module = PureModule(layer)
    rng = np.random.default_rng(0)
    p = {path: rng.uniform(0.5, 1.5, d.shape).astype(np.float32) for path, d in module.declarations.items()}
    x = rng.standard_normal((2, 5, 7, 4)).astype(np.float32)
    plain = p | {"scale": np.ones(6, np.float32), "bias": np.zeros(6, np.float32), "mean": np.zeros(6, np.float32)}
    plain["var"] = np.full(6, 1 - ConvNorm.EPSILON, np.float32)
    convolved = np.asarray(module.apply(plain, lambda m: m(x)))
    expected = (convolved - p["mean"]) / np.sqrt(p["var"] + 1e-5) * p["scale"] + p["bias"]
    np.testing.assert_allclose(module.apply(p, lambda m: m(x)), expected, rtol=1e-4, atol=1e-4)
    assert set(nnx.state(layer, nnx.Param)) == {"kernel"}
