"""Collection of the entries that a reader has read: samples, exclusions and problems."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from stvg_jax.core.characters import one_line
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.data_pipeline.annotations.fields import Fields
from stvg_jax.data_pipeline.annotations.problems import Problem, raise_problems
from stvg_jax.data_pipeline.annotations.records import Annotations, Excluded, VideoText, Vocabularies
from stvg_jax.data_pipeline.annotations.videos import VideoFolder
from stvg_jax.data_pipeline.language.subject import find_subject

ON_PROBLEM = ("raise", "exclude", "keep")
_WAY_OUT = (
    "correct these entries, or leave them out with on_problem='exclude' (eval and train: "
    "--config.data.on_problem=exclude; score: --on-problem exclude)"
)


class Collector:
    """Collects samples, exclusions and problems into `Annotations`.

    Args:
        dataset, split: names for the result.
        videos: folder of the videos; None does not check that they exist.
        on_problem: see `read_annotations`.
    """

    def __init__(self, dataset: str, split: str, *, videos: Path | None = None, on_problem: str = "raise"):
        if on_problem not in ON_PROBLEM:
            raise InputError(f"on_problem={on_problem!r} is unknown; choose one of {', '.join(ON_PROBLEM)}")
        self._dataset = dataset
        self._split = split
        self._on_problem = on_problem
        self._videos = None if videos is None else VideoFolder(videos)
        self._ids: set[str] = set()
        self._samples: list[VideoText] = []
        self._excluded: list[Excluded] = []
        self._problems: list[Problem] = []

    def add(self, id: str, fields: Fields, sample: VideoText | None) -> None:
        """Adds an entry: its sample, None if its values do not make one, and the problems noted while it was read."""
        if id in self._ids:
            fields.report("duplicate id", f"an earlier entry has the same id, {quoted(id)}")
            sample = None
        self._ids.add(id)
        if sample is not None and self._videos is not None:
            sample = _with_video(sample, fields, self._videos)
        self._problems += fields.problems
        if sample is not None and (not fields.problems or self._on_problem == "keep"):
            self._samples.append(sample)
        else:
            reason = "; ".join(f"{p.rule}: {p.detail}" for p in fields.problems)
            self.exclude(id, fields, reason or "an entry that it refers to is wrong")

    def note(self, fields: Fields) -> None:
        """Adds problems of the file that do not belong to a single entry."""
        self._problems += fields.problems

    def exclude(self, id: str, fields: Fields, reason: str) -> None:
        """Adds an entry that the rules of the dataset leave out."""
        self._ids.add(id)
        self._excluded.append(Excluded(id, fields.entry, reason))

    def finish(self, what: str, vocabularies: Vocabularies | None = None) -> Annotations:
        """All entries that were added.

        Args:
            what: names the annotations in messages.
            vocabularies: attribute words of the file.

        Raises:
            InputError: there are problems and `on_problem` is "raise", or there is no sample.
        """
        problems = list(dict.fromkeys(self._problems))  # several sentences may share one
        if self._on_problem == "raise":
            raise_problems(problems, what, _WAY_OUT)
        if not self._samples:
            first = one_line(self._excluded[0].reason, 300) if self._excluded else ""
            reasons = f"; the first because: {first}" if first else ""
            raise InputError(f"{what} have no usable sample: {len(self._excluded)} entries were left out{reasons}")
        return Annotations(self._dataset, self._split, self._samples, self._excluded, problems, vocabularies)


def _with_video(sample: VideoText, fields: Fields, videos: VideoFolder) -> VideoText:
    """The sample with the path of its video in the folder; a video that is missing or there twice is a problem."""
    found = videos.find(sample.video)
    if not found:
        fields.report("missing video", f"there is no {one_line(sample.video)} in {videos.folder} or the folders below")
    elif len(found) > 1:
        names = " and ".join(map(one_line, found[:3]))
        fields.report("video more than once", f"{videos.folder} holds {names}")
    return dataclasses.replace(sample, video=found[0]) if found else sample


def subject_of(given: str | None, sentence: str) -> str:
    """The words that name the target: those in the file or, if it has none, those found in the sentence, in lower case
    like those of annotators."""
    return given.strip() if given else find_subject(sentence).lower()
