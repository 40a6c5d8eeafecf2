"""A step of an evaluation that answers at once, from the brightness of the frames, for tests of what is around it."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np


def make_step(module, evaluator, mesh):
    """In place of `stvg_jax.eval.runner.make_step`; every sample has answers of its own."""

    def step(parameters, batch):
        light = np.asarray(batch["frames"], np.float32).mean((2, 3, 4)) / 255
        sides = [np.full_like(light, side) for side in (0.25, 0.5)]
        rows = {"boxes_cxcywh": np.stack([light, 1 - light, *sides], axis=-1)}
        rows |= {"start_end_logits": np.stack([np.cos(99 * light), np.sin(99 * light)], axis=-1)}
        rows |= {"actioness_logits": light, "sampling_score": 1 - light}
        return {name: jnp.asarray(value, jnp.float32) for name, value in rows.items()}

    return step
