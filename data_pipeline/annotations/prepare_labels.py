"""From a dataset folder to a labels file: what `stvg-jax prepare labels` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import generic, hcstvg, vidstg
from stvg_jax.data_pipeline.annotations.labels import RELEASED_SIZES, Labels, make_labels, write_labels
from stvg_jax.data_pipeline.annotations.locating import splits_in
from stvg_jax.data_pipeline.annotations.read import DATASETS, read_annotations
from stvg_jax.data_pipeline.annotations.vidstg_files import read_replacements

_LAYOUTS = {"hcstvg": hcstvg.LAYOUTS, "vidstg": vidstg.LAYOUTS, "json": generic.LAYOUTS}


def prepare_labels(
    dataset: str,
    path: Path,
    out: Path,
    *,
    splits: Sequence[str] | None = None,
    replacements: Path | None = None,
    appearance: int | None = None,
    motion: int | None = None,
) -> Labels:
    """Makes vocabularies from the sentences of "train", labels all `splits` with them, and writes them to `out`.

    Boxes, trajectories and videos are not needed; every sample that `read_annotations` can give gets its labels.

    Args:
        dataset: "hcstvg", "vidstg" or "json".
        path: the dataset folder; a file is taken for the split "train".
        splits: default: those of train, val and test that are in the folder.
        replacements: VidSTG only, as in `read_annotations`; give the same to both.
        appearance, motion: words per vocabulary; default: as many as the released systems have.

    Raises:
        InputError: as `read_annotations` and `make_labels`.
    """
    if dataset not in DATASETS:
        raise InputError(f"unknown dataset {dataset!r}; choose one of {', '.join(DATASETS)}")
    if replacements is not None and dataset != "vidstg":
        raise InputError(f"replacements belong to vidstg, not to {dataset}")
    if path.is_file():
        splits = splits or ["train"]
        if len(splits) > 1:
            raise InputError(f"{path} is one file, and cannot be the splits {', '.join(splits)}; give the folder")
    splits = splits or splits_in(path, _LAYOUTS[dataset]) or ["train"]
    words = None if replacements is None else read_replacements(replacements)
    sentences = {split: _sentences(dataset, path, split, words) for split in splits}
    sizes = RELEASED_SIZES[dataset]
    labels = make_labels(
        sentences, sizes[0] if appearance is None else appearance, sizes[1] if motion is None else motion
    )
    write_labels(out, labels)
    return labels


def _sentences(dataset: str, path: Path, split: str, replacements: Mapping[str, str] | None) -> dict[str, str]:
    if dataset == "vidstg":
        found = vidstg.read_sentences(path, split, replacements=replacements, on_problem="exclude")
        return {sentence.id: sentence.sentence for sentence in found}
    samples = read_annotations(dataset, path, split=split, on_problem="keep").samples
    return {sample.id: sample.sentence for sample in samples}
