"""`read_annotations`: one way in for every dataset and format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stvg_jax.data_pipeline.annotations import Annotations
from stvg_jax.data_pipeline.annotations.labels import merge_labels, read_labels
from stvg_jax.data_pipeline.datasets.registry import get_dataset


def read_annotations(
    dataset: str,
    path: Path | str,
    *,
    split: str,
    videos: Path | str | None = None,
    labels: Path | str | None = None,
    on_problem: str = "raise",
    **options: Any,
) -> Annotations:
    """Reads one split of a dataset. The formats and rules are in docs/annotations.md.

    Args:
        dataset: its name (`registry.MODULES`): "hcstvg" (both versions), "vidstg" or "json", one's own.
        path: the dataset folder, or the annotation file itself.
        split: "train", "val" or "test"; for one's own data whatever the file is called.
        videos: the video folder, to check that the videos exist and to find those in folders below it; see
            `find_video_folder`. None: they are not looked for, and are taken to lie flat.
        labels: a file made by `stvg-jax prepare labels`, whose labels and vocabularies take the place of the file's.
        on_problem: what becomes of entries with something wrong: "raise" an error that tells all of them; "exclude"
            them; or "keep" those that can be used, as the released systems do, which check little: boxes outside the
            frame or without area, and missing videos. What cannot be used is excluded then.
        options: of the dataset (`Dataset.options`), None for its default. VidSTG: `trajectories`, the folder of VidOR's
            trajectories for sentence files, by default looked for beside them; `replacements`, words to replace in
            sentences, typing errors for the most part, or the JSON file of them.

    Returns:
        The samples in the order of the file, what was left out and why, and what is wrong with the file.

    Raises:
        InputError: a file is missing or not JSON, an option is unknown, entries are wrong (`on_problem="raise"`), or no
            sample is left.
    """
    record = get_dataset(dataset)
    annotations = record.read(
        Path(path),
        split,
        videos=None if videos is None else Path(videos),
        on_problem=on_problem,
        **record.load_options(options),
    )
    return annotations if labels is None else merge_labels(annotations, read_labels(Path(labels)))
