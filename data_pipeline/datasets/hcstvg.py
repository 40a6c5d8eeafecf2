"""HC-STVG, versions 1 and 2 (rules: TA-STVG, `datasets/hcstvg.py`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stvg_jax.data_pipeline.annotations.collecting import Collector, subject_of
from stvg_jax.data_pipeline.annotations.fields import Fields, check_boxes, check_tube
from stvg_jax.data_pipeline.annotations.files import JsonFile, choose_file
from stvg_jax.data_pipeline.annotations.records import Annotations, Sample
from stvg_jax.data_pipeline.datasets.dataset import Benchmark, Dataset, PublishedResult

# Paths of a split in the releases of TA-STVG, of CG-STVG and of the dataset itself.
LAYOUTS = (
    "annos/{split}.json",
    "annos/hcstvg_v1/{split}.json",
    "annos/hcstvg_v2/{split}.json",
    "anno_v2/{split}v2.json",
    "anno_v2/{split}_v2.json",
    "{split}.json",
    "{split}v2.json",
    "{split}_v2.json",
)

# The released systems leave these videos out.
_LEFT_OUT = {"10__Gvp-cj3bmIY.mp4", "1_aMYcLyh9OhU.mkv"}


def read_hcstvg(path: Path, split: str, *, videos: Path | None = None, on_problem: str = "raise") -> Annotations:
    """Reads a dataset folder or an annotation file of HC-STVG.

    The file is an object: video file name -> `bbox` (x, y, width, height per frame), `st_frame` (of the first box,
    counted from 1), `caption`, `width`, `height`, `img_num` (frames of the video), and in the releases of TA-STVG
    `sub`, `adj_index_list` and `verb_index_list`. The dataset's authors write `English` for `caption` and `img_size`
    (height, width) in version 2.
    """
    file = choose_file(path, split, LAYOUTS)
    collector = Collector("hcstvg", split, videos=videos, on_problem=on_problem)
    positions: dict[str, int] = {}
    for video, value, duplicates in JsonFile(file, holds="object").entries():
        fields = Fields(str(file), video, value, duplicates)
        id = str(positions.setdefault(video, len(positions)))
        if video in _LEFT_OUT:
            collector.exclude(id, fields, "the released systems leave this video out")
        else:
            collector.add(id, fields, _sample(id, fields))
    return collector.finish(f"the annotations in {file}")


def _sample(id: str, fields: Fields) -> Sample | None:
    caption = fields.sentence("English" if "caption" not in fields and "English" in fields else "caption")
    subject = fields.optional_text("sub")
    width, height = _size(fields)
    frames = fields.integer("img_num", least=1)
    first = fields.integer("st_frame")
    boxes_xywh = None
    if rows := fields.items("bbox"):
        boxes_xywh = fields.boxes(rows, (first or 1) - 1)
    elif rows is not None:
        fields.report("tube without boxes", "bbox is empty")
    appearance, motion = fields.indices("adj_index_list"), fields.indices("verb_index_list")
    if fields.spoiled or caption is None or width is None or height is None:
        return None
    if frames is None or first is None or boxes_xywh is None:
        return None
    tube = (first - 1, first - 1 + len(boxes_xywh))
    if not check_tube(fields, tube, (0, frames)):
        return None
    if tube[0] == frames - 1:
        return fields.report("tube never sampled", f"it is only frame {tube[0]}, the last one, which is never sampled")
    boxes_xyxy = boxes_xywh + np.concatenate([np.zeros_like(boxes_xywh[:, :2]), boxes_xywh[:, :2]], axis=1)
    if not check_boxes(fields, boxes_xyxy, width, height, tube[0]):
        return None
    return Sample(
        id=id,
        video=fields.entry,
        sentence=caption,
        subject=subject_of(subject, caption),
        kind="declarative",
        category="person",
        width=width,
        height=height,
        clip=(0, frames),
        tube=tube,
        boxes_xyxy=np.minimum(boxes_xyxy, [np.inf, np.inf, width, height]),
        appearance_labels=appearance,
        motion_labels=motion,
    )


def _size(fields: Fields) -> tuple[int | None, int | None]:
    if "width" in fields or "img_size" not in fields:
        return fields.integer("width", least=1), fields.integer("height", least=1)
    height, width = fields.pair("img_size") or (None, None)
    return width, height


_CG_README = "https://github.com/HengLan/CGSTVG, README"
_TA_README = "https://github.com/HengLan/TA-STVG, README"


def _result(method: str, venue: str, source: str, *percent: float | None, own_measures: str = "") -> PublishedResult:
    return PublishedResult(method, venue, {"declarative": percent}, source, own_measures)


DATASET = Dataset(
    name="hcstvg",
    title="HC-STVG, versions 1 and 2",
    layouts=LAYOUTS,
    read=read_hcstvg,
    video_folders=("v1_video", "v2_video", "video", "videos"),
    rules="hcstvg",
    # Training takes every other frame that evaluation takes (3.2 of 6.4 per second), and a temporal crop takes a part
    # of these (TA-STVG, datasets/data_utils.py).
    stored_frames="sampled",
    benchmarks={
        "hcstvg1": Benchmark(
            "HC-STVG v1, test",
            {"declarative": 1160},
            (
                _result("TubeDETR", "CVPR 2022", _CG_README, 43.7, 32.4, 49.8, 23.5, own_measures="sampled_frames"),
                _result("STCAT", "NeurIPS 2022", _CG_README, 49.4, 35.1, 57.7, 30.1),
                _result("CSDVL", "CVPR 2023", _CG_README, None, 36.9, 62.2, 34.8),
                _result("CG-STVG", "CVPR 2024", _CG_README, 52.8, 38.4, 61.5, 36.3),
                _result("TA-STVG", "ICLR 2025", _TA_README, 53.0, 39.1, 63.1, 36.8),
            ),
        ),
        "hcstvg2": Benchmark(
            "HC-STVG v2, validation (its test annotations are not public)",
            {"declarative": 2000},
            (
                _result("TubeDETR", "CVPR 2022", _CG_README, None, 36.4, 58.8, 30.6, own_measures="sampled_frames"),
                _result("CSDVL", "CVPR 2023", _CG_README, 58.1, 38.7, 65.5, 33.8),
                _result("CG-STVG", "CVPR 2024", _CG_README, 60.0, 39.5, 64.5, 36.3),
                _result("TA-STVG", "ICLR 2025", _TA_README, 60.4, 40.2, 65.8, 36.7),
            ),
        ),
    },
)
