"""A dataset that the project does not know: a table of sentences, each with one box for its whole event."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.data_pipeline.annotations import Annotations, Sample, VideoText
from stvg_jax.data_pipeline.annotations.collecting import Collector, subject_of
from stvg_jax.data_pipeline.annotations.fields import Fields, check_boxes, check_tube
from stvg_jax.data_pipeline.annotations.files import choose_file
from stvg_jax.data_pipeline.datasets.dataset import Benchmark, Dataset, PublishedResult

LAYOUTS = ("tables/{split}.csv",)


def rows_of(path: Path, split: str) -> tuple[Path, list[dict[str, Any]]]:
    file = choose_file(path, split, LAYOUTS)
    with file.open(encoding="utf-8", newline="") as lines:
        return file, list(csv.DictReader(lines))


def read_toy(path: Path, split: str, *, videos: Path | None, on_problem: str) -> Annotations:
    file, rows = rows_of(path, split)
    collector = Collector("toy", split, videos=videos, on_problem=on_problem)
    for number, row in enumerate(rows):
        words = ("video", "sentence")
        fields = Fields(str(file), f"row {number}", row | {k: int(v) for k, v in row.items() if k not in words})
        collector.add(str(number), fields, _sample(str(number), fields))
    return collector.finish(f"the annotations in {file}")


def _sample(id: str, fields: Fields) -> Sample | None:
    video, sentence = fields.text("video"), fields.sentence("sentence")
    names = ("width", "height", "frames", "first", "end", "x1", "y1", "x2", "y2")
    numbers = [fields.integer(name, least=0) for name in names]
    if fields.spoiled:
        return None
    width, height, frames, first, end, *box = numbers
    boxes = np.tile(np.array(box, float), (end - first, 1))
    if not check_tube(fields, (first, end), (0, frames)) or not check_boxes(fields, boxes, width, height, first):
        return None
    return Sample(
        id=id,
        video=video,
        sentence=sentence,
        clip=(0, frames),
        subject=subject_of(None, sentence),
        kind="declarative",
        category="",
        width=width,
        height=height,
        tube=(first, end),
        boxes_xyxy=boxes,
    )


def read_captions(path: Path, split: str, *, videos: Path | None, on_problem: str) -> Annotations:
    """The same table for retrieval: of each row the video and the sentence alone."""
    file, rows = rows_of(path, split)
    collector = Collector("captions", split, videos=videos, on_problem=on_problem)
    for number, row in enumerate(rows):
        fields = Fields(str(file), f"row {number}", row)
        video, sentence = fields.text("video"), fields.sentence("sentence")
        sample = None if fields.spoiled else VideoText(id=str(number), video=video, sentence=sentence)
        collector.add(str(number), fields, sample)
    return collector.finish(f"the annotations in {file}")


def read_sentences(path: Path, split: str) -> Mapping[str, str]:
    return {str(number): row["sentence"] for number, row in enumerate(rows_of(path, split)[1])}


DATASET = Dataset(
    name="toy",
    title="a toy",
    layouts=LAYOUTS,
    read=read_toy,
    video_folders=("clips",),
    rules="vidstg",
    stored_frames="sampled",
    label_words=(2, 1),
    read_sentences=read_sentences,
    scored_by_kind=True,
    benchmarks={
        "toy": Benchmark(
            "Toy, test",
            {"declarative": 3},
            (PublishedResult("Guess", "2026", {"declarative": (10.0, 7.5, None, 2.5)}, "made up"),),
        )
    },
)
