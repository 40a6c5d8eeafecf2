"""The arrays of a batch besides its pictures, from the plans of its rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stvg_jax.data_pipeline.annotations.records import Sample
from stvg_jax.data_pipeline.loading.batch import TEXT_PAD
from stvg_jax.data_pipeline.loading.config import LoaderConfig
from stvg_jax.data_pipeline.loading.plan import RowPlan, tube_boxes


def describe_rows(plans: Sequence[RowPlan], frames: int) -> dict[str, np.ndarray]:
    """`frames_valid`, `frame_ids`, `sizes` and `sample` of a `Batch` with this many frames in a row."""
    lengths = np.array([len(plan.frame_ids) for plan in plans])
    ids = np.zeros((len(plans), frames), np.int32)
    for row, plan in enumerate(plans):
        ids[row, : lengths[row]] = plan.frame_ids
    return {
        "frames_valid": np.arange(frames) < lengths[:, None],
        "frame_ids": ids,
        "sizes": np.array([plan.view.size for plan in plans], np.int32),
        "sample": np.array([plan.sample for plan in plans], np.int32),
    }


def pad_texts(texts: Sequence[np.ndarray], length: int) -> dict[str, np.ndarray]:
    """`text_ids` and `text_valid` of a `Batch`, padded to `length`."""
    ids, valid = np.full((len(texts), length), TEXT_PAD, np.int32), np.zeros((len(texts), length), bool)
    for row, text in enumerate(texts):
        ids[row, : len(text)], valid[row, : len(text)] = text, True
    return {"text_ids": ids, "text_valid": valid}


def targets(
    plans: Sequence[RowPlan], samples: Sequence[Sample], frames: int, config: LoaderConfig
) -> dict[str, np.ndarray]:
    """`in_tube`, `boxes_cxcywh` and the labels of a `Batch`, of which `samples` are the loader's."""
    in_tube = np.zeros((len(plans), frames), bool)
    boxes = np.zeros((len(plans), frames, 4), np.float32)
    for row, plan in enumerate(plans):
        inside, stored = tube_boxes(samples[plan.sample], plan.frame_ids)
        in_tube[row, : len(inside)] = inside
        boxes[row, : len(inside)][inside] = _cxcywh(plan.view.show(stored))
    chosen = [samples[plan.sample] for plan in plans]
    return {
        "in_tube": in_tube,
        "boxes_cxcywh": boxes,
        "appearance_labels": _multi_hot([s.appearance_labels for s in chosen], config.appearance_words),
        "motion_labels": _multi_hot([s.motion_labels for s in chosen], config.motion_words),
    }


def _cxcywh(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def _multi_hot(labels: Sequence[tuple[int, ...] | None], words: int) -> np.ndarray:
    """float32 [b, words]; a model without attributes has no words."""
    hot = np.zeros((len(labels), words), np.float32)
    if words:
        for row, chosen in enumerate(labels):
            hot[row, list(chosen)] = 1
    return hot
