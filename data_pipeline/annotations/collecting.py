"""Gathering of the entries that a reader has read: samples, exclusions and problems."""

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
    "mend these entries, or leave them out with on_problem='exclude' (eval and train: "
    "--config.data.on_problem=exclude; score: --on-problem exclude)"
)


class Collector:
    """Gathers samples, exclusions and problems into `Annotations`.

    Args:
        dataset, split: of the result.
        videos: where the videos are; None leaves unchecked whether they exist.
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
        """Takes in an entry: its sample, None where its values allow none, and what was noted while it was read."""
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
            self.exclude(id, fields, reason or "what it refers to is wrong")

    def note(self, fields: Fields) -> None:
        """Takes in problems of the file that belong to no single entry."""
        self._problems += fields.problems

    def exclude(self, id: str, fields: Fields, reason: str) -> None:
        """Takes in an entry that the dataset's own rules leave out."""
        self._ids.add(id)
        self._excluded.append(Excluded(id, fields.entry, reason))

    def finish(self, what: str, vocabularies: Vocabularies | None = None) -> Annotations:
        """Everything that was taken in.

        Raises:
            InputError: there are problems and they were to be raised, or there is no sample.
        """
        problems = list(dict.fromkeys(self._problems))  # several sentences may share one
        if self._on_problem == "raise":
            raise_problems(problems, what, _WAY_OUT)
        if not self._samples:
            first = one_line(self._excluded[0].reason, 300) if self._excluded else ""
            reasons = f"; the first is left out because: {first}" if first else ""
            raise InputError(f"{what} give no sample: {len(self._excluded)} entries were left out{reasons}")
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
    """The words that name the target: those of the file or, where it has none, those found in the sentence, in lower
    case as annotators write them."""
    return given.strip() if given else find_subject(sentence).lower()
