"""`read_annotations`: one way in for every dataset and format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations.generic import read_generic
from stvg_jax.data_pipeline.annotations.hcstvg import read_hcstvg
from stvg_jax.data_pipeline.annotations.labels import merge_labels, read_labels
from stvg_jax.data_pipeline.annotations.records import Annotations
from stvg_jax.data_pipeline.annotations.vidstg import read_vidstg
from stvg_jax.data_pipeline.annotations.vidstg_files import read_replacements

DATASETS = ("hcstvg", "vidstg", "json")


def read_annotations(
    dataset: str,
    path: Path | str,
    *,
    split: str,
    videos: Path | str | None = None,
    trajectories: Path | str | None = None,
    replacements: Path | str | Mapping[str, str] | None = None,
    labels: Path | str | None = None,
    on_problem: str = "raise",
) -> Annotations:
    """Reads one split of a dataset. The formats and rules are in docs/annotations.md.

    Args:
        dataset: "hcstvg" (both versions), "vidstg" or "json", one's own.
        path: the dataset folder, or the annotation file itself.
        split: "train", "val" or "test"; for one's own data whatever the file is called.
        videos: the video folder, to check that the videos exist and to find those in folders below it; see
            `find_video_folder`. None: they are not looked for, and are taken to lie flat.
        trajectories: VidSTG only: folder of VidOR's trajectories, for sentence files. None: looked for beside them.
        replacements: VidSTG only: words to replace in sentences, typing errors for the most part, or the JSON file of
            them.
        labels: a file made by `stvg-jax prepare labels`, whose labels and vocabularies take the place of the file's.
        on_problem: what becomes of entries with something wrong: "raise" an error that tells all of them; "exclude"
            them; or "keep" those that can be used, as the released systems do, which check little: boxes outside the
            frame or without area, and missing videos. What cannot be used is excluded then.

    Returns:
        The samples in the order of the file, what was left out and why, and what is wrong with the file.

    Raises:
        InputError: a file is missing or not JSON, an option is unknown, entries are wrong (`on_problem="raise"`), or no
            sample is left.
    """
    if dataset not in DATASETS:
        raise InputError(f"unknown dataset {dataset!r}; choose one of {', '.join(DATASETS)}")
    if dataset != "vidstg" and not (trajectories is None and replacements is None):
        raise InputError(f"trajectories and replacements belong to vidstg, not to {dataset}")
    if isinstance(replacements, (str, Path)):
        replacements = read_replacements(Path(replacements))
    path, videos = Path(path), None if videos is None else Path(videos)
    common = {"videos": videos, "on_problem": on_problem}
    if dataset == "hcstvg":
        annotations = read_hcstvg(path, split, **common)
    elif dataset == "vidstg":
        folder = None if trajectories is None else Path(trajectories)
        annotations = read_vidstg(path, split, trajectories=folder, replacements=replacements, **common)
    else:
        annotations = read_generic(path, split, **common)
    return annotations if labels is None else merge_labels(annotations, read_labels(Path(labels)))
