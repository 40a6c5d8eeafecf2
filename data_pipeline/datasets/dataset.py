"""The record of a dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import Annotations, VideoText
from stvg_jax.data_pipeline.frame_rules import FrameRule, get_frame_rule

# Of grounding, in percent.
MEASURES = ("m_tIoU", "m_vIoU", "vIoU@0.3", "vIoU@0.5")


@dataclasses.dataclass(frozen=True)
class PublishedResult:
    """One system's figures.

    Attributes:
        method, venue: such as "TA-STVG" and "ICLR 2025".
        percent: figures by kind of sentence, one per measure of the benchmark; None if it was not reported.
        source: source of the figures.
        own_measures: name of the system's own measures, if it was published by these and not by the usual ones.
    """

    method: str
    venue: str
    percent: Mapping[str, tuple[float | None, ...]]
    source: str
    own_measures: str = ""


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A test set, with the published results.

    Attributes:
        title: name in texts.
        samples: numbers of sentences by kind.
        results: published results, oldest first.
        measures: names of the figures.
    """

    title: str
    samples: Mapping[str, int]
    results: tuple[PublishedResult, ...]
    measures: tuple[str, ...] = MEASURES

    def is_of_size(self, samples: int) -> bool:
        """True if a set of this size may be this one, to 3 %, because each reader leaves out some unusable entries."""
        size = sum(self.samples.values())
        return abs(samples - size) <= 0.03 * size


@dataclasses.dataclass(frozen=True)
class Option:
    """An argument of `read` that only some datasets have.

    Attributes:
        help: help text of the command line.
        metavar: name of its value there, such as "DIR".
        load: function from the value that a user gives to the one that `read` takes.
        for_sentences: whether `read_sentences` takes it too.
    """

    help: str
    metavar: str
    load: Callable[[Any], Any]
    for_sentences: bool = False


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Everything that is particular to a dataset. The rest of the project asks the record and names no dataset.

    Attributes:
        name: name in configurations and on command lines, a key of `registry.MODULES`.
        title: name in texts.
        layouts: possible paths of the annotation file of a split in the dataset folder, with "{split}" in them; the
            first that exists is taken.
        read: function that reads a split, `read(path, split, *, videos, on_problem, **options)`, with the arguments of
            `reading.read_annotations`.
        video_folders: names that the folder of videos may have in the dataset folder.
        rules: key of `FRAME_RULES` and `TEXT_RULES` (`clip.sampling`): the frame rule and the text rule with which
            models of this dataset are trained; None where there is none.
        stored_frames: default of `stvg-jax prepare frames --frames`, one of `shards.POLICIES`: "sampled" if training
            uses only frames that evaluation uses too, else "clips".
        label_words: sizes of the appearance and the motion vocabulary of the released systems.
        options: further arguments of `read`, by name.
        read_sentences: function that reads the sentences of a split by sample id, `read_sentences(path, split,
            **options)`, if they can be read without their tubes; else None.
        scored_by_kind: whether the released evaluators' file of results has measures by kind of sentence.
        benchmarks: test sets with published results, by name.
    """

    name: str
    title: str
    layouts: tuple[str, ...]
    read: Callable[..., Annotations]
    video_folders: tuple[str, ...]
    rules: str | None = None
    stored_frames: str = "clips"
    label_words: tuple[int, int] = (15, 60)
    options: Mapping[str, Option] = dataclasses.field(default_factory=dict)
    read_sentences: Callable[..., Mapping[str, str]] | None = None
    scored_by_kind: bool = False
    benchmarks: Mapping[str, Benchmark] = dataclasses.field(default_factory=dict)

    @property
    def frame_rule(self) -> FrameRule | None:
        """The rule that chooses frames of its clips."""
        return None if self.rules is None else get_frame_rule(self.rules)

    def load_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The given options that are not None, in the form that `read` takes.

        Raises:
            InputError: the dataset has no such option, or its file cannot be read.
        """
        given = {name: value for name, value in given.items() if value is not None}
        if foreign := [name for name in given if name not in self.options]:
            own = f"its options are {', '.join(self.options)}" if self.options else "it has no options"
            raise InputError(f"{' and '.join(foreign)}: not an option of the dataset {self.name}; {own}")
        return {name: self.options[name].load(value) for name, value in given.items()}

    def find_benchmark(self, samples: int) -> str | None:
        """Name of the benchmark of this size; None if there is none."""
        return next((name for name, one in self.benchmarks.items() if one.is_of_size(samples)), None)

    def frames_needed(self, sample: VideoText) -> int:
        """Least number of frames of a sample's video: one past the last frame that may be sampled or is in the tube."""
        if sample.clip is None:
            return 1
        sampled = sample.clip[1] if self.frame_rule is None else self.frame_rule.end(sample.clip)
        return max(sampled, sample.event[1] if sample.event else 0)


def as_path(value: Path | str) -> Path:
    """`Option.load` of a file or folder that `read` opens itself."""
    return Path(value)
