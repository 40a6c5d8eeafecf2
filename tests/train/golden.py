"""The truth of the golden training cases, and the five-step cases."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from stvg_jax.core.tree import unflatten
from stvg_jax.grounding.targets import GroundingTargets
from stvg_jax.grounding.task import GroundingTask
from stvg_jax.grounding.types import GroundingBatch
from stvg_jax.train.gradients import accumulate_gradients
from stvg_jax.train.optim import OptimConfig, split_frozen
from stvg_jax.train.state import start_average, update_average
from tests.released import GOLDENS


def targets(meta: dict[str, Any], boxes: np.ndarray) -> GroundingTargets:
    """Of the one video of a golden file, from its description and the boxes [n, 4] of the frames in its tube."""
    first, last = meta["inter_idx" if "inter_idx" in meta else "actioness"]
    in_tube = np.isin(np.arange(meta["T"]), np.arange(first, last + 1))
    boxes_cxcywh = np.zeros((meta["T"], 4), np.float32)
    boxes_cxcywh[in_tube] = boxes

    def multi_hot(labels: list[int], words: int) -> np.ndarray:
        return np.isin(np.arange(words), labels).astype(np.float32)[None]

    return GroundingTargets(
        in_tube=in_tube[None],
        boxes_cxcywh=boxes_cxcywh[None],
        appearance_labels=multi_hot(meta.get("attr_labels", []), 15),
        motion_labels=multi_hot(meta.get("verb_labels", []), 60),
    )


# Token ids of the five-step cases were drawn below this, and those of the other systems in all of the vocabulary.
_END_OF_IDS = {"tastvg": 50000, "cgstvg": 50000}


def five_steps(
    system: str = "tastvg",
) -> tuple[GroundingBatch, list[GroundingTargets], dict[str, np.ndarray], dict[str, Any]]:
    """(inputs, targets of each step, what the released system recorded, description) of five optimiser steps."""
    with np.load(GOLDENS / f"{system}_train_5steps_t8_64x96.npz") as file:
        golden = {key: file[key] for key in file.files}
    meta = json.loads(str(golden.pop("meta")))
    rng = np.random.default_rng(meta["seed"])
    ids = np.array(meta["input_ids"], np.int32)
    drawn = rng.integers(4, _END_OF_IDS.get(system, 50265), len(ids) - 2)
    assert (ids[1:-1] == drawn).all(), "the video is drawn after the token ids"
    video = rng.standard_normal((meta["T"], 3, meta["H"], meta["W"])).astype(np.float32)
    inputs = GroundingBatch(frames=video.transpose(0, 2, 3, 1)[None], text_ids=ids[None])
    boxes = np.broadcast_to(golden["target_boxes"], (meta["steps"], *golden["target_boxes"].shape[-2:]))
    return inputs, [targets(meta, now) for now in boxes], golden, meta


@dataclasses.dataclass(frozen=True)
class Taken:
    """A step that was taken.

    Attributes:
        parameters, average: path -> array, all of the model's, after it.
        loss, gradient_norm: before it.
        uses: use -> rows.
    """

    parameters: dict[str, jax.Array]
    average: dict[str, jax.Array]
    loss: float
    gradient_norm: float
    uses: dict[str, int]


def take_steps(
    task: GroundingTask,
    start: dict[str, np.ndarray],
    groups: dict[str, str],
    optimizer: optax.GradientTransformationExtraArgs,
    config: OptimConfig,
    batches: Iterable[tuple[GroundingBatch, GroundingTargets]],
) -> Iterator[Taken]:
    """Trains from parameters on one batch after the other. What a step gives is lost with the next."""
    trained, frozen = split_frozen(start, groups)

    def step(trained, average, state, frozen, batch):
        def loss(trained, batch):
            return task.loss(unflatten(frozen | trained), *batch)

        gradients, value, (_, uses) = accumulate_gradients(loss, trained, batch)
        used = {use: rows > 0 for use, rows in uses.items()}
        updates, state = optimizer.update(gradients, state, trained, used=used)
        trained = optax.apply_updates(trained, updates)
        average = update_average(average, trained, config.ema_decay)
        return trained, average, state, value, optax.tree.norm(gradients), uses

    # Optimising costs more than it saves in five steps.
    step = jax.jit(step, donate_argnums=(0, 1, 2), compiler_options={"xla_backend_optimization_level": 0})
    trained, frozen = jax.tree.map(jnp.asarray, (trained, frozen))
    average, state = start_average(trained), optimizer.init(trained)
    for batch in batches:
        trained, average, state, value, norm, uses = step(trained, average, state, frozen, batch)
        rows = {use: int(number) for use, number in uses.items()}
        yield Taken(frozen | trained, frozen | average, float(value), float(norm), rows)


def first_values(array, count: int) -> np.ndarray:
    """In the order of PyTorch's layout: a kernel [..., in, out] is a weight [out, in, ...] there."""
    array = np.asarray(array)
    array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
    return array.ravel()[:count]
