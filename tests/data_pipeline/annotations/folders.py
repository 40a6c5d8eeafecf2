"""Small dataset folders in the layouts of the releases, written on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 160, 120


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def hcstvg_entry(**changes: Any) -> dict[str, Any]:
    """Boxes of frames 3, 4 and 5 of 20; a value of None leaves the key out."""
    entry = {
        "bbox": [[10, 20, 30, 40], [11, 21, 30, 40], [12, 22, 30, 40]],
        "st_frame": 4,
        "st_time": 0.1,
        "ed_time": 0.2,
        "img_num": 20,
        "caption": "The man in Red sits down.",
        "width": WIDTH,
        "height": HEIGHT,
    }
    return {key: value for key, value in (entry | changes).items() if value is not None}


def vidstg_entry(**changes: Any) -> dict[str, Any]:
    """A caption and a question about object 1 in frames 10 to 14 of segment 5 to 29."""
    entry = {
        "vid": "100",
        "fps": 30.0,
        "frame_count": 40,
        "used_segment": {"begin_fid": 5, "end_fid": 29},
        "width": WIDTH,
        "height": HEIGHT,
        "subject/objects": [{"tid": 0, "category": "dog"}, {"tid": 1, "category": "adult"}],
        "temporal_gt": {"begin_fid": 10, "end_fid": 14},
        "captions": [{"description": "There is a Man, in smll t-shirt 2.", "type": "person", "target_id": 1}],
        "questions": [{"description": "who holds the dog?", "type": "person", "target_id": 1}],
    }
    return entry | changes


def vidor_box(frame: int) -> dict[str, int]:
    return {"xmin": frame, "ymin": 10, "xmax": frame + 50, "ymax": 60}


def trajectories(frame_count: int = 40, missing: tuple[int, ...] = ()) -> dict[str, Any]:
    """Objects 0 and 1 in every frame, object 1 not in the `missing` ones."""
    frames = []
    for frame in range(frame_count):
        things = [{"tid": 0, "bbox": {"xmin": 0, "ymin": 0, "xmax": 5, "ymax": 5}}]
        if frame not in missing:
            things.append({"tid": 1, "bbox": vidor_box(frame), "generated": 0, "tracker": "none"})
        frames.append(things)
    return {"video_id": "100", "frame_count": frame_count, "trajectories": frames}


def write_vidstg(folder: Path, entries: list[dict[str, Any]], missing: tuple[int, ...] = ()) -> Path:
    """A sentence file of the split "test", with the trajectories of video 100."""
    write_json(folder / "sent_annos" / "test_annotations.json", entries)
    write_json(folder / "bbox_annos" / "100.json", trajectories(missing=missing))
    return folder


def merged_pair(id: int, **changes: Any) -> dict[str, Any]:
    """The caption of `vidstg_entry` as the released systems write it."""
    entry = vidstg_entry()
    pair = {key: entry[key] for key in ("vid", "fps", "used_segment", "width", "height")}
    pair |= {
        "id": id,
        "frame_count": 25,
        "ori_temp_gt": {"begin_fid": 10, "end_fid": 14},
        "temp_gt": {"begin_fid": 5, "end_fid": 9},
        "qtype": "declar",
        "sentence": entry["captions"][0],
        "target_category": "adult",
        "target_bboxs": [vidor_box(frame) for frame in range(10, 15)],
    }
    return pair | changes


def generic_file(*samples: dict[str, Any], **changes: Any) -> dict[str, Any]:
    content = {
        "format": "stvg_jax.annotations/1",
        "videos": {"a.mp4": {"width": WIDTH, "height": HEIGHT, "frame_count": 20}},
        "samples": list(samples) or [generic_sample()],
    }
    return content | changes


def generic_sample(**changes: Any) -> dict[str, Any]:
    sample = {
        "id": "one",
        "video": "a.mp4",
        "sentence": "The man in red sits down.",
        "tube": [3, 5],
        "boxes": [[10, 20, 40, 60], [11, 21, 41, 61]],
    }
    return sample | changes
