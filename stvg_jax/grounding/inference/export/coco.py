"""COCO's annotations of instances, with videos and tracks as in CocoVID: an image for each frame of the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stvg_jax.core.files import whole_file

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.tube import Tube

ENDING = "coco.json"


def write(tube: Tube, path: Path) -> None:
    """Writes the answer; `file_name` of an image is that of its frame, counted from 0, if all frames are stored."""
    frames, boxes = tube.answer_boxes()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (frame, (x1, y1, x2, y2)) in enumerate(zip(frames.tolist(), boxes.tolist(), strict=True), 1):
        size = {"width": tube.width, "height": tube.height}
        images.append({"id": number, "file_name": f"{frame:06d}.jpg", "frame_id": frame, "video_id": 1, **size})
        box = [round(value, 3) for value in (x1, y1, x2 - x1, y2 - y1)]
        annotations.append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "bbox": box,
                "area": round(box[2] * box[3], 3),
                "iscrowd": 0,
                "segmentation": [],
                "instance_id": 1,
                "caption": tube.sentence,
            }
        )
    content = {
        "info": {"description": tube.sentence},
        "licenses": [],
        "videos": [{"id": 1, "name": tube.video, "width": tube.width, "height": tube.height, "fps": tube.fps}],
        "categories": [{"id": 1, "name": tube.subject or "target"}],
        "images": images,
        "annotations": annotations,
    }
    with whole_file(path) as file:
        json.dump(content, file, indent=1)
        file.write("\n")
