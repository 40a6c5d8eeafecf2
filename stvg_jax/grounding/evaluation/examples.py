"""Pictures of the answers to a few samples, which do not depend on the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from stvg_jax.grounding.evaluation.page import Frames, choose_frames
from stvg_jax.grounding.evaluation.records import Record
from stvg_jax.grounding.evaluation.types import AnnotatedSample
from stvg_jax.grounding.inference.tube import Tube

_SHOWN = 8


def draw_examples(
    folder: Path,
    records: Sequence[Record],
    samples: Mapping[str, AnnotatedSample],
    frames: Frames,
    frame_rate: Callable[[str], float],
    count: int,
) -> None:
    """Writes FOLDER/01.png and so on: the sentence, frames with both boxes, both intervals, and the scores.

    Args:
        folder: made if missing.
        records: of all samples, in the order of the annotations, with scores.
        samples: sample id -> sample, for the true tubes.
        frames: as for `stvg_jax.grounding.evaluation.page.write_page`.
        frame_rate: video -> frames per second.
        count: number of pictures; fewer if there are fewer samples.
    """
    from stvg_jax.grounding.inference.draw import draw_picture

    folder.mkdir(parents=True, exist_ok=True)
    for number, index in enumerate(spread(len(records), count), 1):
        record = records[index]
        sample = samples[record.id]
        shown = choose_frames(record, _SHOWN)
        boxes = {sample.tube[0] + k: box for k, box in enumerate(sample.boxes_xyxy)}
        draw_picture(
            _tube(record, frame_rate(record.video)),
            dict(zip(shown, frames(record.video, shown), strict=True)),
            folder / f"{number:02d}.png",
            true_boxes_xyxy=boxes,
            true_interval=sample.tube,
        )


def spread(length: int, count: int) -> list[int]:
    """Up to `count` evenly spaced indices into a sequence of this length."""
    count = min(count, length)
    return [(2 * k + 1) * length // (2 * count) for k in range(count)]


def _tube(record: Record, fps: float) -> Tube:
    if record.scores is None:
        raise ValueError(f"the record of sample {record.id} has no scores")
    filled, (start, end) = record.prediction.filled(), record.prediction.interval
    sampled = record.prediction.frames
    return Tube(
        video=record.video,
        sentence=record.sentence,
        subject=record.subject,
        width=record.width,
        height=record.height,
        fps=fps,
        clip=(min(int(sampled[0]), record.true_interval[0]), max(int(sampled[-1]) + 1, record.true_interval[1])),
        start_frame=start,
        end_frame=end,
        start_sec=start / fps,
        end_sec=end / fps,
        box_frames=filled.frames,
        boxes_xyxy=np.asarray(filled.boxes_xyxy, np.float32),
        scores=record.scores,
    )
