"""From a dataset folder to a labels file: what `stvg-jax prepare labels` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations.files import splits_in
from stvg_jax.data_pipeline.annotations.labels import Labels, make_labels, write_labels
from stvg_jax.data_pipeline.datasets.dataset import Dataset
from stvg_jax.data_pipeline.datasets.registry import get_dataset


def prepare_labels(
    dataset: str,
    path: Path,
    out: Path,
    *,
    splits: Sequence[str] | None = None,
    appearance: int | None = None,
    motion: int | None = None,
    **options: Any,
) -> Labels:
    """Makes vocabularies from the sentences of "train", labels all `splits` with them, and writes them to `out`.

    Videos are not needed, nor boxes and trajectories where sentences can be read without them; every sample that
    `read_annotations` can give gets its labels.

    Args:
        dataset: its name.
        path: the dataset folder; a file is taken for the split "train".
        splits: default: those of train, val and test that are in the folder.
        appearance, motion: words per vocabulary; default: as many as the released systems have.
        options: of the dataset, as in `read_annotations`; give the same to both.

    Raises:
        InputError: as `read_annotations` and `make_labels`.
    """
    record = get_dataset(dataset)
    loaded = record.load_options(options)
    if path.is_file():
        splits = splits or ["train"]
        if len(splits) > 1:
            raise InputError(f"{path} is one file, and cannot be the splits {', '.join(splits)}; give the folder")
    splits = splits or splits_in(path, record.layouts) or ["train"]
    sentences = {split: _sentences(record, path, split, loaded) for split in splits}
    sizes = record.label_words
    labels = make_labels(
        sentences, sizes[0] if appearance is None else appearance, sizes[1] if motion is None else motion
    )
    write_labels(out, labels)
    return labels


def _sentences(record: Dataset, path: Path, split: str, options: Mapping[str, Any]) -> Mapping[str, str]:
    if record.read_sentences is not None:
        return record.read_sentences(path, split, **options)
    samples = record.read(path, split, videos=None, on_problem="keep", **options).samples
    return {sample.id: sample.sentence for sample in samples}
