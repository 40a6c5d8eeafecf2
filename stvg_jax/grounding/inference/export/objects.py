"""An answer as an object of other libraries, which are imported when they are asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.grounding.inference.export.csv import COLUMNS, rows

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.tube import Tube


def to_pandas(tube: Tube) -> Any:
    """`Tube.to_pandas`."""
    pandas = _import("pandas")
    table = pandas.DataFrame(list(rows(tube.box_frames, tube.boxes_xyxy, tube)), columns=list(COLUMNS))
    table["in_interval"] = (tube.box_frames >= tube.start_frame) & (tube.box_frames < tube.end_frame)
    table.attrs |= {"video": tube.video, "sentence": tube.sentence, "subject": tube.subject}
    if tube.confidence is not None:
        table.attrs["confidence"] = tube.confidence
    return table


def to_supervision(tube: Tube) -> dict[int, Any]:
    """`Tube.to_supervision`."""
    supervision = _import("supervision")
    return {
        frame: supervision.Detections(
            xyxy=box[None],
            class_id=np.zeros(1, int),
            tracker_id=np.ones(1, int),
            data={"class_name": np.array([tube.subject])},
        )
        for frame, box in zip(tube.answer_boxes()[0].tolist(), tube.answer_boxes()[1], strict=True)
    }


def to_fiftyone(tube: Tube) -> Any:
    """`Tube.to_fiftyone`."""
    fiftyone = _import("fiftyone")
    sample = fiftyone.Sample(filepath=tube.video)
    # Frames are counted from 1 there, and the last one is included.
    moment = fiftyone.TemporalDetection(label=tube.sentence, support=[tube.start_frame + 1, tube.end_frame])
    sample["moment"] = fiftyone.TemporalDetections(detections=[moment])
    size = np.array([tube.width, tube.height] * 2)
    for frame, box in zip(tube.answer_boxes()[0].tolist(), tube.answer_boxes()[1] / size, strict=True):
        x1, y1, x2, y2 = box.tolist()
        target = fiftyone.Detection(label=tube.subject, bounding_box=[x1, y1, x2 - x1, y2 - y1], index=1)
        sample.frames[frame + 1] = fiftyone.Frame(target=fiftyone.Detections(detections=[target]))
    return sample


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"this needs the package {name}, which is not installed; add it with pip") from error
