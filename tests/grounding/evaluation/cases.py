"""Samples, predictions and pictures made up for tests of evaluation."""

from __future__ import annotations

import numpy as np

from stvg_jax.data_pipeline.annotations.records import Sample
from stvg_jax.grounding.evaluation.records import Record
from stvg_jax.grounding.evaluation.types import Prediction
from stvg_jax.grounding.inference.tube import FrameScores

WIDTH, HEIGHT = 320, 180


def make_sample(id="0", tube=(10, 20), box=(100, 50, 140, 110), kind="declarative", **fields) -> Sample:
    """A still box over `tube`; `box` may be one per frame."""
    boxes = np.array(np.broadcast_to(np.array(box, np.float64), (tube[1] - tube[0], 4)))
    texts = {"sentence": "the man in blue stands up", "subject": "the man in blue", "category": "person"}
    return Sample(
        **{"id": id, "video": f"videos/{id}.mp4", **texts, "kind": kind, "width": WIDTH, "height": HEIGHT,
           "clip": (0, 60), "tube": tube, "boxes_xyxy": boxes} | fields
    )  # fmt: skip


def make_prediction(interval=(10, 20), box=(100, 50, 140, 110), frames=range(60)) -> Prediction:
    """A still box over `frames`; `box` may be one per frame."""
    frames = np.array(frames, np.int64)
    boxes = np.array(np.broadcast_to(np.array(box, np.float32), (len(frames), 4)))
    return Prediction(interval, frames, boxes)


def make_scores(frames: np.ndarray, interval: tuple[int, int], seed: int = 0) -> FrameScores:
    """High within the interval."""
    rng = np.random.default_rng(seed)
    n = len(frames)
    inside = (frames >= interval[0]) & (frames < interval[1])
    actioness = np.clip(0.1 + 0.8 * inside + rng.normal(0, 0.05, n), 0, 1)
    rest = {"sampling": np.clip(actioness + rng.normal(0, 0.2, n), 0, 1), "actioness": actioness}
    rest |= {"start": rng.dirichlet(np.ones(n)), "end": rng.dirichlet(np.ones(n))}
    return FrameScores(frames, **{k: v.astype(np.float32) for k, v in rest.items()}, passes=np.arange(n) % 2)


def make_set(count: int, seed: int = 0, **fields) -> tuple[dict[str, Sample], list[Record]]:
    """Samples, and answers to them from perfect (the first) to hopeless (the last)."""
    rng = np.random.default_rng(seed)
    samples, records = {}, []
    for k in range(count):
        first = int(rng.integers(5, 25))
        tube = (first, first + int(rng.integers(4, 30)))
        x, y = rng.uniform(20, 150), rng.uniform(10, 60)
        steps = np.arange(tube[1] - tube[0])[:, None] * [1.5, 0.3, 1.5, 0.3]
        sample = make_sample(
            str(k), tube, np.array([x, y, x + 60, y + 90]) + steps,
            kind=("declarative", "interrogative")[k % 2], **fields,
        )  # fmt: skip
        error = k / max(count - 1, 1)
        frames = np.arange(0, 60, 3)
        near = np.clip(frames - first, 0, len(steps) - 1)
        boxes = sample.boxes_xyxy[near] + error * np.array([70, 40, 70, 40]) * rng.choice([-1, 1])
        shift = round(error * 20)
        interval = (max(first - shift, 0), max(tube[1] - shift, 1))
        prediction = Prediction(interval, frames, boxes.astype(np.float32))
        samples[sample.id] = sample
        records.append(Record.of(sample, prediction, make_scores(frames, interval, k)))
    return samples, records


def make_frames(video: str, ids: list[int], height: int = 90, width: int = 160) -> np.ndarray:
    """uint8 [n, height, width, 3], smooth, another tint for each frame; smaller than the annotation's pictures."""
    y, x = np.mgrid[:height, :width]
    pictures = [np.stack([x * 255 // width, y * 255 // height, np.full_like(x, 4 * i % 256)], -1) for i in ids]
    return np.array(pictures, np.uint8)
