"""A project of the VGG Image Annotator 3, to look at an answer and correct it in a browser.

Opened with "Open a VIA project": the segment of the answer is on the timeline of the video, and a box every second.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stvg_jax.core.files import whole_file

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.tube import Tube

ENDING = "via.json"
# VIA's numbers of kinds.
_VIDEO, _FILE_URI, _HTTP_URI, _RECTANGLE, _TEXT = 4, 3, 2, 2, 1


def write(tube: Tube, path: Path) -> None:
    """Writes a project of one video, with times in seconds at the average rate for boxes.

    VIA draws a box at its own moment alone, so that boxes of all frames would bury the timeline; one is written for
    each second, and for the first and the last frame.
    """
    frames, boxes = tube.answer_boxes()
    place = _place(tube.video)
    every = max(1, round(tube.fps))
    chosen = sorted({*range(0, len(frames), every), len(frames) - 1})
    metadata: dict[str, Any] = {
        "1_segment": {"vid": "1", "flg": 0, "z": [tube.start_sec, tube.end_sec], "xy": [], "av": {"1": tube.sentence}}
    }
    for index in chosen:
        x1, y1, x2, y2 = (round(value, 2) for value in boxes[index].tolist())
        shape = [_RECTANGLE, x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)]
        at = round(tube.even_seconds(int(frames[index])), 6)
        metadata[f"1_box{index}"] = {"vid": "1", "flg": 0, "z": [at], "xy": shape, "av": {"2": tube.subject}}
    text = {"type": _TEXT, "desc": "", "options": {}, "default_option_id": ""}
    content = {
        "project": {
            "pid": "__VIA_PROJECT_ID__",
            "rev": "__VIA_PROJECT_REV_ID__",
            "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
            "pname": tube.sentence,
            "data_format_version": "3.1.1",
            "creator": "stvg_jax",
            "created": int(time.time() * 1000),
            "vid_list": ["1"],
        },
        "config": {
            "file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
            "ui": {
                "file_content_align": "center",
                "file_metadata_editor_visible": True,
                "spatial_metadata_editor_visible": True,
                "temporal_segment_metadata_editor_visible": True,
                "spatial_region_label_attribute_id": "",
                "gtimeline_visible_row_count": "4",
            },
        },
        "attribute": {
            "1": {"aname": "TEMPORAL-SEGMENTS", "anchor_id": "FILE1_Z2_XY0", **text},
            "2": {"aname": "target", "anchor_id": "FILE1_Z1_XY1", **text},
        },
        "file": {
            "1": {
                "fid": "1",
                "fname": Path(tube.video).name,
                "type": _VIDEO,
                **place,
            }
        },
        "metadata": metadata,
        "view": {"1": {"fid_list": ["1"]}},
    }
    with whole_file(path) as file:
        json.dump(content, file)
        file.write("\n")


def _place(video: str) -> dict[str, Any]:
    """Place of the video for VIA: its address, or its path on this machine."""
    from stvg_jax.data_pipeline.video.addresses import is_address

    if is_address(video):
        return {"loc": _HTTP_URI, "src": video}
    return {"loc": _FILE_URI, "src": Path(video).absolute().as_uri()}
