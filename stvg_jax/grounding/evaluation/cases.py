"""Which cases, and which of their frames, are worth looking at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stvg_jax.grounding.evaluation.records import Record


def choose_cases(records: Sequence[Record], count: int) -> dict[str, list[Record]]:
    """The `count` best, median and worst records, fewer where there are fewer than three times as many; none twice.

    By vIoU, then tIoU, then gt_vIoU; records alike in all come in the order of their ids. The best come from the best
    downwards, the worst from the worst upwards.
    """

    def goodness(record: Record) -> tuple:
        m = record.metrics
        return -m.viou, -m.tiou, -m.gt_viou, len(record.id), record.id

    ranked = sorted(records, key=goodness)
    if len(ranked) < 3:
        return {"best": ranked}
    count = min(count, len(ranked) // 3)
    middle = (len(ranked) - count) // 2
    return {"best": ranked[:count], "median": ranked[middle : middle + count], "worst": ranked[: -count - 1 : -1]}


def choose_frames(record: Record, count: int) -> list[int]:
    """Up to `count` sampled frames, evenly spread from where the first of both intervals starts to where the last ends.

    Sampled frames, because those are sure to be stored, and their boxes are the model's own.
    """
    sampled = record.prediction.frames
    first = min(record.true_interval[0], record.prediction.interval[0])
    end = max(record.true_interval[1], record.prediction.interval[1])
    wanted = first + (np.arange(count) + 0.5) / count * (end - first) - 0.5
    nearest = np.abs(sampled[:, None] - wanted).argmin(axis=0)
    return sampled[np.unique(nearest)].tolist()
