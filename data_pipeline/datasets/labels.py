"""Attribute labels for annotations that have none: made from the sentences and kept in a JSON file."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.files import whole_file
from stvg_jax.core.json_files import read_json
from stvg_jax.data_pipeline.annotations.fields import Fields
from stvg_jax.data_pipeline.annotations.files import splits_in
from stvg_jax.data_pipeline.annotations.problems import Problem, raise_problems
from stvg_jax.data_pipeline.annotations.records import Annotations, Vocabularies, require_tubes
from stvg_jax.data_pipeline.datasets.dataset import Dataset
from stvg_jax.data_pipeline.datasets.registry import get_dataset
from stvg_jax.data_pipeline.language.attributes import attribute_words

FORMAT = "stvg_jax.labels/1"


@dataclasses.dataclass(frozen=True)
class SampleLabels:
    """Labels of a sample, as ascending indices into the vocabularies, and the sentence that they were made from."""

    sentence: str
    appearance: tuple[int, ...]
    motion: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Labels:
    """The content of a labels file.

    Attributes:
        vocabularies: the words, the most frequent first.
        counts: numbers of training sentences with a word, by "appearance" and "motion", then by word.
        splits: labels by split, then by sample id.
        path: the file that they were read from, for messages.
    """

    vocabularies: Vocabularies
    counts: Mapping[str, Mapping[str, int]]
    splits: Mapping[str, Mapping[str, SampleLabels]]
    path: Path | None = None


def make_labels(sentences: Mapping[str, Mapping[str, str]], appearance: int, motion: int) -> Labels:
    """Makes the vocabularies from the training sentences, and labels every sentence with them.

    Args:
        sentences: sentences by split, then by sample id; "train" must be among the splits.
        appearance, motion: largest sizes of the vocabularies, which have fewer words if the training sentences do.
            Equally frequent words are taken in alphabetical order.

    Raises:
        InputError: there is no "train", a number is not positive, or no word of either kind is found.
    """
    if "train" not in sentences:
        raise InputError(f"the vocabularies are made from the split 'train'; only {', '.join(sentences)} was given")
    if appearance < 1 or motion < 1:
        raise InputError(f"appearance={appearance}, motion={motion}: a vocabulary needs at least one word")
    words = {
        split: {id: attribute_words(sentence) for id, sentence in by_id.items()} for split, by_id in sentences.items()
    }
    train = words["train"].values()
    appearance_counts = _most_frequent((found for found, _ in train), appearance, "appearance")
    motion_counts = _most_frequent((found for _, found in train), motion, "motion")
    appearance_index = {word: i for i, word in enumerate(appearance_counts)}
    motion_index = {word: i for i, word in enumerate(motion_counts)}
    return Labels(
        Vocabularies(tuple(appearance_counts), tuple(motion_counts)),
        {"appearance": appearance_counts, "motion": motion_counts},
        {
            split: {
                id: SampleLabels(sentences[split][id], _indices(looks, appearance_index), _indices(moves, motion_index))
                for id, (looks, moves) in by_id.items()
            }
            for split, by_id in words.items()
        },
    )


def _most_frequent(found: Iterable[tuple[str, ...]], size: int, name: str) -> dict[str, int]:
    counts = collections.Counter(word for words in found for word in words)
    if not counts:
        raise InputError(f"no {name} word was found in the training sentences; are they in English?")
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:size])


def _indices(words: tuple[str, ...], index: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sorted(index[word] for word in words if word in index))


def write_labels(path: Path, labels: Labels) -> None:
    """Writes a labels file, whole or not at all."""
    content = {
        "format": FORMAT,
        "appearance": labels.counts["appearance"],
        "motion": labels.counts["motion"],
        "splits": {
            split: {id: dataclasses.asdict(sample) for id, sample in by_id.items()}
            for split, by_id in labels.splits.items()
        },
    }
    with whole_file(path) as file:
        json.dump(content, file, ensure_ascii=False, indent=1)


def read_labels(path: Path) -> Labels:
    """Reads a file that `write_labels` wrote.

    Raises:
        InputError: it is another file, or labels in it are wrong; the message lists all of them.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a labels file ({FORMAT}); make one with `stvg-jax prepare labels`")
    whole = Fields(str(path), "the file", content)
    words = {name: whole.section(name) for name in ("appearance", "motion")}
    # What stands in for a wrong value is never seen: all of them are raised below.
    counts = {name: {word: section.integer(word) or 0 for word in section} for name, section in words.items()}
    by_split = whole.section("splits")
    splits: dict[str, dict[str, SampleLabels]] = {}
    for split in by_split:
        samples = by_split.section(split)
        splits[split] = {id: _sample_labels(samples.section(id), counts) for id in samples}
    raise_problems(whole.problems, f"the labels in {path}")
    return Labels(Vocabularies(tuple(counts["appearance"]), tuple(counts["motion"])), counts, splits, path)


def _sample_labels(fields: Fields, counts: Mapping[str, Mapping[str, int]]) -> SampleLabels:
    indices = {name: fields.indices(name) for name in counts if fields.items(name) is not None}
    for name, values in indices.items():
        if values and values[-1] >= len(counts[name]):
            fields.report("label not in the vocabulary", f"{name} has {values[-1]}, but only {len(counts[name])} words")
    return SampleLabels(fields.text("sentence") or "", indices.get("appearance") or (), indices.get("motion") or ())


def merge_labels(annotations: Annotations, labels: Labels) -> Annotations:
    """`annotations` with these labels and vocabularies in place of their own.

    Raises:
        InputError: labels are of other sentences, samples have no labels, or the annotations have no tubes.
    """
    require_tubes(annotations)
    by_id = labels.splits.get(annotations.split)
    again = "make the labels again with `stvg-jax prepare labels`"
    if by_id is None:
        raise InputError(f"{labels.path} has no labels for the split {annotations.split!r}; {again}")
    file, problems, samples = str(labels.path), [], []
    for sample in annotations.samples:
        made = by_id.get(sample.id)
        if made is None:
            problems.append(Problem(file, f"sample {sample.id}", "no labels", again))
        elif made.sentence != sample.sentence:
            detail = f"they are for {quoted(made.sentence)}, the sentence is {quoted(sample.sentence)}; {again}"
            problems.append(Problem(file, f"sample {sample.id}", "labels of another sentence", detail))
        else:
            samples.append(dataclasses.replace(sample, appearance_labels=made.appearance, motion_labels=made.motion))
    raise_problems(problems, f"the labels in {file}")
    return dataclasses.replace(annotations, samples=samples, vocabularies=labels.vocabularies)


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

    Videos are not needed, nor are boxes and trajectories if sentences can be read without them. Every sample that
    `read_annotations` can return gets labels.

    Args:
        dataset: name of the dataset.
        path: the dataset folder, or the file of the split "train".
        splits: splits to label; by default those of train, val and test that are in the folder.
        appearance, motion: largest sizes of the vocabularies; by default those of the released systems.
        options: options of the dataset; `read_annotations` must get the same.

    Raises:
        InputError: see `read_annotations` and `make_labels`.
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
