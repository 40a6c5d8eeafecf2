"""Lists of videos with captions, the annotations of video-text retrieval (LAVIS: `datasets/retrieval_datasets.py`)."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from stvg_jax.core.characters import shown
from stvg_jax.data_pipeline.annotations.collecting import Collector
from stvg_jax.data_pipeline.annotations.fields import Fields
from stvg_jax.data_pipeline.annotations.files import JsonFile, choose_file
from stvg_jax.data_pipeline.annotations.records import Annotations, Caption
from stvg_jax.data_pipeline.datasets.dataset import Benchmark, Dataset, PublishedResult
from stvg_jax.data_pipeline.language.captions import caption_text

# Measures of one direction: percentages of queries whose answer is among the first, and the median of their ranks.
RETRIEVAL_MEASURES = ("R@1", "R@5", "R@10", "MedR")
TEXT_TO_VIDEO = "text to video"

ALPRO_README = "https://github.com/salesforce/ALPRO, README (logs of its own code)"
# The repository lists no numbers, and nobody has read the tables of the paper for this list yet.
STGT = PublishedResult("STGT", "2024", {TEXT_TO_VIDEO: (None,) * 4}, "arXiv 2407.11677; its figures are not given here")


def caption_dataset(
    name: str,
    title: str,
    layouts: tuple[str, ...],
    video_folders: tuple[str, ...],
    benchmarks: Mapping[str, Benchmark],
) -> Dataset:
    """The record of a dataset whose splits are such lists; arguments as in `Dataset`."""
    return Dataset(
        name=name,
        title=title,
        layouts=layouts,
        read=functools.partial(read_caption_list, name, layouts),
        video_folders=video_folders,
        # Training may take any frame.
        stored_frames="all",
        benchmarks=benchmarks,
    )


def retrieval_benchmark(title: str, captions: int, *results: PublishedResult) -> Benchmark:
    """A test set with figures of text-to-video retrieval."""
    return Benchmark(title, {TEXT_TO_VIDEO: captions}, (*results, STGT), RETRIEVAL_MEASURES)


def read_caption_list(
    dataset: str,
    layouts: tuple[str, ...],
    path: Path,
    split: str,
    *,
    videos: Path | None = None,
    on_problem: str = "raise",
) -> Annotations[Caption]:
    """Reads a list of entries with `video`, a path within the folder of videos, and `caption`; other keys are ignored.

    An entry with a list of texts is a video of its own, even if another entry names the same file, as in the release.
    Entries with single texts belong together if they name the same file; the release reads such files for training
    only, and takes their texts apart into characters in an evaluation.

    Captions stay as they are written. One without any word, and an entry without captions, is a problem.
    """
    file = choose_file(path, split, layouts)
    collector = Collector(dataset, split, videos=videos, on_problem=on_problem)
    entries, texts = 0, 0
    # Videos of single texts.
    known: dict[str, int] = {}
    for number, value, duplicates in JsonFile(file, holds="list").entries():
        fields = Fields(str(file), f"entry {number}", value, duplicates)
        video, captions = fields.text("video"), fields.text_or_texts("caption")
        if captions == ():
            fields.report("no caption", "caption is an empty list")
        for caption in captions or ():
            if not caption_text(caption):
                fields.report("empty caption", f"caption is {shown(caption)}, which has no word")
        if video is None or not captions:
            collector.add(fields.entry, fields, None)
            continue
        entry = known.setdefault(video, entries) if isinstance(value["caption"], str) else entries
        if entry == entries:
            entries += 1
        for caption in captions:
            collector.add(str(texts), fields, Caption(id=str(texts), video=video, sentence=caption, entry=entry))
            texts += 1
    return collector.finish(f"the annotations in {file}")
