"""The truth of the golden training cases, and the five-step case."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from stvg_jax.grounding.targets import GroundingTargets
from stvg_jax.grounding.types import GroundingBatch
from tests.released import GOLDENS


def targets(meta: dict[str, Any], boxes: np.ndarray) -> GroundingTargets:
    """Of the one video of a golden file, from its description and the boxes [n, 4] of the frames in its tube."""
    first, last = meta["actioness"]
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


def five_steps() -> tuple[GroundingBatch, GroundingTargets, dict[str, np.ndarray], dict[str, Any]]:
    """(inputs, targets, what the released system recorded, description) of five optimiser steps."""
    with np.load(GOLDENS / "tastvg_train_5steps_t8_64x96.npz") as file:
        golden = {key: file[key] for key in file.files}
    meta = json.loads(str(golden.pop("meta")))
    rng = np.random.default_rng(meta["seed"])
    ids = np.array(meta["input_ids"], np.int32)
    drawn = rng.integers(4, 50000, len(ids) - 2)
    assert (ids[1:-1] == drawn).all(), "the video is drawn after the token ids"
    video = rng.standard_normal((meta["T"], 3, meta["H"], meta["W"])).astype(np.float32)
    inputs = GroundingBatch(frames=video.transpose(0, 2, 3, 1)[None], text_ids=ids[None])
    return inputs, targets(meta, golden["target_boxes"]), golden, meta
