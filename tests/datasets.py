"""Small datasets in the folder layouts of the releases, with generated videos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.cli import main
from tests.videos import write_video

SIZES = ((96, 64), (64, 80), (120, 64))
SENTENCES = (
    "The man in the red coat walks to the left.",
    "A woman with a white hat turns around.",
    "The boy runs after the dog, then stops.",
    "The tall man gives the cup to the woman.",
    "The girl sits down on the right chair.",
)


def box_at(number: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """x, y, width, height of a box that moves with the frame number and stays within a picture of (width, height)."""
    width, height = size
    return number % (width // 2), number % (height // 2), width // 3, height // 3


def write_hcstvg(folder: Path, count: int = 5, frames: int = 40, split: str = "test", sizes=SIZES) -> Path:
    """HC-STVG's layout as TA-STVG expects it: `annos/<split>.json` and `v1_video/`. Video i has `frames` + i frames."""
    videos = folder / "v1_video"
    videos.mkdir(parents=True, exist_ok=True)
    (folder / "annos").mkdir(exist_ok=True)
    entries: dict[str, Any] = {}
    for i in range(count):
        size, length, name = sizes[i % len(sizes)], frames + i, f"{i}_{split}.mp4"
        write_video(videos / name, length, size)
        first, number = 5 + 2 * i, 12 + i
        entries[name] = {
            "bbox": [list(box_at(first + k, size)) for k in range(number)],
            "st_frame": first + 1,
            "st_time": first / 10,
            "ed_time": (first + number) / 10,
            "caption": SENTENCES[i % len(SENTENCES)],
            "width": size[0],
            "height": size[1],
            "img_num": length,
            "sub": "the man",
            "verb_index_list": [i],
            "adj_index_list": [i % 3],
        }
    (folder / "annos" / f"{split}.json").write_text(json.dumps(entries))
    return folder


def write_stored_hcstvg(folder: Path, *options: object, sizes=SIZES[:1]) -> Path:
    """Four videos each for training and test in `data`, and their frames, stored with these options, in `frames`."""
    for split in ("train", "test"):
        write_hcstvg(folder / "data", 4, frames=24, sizes=sizes, split=split)
    arguments = ["--dataset", "hcstvg", "--annotations", folder / "data", "--split", "train", "test", *options]
    assert main(["prepare", "frames", *map(str, arguments), "--out", str(folder / "frames")]) == 0
    return folder


def overrides(folder: Path) -> list[str]:
    """Options of a command that make a configuration read what `write_stored_hcstvg` has written."""
    return [f"--config.data.annotations={folder / 'data'}", f"--config.data.frames={folder / 'frames'}"]


def write_vidstg(folder: Path, count: int = 3, frames: int = 40, split: str = "test") -> Path:
    """VidSTG's raw layout: `sent_annos/`, `bbox_annos/` and `videos/`; a caption and a question for each video."""
    for name in ("videos", "sent_annos", "bbox_annos"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    entries = []
    for i in range(count):
        size, name = SIZES[i % len(SIZES)], f"{1000 + i}"
        write_video(folder / "videos" / f"{name}.mp4", frames, size)
        segment, tube = (2, frames - 3), (6 + i, 20 + i)
        trajectories = []
        for number in range(frames):
            x, y, w, h = box_at(number, size)
            box = {"xmin": x, "ymin": y, "xmax": x + w, "ymax": y + h}
            trajectories.append([{"tid": 0, "bbox": box, "generated": 0, "tracker": "none"}])
        entries.append(
            {
                "vid": name,
                "fps": 10.0,
                "frame_count": frames,
                "used_segment": {"begin_fid": segment[0], "end_fid": segment[1]},
                "width": size[0],
                "height": size[1],
                "subject/objects": [{"tid": 0, "category": "dog"}],
                "used_relation": {},
                "temporal_gt": {"begin_fid": tube[0], "end_fid": tube[1]},
                "captions": [{"description": f"a brown dog runs to the left {i}.", "type": "subject", "target_id": 0}],
                "questions": [{"description": "what runs to the left?", "type": "subject", "target_id": 0}],
            }
        )
        content = {"video_id": name, "trajectories": trajectories}
        (folder / "bbox_annos" / f"{name}.json").write_text(json.dumps(content))
    (folder / "sent_annos" / f"{split}_annotations.json").write_text(json.dumps(entries))
    return folder


def boxes_xyxy(first: int, number: int, size: tuple[int, int]) -> np.ndarray:
    """float64 [number, 4], the boxes of `box_at` as corners."""
    boxes = np.array([box_at(first + k, size) for k in range(number)], np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
