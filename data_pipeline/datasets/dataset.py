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
        percent: by kind of sentence, one per measure of the benchmark; None where it was not reported.
        source: where the figures are from.
    """

    method: str
    venue: str
    percent: Mapping[str, tuple[float | None, ...]]
    source: str


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A test set and what has been reported on it.

    Attributes:
        title: for people.
        samples: how many sentences it has, by kind.
        results: oldest first.
        measures: names of the figures.
    """

    title: str
    samples: Mapping[str, int]
    results: tuple[PublishedResult, ...]
    measures: tuple[str, ...] = MEASURES

    def is_of_size(self, samples: int) -> bool:
        """Whether a set of so many samples may be this one, to 3 %: each reader leaves out some unusable entries."""
        size = sum(self.samples.values())
        return abs(samples - size) <= 0.03 * size


@dataclasses.dataclass(frozen=True)
class Option:
    """An argument of `read` that only some datasets have.

    Attributes:
        help: its meaning, for the command line.
        metavar: of its value there, such as "DIR".
        load: turns the value that a user gives into that which `read` takes.
        for_sentences: whether `read_sentences` takes it too.
    """

    help: str
    metavar: str
    load: Callable[[Any], Any]
    for_sentences: bool = False


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Everything that is particular to a dataset. The rest of the project asks the record and knows no dataset by name.

    Attributes:
        name: that configurations and command lines give, a key of `registry.MODULES`.
        title: for people.
        layouts: where the annotation file of a split lies in the dataset folder: paths with "{split}" in them, the
            first that exists is taken.
        read: reads one split, `read(path, split, *, videos, on_problem, **options)`, with the arguments of
            `reading.read_annotations`.
        video_folders: names that the folder of videos may have in the dataset folder.
        rules: key of `FRAME_RULES` and `TEXT_RULES` (`clip.sampling`): the frame rule and the text rule with which
            models of this dataset are trained; None where there is none.
        stored_frames: what `stvg-jax prepare frames` stores unless told otherwise, one of `shards.POLICIES`: "sampled"
            where training looks only at frames that evaluation looks at, else "clips".
        label_words: sizes of the appearance and the motion vocabulary of the released systems.
        options: further arguments of `read`, by name.
        read_sentences: sample id -> sentence of a split, `read_sentences(path, split, **options)`, for a dataset whose
            sentences can be read without their tubes; None where they are read with them.
        scored_by_kind: whether the released evaluators' file of results has measures by kind of sentence.
        benchmarks: its test sets with published results, by name.
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
        """The rule that spreads frames over its clips."""
        return None if self.rules is None else get_frame_rule(self.rules)

    def load_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The options that are given, not None, as `read` takes them.

        Raises:
            InputError: the dataset has no such option, or its file cannot be read.
        """
        given = {name: value for name, value in given.items() if value is not None}
        if foreign := [name for name in given if name not in self.options]:
            own = f"its options are {', '.join(self.options)}" if self.options else "it has no options"
            raise InputError(f"{' and '.join(foreign)}: not an option of the dataset {self.name}; {own}")
        return {name: self.options[name].load(value) for name, value in given.items()}

    def find_benchmark(self, samples: int) -> str | None:
        """The benchmark that a set of so many samples is, told by its size; None for any other set."""
        return next((name for name, one in self.benchmarks.items() if one.is_of_size(samples)), None)

    def frames_needed(self, sample: VideoText) -> int:
        """The least length of a video for a sample: one past the last frame that may be sampled or is in the tube."""
        if sample.clip is None:
            return 1
        sampled = sample.clip[1] if self.frame_rule is None else self.frame_rule.end(sample.clip)
        return max(sampled, sample.event[1] if sample.event else 0)


def as_path(value: Path | str) -> Path:
    """`Option.load` of a file or folder that `read` opens itself."""
    return Path(value)
