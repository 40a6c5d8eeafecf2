"""Records of an evaluation, one JSON line per sample: written while it runs, read again after an interruption.

FOLDER/identity.json      what the records are of: all that decides a result
FOLDER/part-00000.jsonl   records, one file per process

`docs/results.md` describes the lines.
"""

from __future__ import annotations

import codecs
import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.core.characters import one_line, shown
from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.files import whole_file
from stvg_jax.core.json_files import parse_json
from stvg_jax.grounding.evaluation.json_values import number_at, numbers_at, text_at, whole_at
from stvg_jax.grounding.evaluation.metrics import SampleMetrics, measure
from stvg_jax.grounding.evaluation.types import Prediction, Truth
from stvg_jax.grounding.inference.tube import FrameScores
from stvg_jax.grounding.inference.tube_json import shortest

SCHEMA = "stvg_jax.records/1"
IDENTITY = "identity.json"
_TEXTS = ("id", "video", "sentence", "subject", "kind")
_SIZES = ("width", "height")
# Differences between evaluations that a message names.
_SHOWN = 12
_SCORES = ("sampling", "actioness", "start", "end")


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """The answer to one sample, with what was asked and how good it is.

    Attributes:
        id, video, sentence, subject, kind, width, height: of the sample (`data_pipeline.annotations.Sample`).
        true_interval: (first, one past the last) frame.
        prediction: at the sampled frames only, boxes float32.
        metrics: measured after `Prediction.filled`.
        scores: of the model at the same frames, where it was kept.
    """

    id: str
    video: str
    sentence: str
    subject: str
    kind: str
    width: int
    height: int
    true_interval: tuple[int, int]
    prediction: Prediction
    metrics: SampleMetrics
    scores: FrameScores | None = None

    @classmethod
    def of(cls, truth: Truth, prediction: Prediction, scores: FrameScores | None = None) -> Record:
        """Measures a model's answer.

        Raises:
            InputError: it has boxes that are not finite.
        """
        if not np.isfinite(prediction.boxes_xyxy).all():
            raise InputError(
                f"the model's boxes for sample {truth.id} are not finite; its checkpoint may be damaged, its training "
                "may have diverged; try --dtype float32"
            )
        return cls(
            **{name: getattr(truth, name) for name in (*_TEXTS, *_SIZES)},
            true_interval=truth.tube,
            prediction=dataclasses.replace(prediction, boxes_xyxy=np.asarray(prediction.boxes_xyxy, np.float32)),
            metrics=measure(prediction.filled(), truth),
            scores=scores,
        )

    def to_line(self) -> str:
        """One line of JSON, without its end. Boxes and scores have the fewest digits that give the float32 back."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in (*_TEXTS, *_SIZES)}
        fields["true_start_frame"], fields["true_end_frame"] = (int(f) for f in self.true_interval)
        fields["start_frame"], fields["end_frame"] = (int(f) for f in self.prediction.interval)
        fields |= dataclasses.asdict(self.metrics)
        fields["frames"] = self.prediction.frames.tolist()
        fields["boxes"] = shortest(self.prediction.boxes_xyxy)
        if self.scores is not None:
            fields["scores"] = {name: shortest(getattr(self.scores, name)) for name in _SCORES}
            fields["scores"]["pass"] = self.scores.passes.tolist()
        return json.dumps(fields, allow_nan=False)

    @classmethod
    def from_line(cls, line: str | bytes) -> Record:
        """Reads `to_line`.

        Raises:
            ValueError: it is not one.
        """
        fields = parse_json(line)
        if not isinstance(fields, dict):
            raise ValueError("not a record: it is no object")
        try:
            frames = numbers_at(fields, "frames", np.int64)
            boxes = numbers_at(fields, "boxes", np.float32).reshape(-1, 4)
            if len(frames) != len(boxes) or np.any(np.diff(frames) <= 0):
                raise ValueError("frames must ascend, with one box each")
            return cls(
                **{name: text_at(fields, name) for name in _TEXTS},
                **{name: whole_at(fields, name) for name in _SIZES},
                true_interval=(whole_at(fields, "true_start_frame"), whole_at(fields, "true_end_frame")),
                prediction=Prediction((whole_at(fields, "start_frame"), whole_at(fields, "end_frame")), frames, boxes),
                metrics=SampleMetrics(**{f.name: number_at(fields, f.name) for f in dataclasses.fields(SampleMetrics)}),
                scores=_scores(frames, fields["scores"]) if "scores" in fields else None,
            )
        except KeyError as error:
            raise ValueError(f"not a record: there is no {error}") from error


def _scores(frames: np.ndarray, fields: Any) -> FrameScores:
    if not isinstance(fields, dict):
        raise ValueError("scores are no object")
    values = {name: numbers_at(fields, name, np.float32) for name in _SCORES}
    passes = numbers_at(fields, "pass", np.int64)
    if any(value.shape != passes.shape for value in values.values()):
        raise ValueError("there must be as many scores of each kind")
    return FrameScores(frames, **values, passes=passes)


class RecordWriter:
    """Appends to the records of one process; what `append` has returned from survives a kill and a power cut.

    Args:
        folder: made if missing. Several processes share one.
        identity: all that decides a result (checkpoint, dataset, clip settings), as JSON values by name.
        process: number of this process.

    Raises:
        InputError: the folder holds records of another identity.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], process: int = 0):
        folder.mkdir(parents=True, exist_ok=True)
        check_identity(folder, identity)
        path = folder / f"part-{process:05d}.jsonl"
        before = path.read_bytes() if path.exists() else b""
        end = _complete(before)
        self._file = path.open("ab")
        self._file.truncate(end)
        if end and not before[:end].endswith(b"\n"):
            self._file.write(b"\n")

    def append(self, records: Iterable[Record]) -> None:
        """Adds the records of a batch and waits until they are on the disk."""
        self._file.write("".join(record.to_line() + "\n" for record in records).encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _complete(content: bytes) -> int:
    """Bytes up to the end of the last whole record; one that lacks only the end of its line is whole."""
    end = content.rfind(b"\n") + 1
    try:
        Record.from_line(content[end:])
    except ValueError:
        return end
    return len(content)


def check_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    """Writes down what the records of a folder will be of, or compares it with what they are of.

    Raises:
        InputError: they are of something else, or nobody knows of what.
    """
    path = folder / IDENTITY
    ours = json.loads(json.dumps(dict(identity)))
    if not path.exists():
        if any(folder.glob("*.jsonl")):
            raise InputError(f"{folder} has records but no {IDENTITY} to say of what; choose another folder")
        with whole_file(path) as file:
            json.dump({"schema": SCHEMA, "identity": ours}, file, indent=1)
        return
    try:
        header = parse_json(path.read_bytes())
        schema, theirs = header["schema"], header["identity"]
        there, here = _leaves(theirs), _leaves(ours)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({first_line(error)}); choose another folder") from error
    if schema != SCHEMA:
        raise InputError(f"{path} has schema {shown(schema)}; this version reads {SCHEMA!r}; choose another folder")
    if theirs != ours:
        differing = [name for name in sorted(there.keys() | here.keys()) if there.get(name) != here.get(name)]
        differences = [
            f"{one_line(name)} is {_told(there.get(name))} there and {_told(here.get(name))} here"
            for name in differing[:_SHOWN]
        ]
        raise InputError(
            f"the records in {folder} are of another evaluation: {'; '.join(differences)}; choose another folder, or "
            "delete this one to start anew"
        )


def _told(value: str | None) -> str:
    return "None" if value is None else one_line(value)


def _leaves(value: Any, name: str = "") -> dict[str, str]:
    """Dotted names and JSON texts of what nested dictionaries hold."""
    if not isinstance(value, dict) or not value:
        return {name: json.dumps(value)}
    return {k: v for key, part in value.items() for k, v in _leaves(part, f"{name}.{key}" if name else key).items()}


def read_records(path: Path) -> list[Record]:
    """Reads a file of records, or all files of a folder in the order of their names, each sample once.

    A last line that a kill cut short is left out, and an answer that was written twice is taken once.

    Raises:
        InputError: a line is damaged, or a sample has two different answers.
    """
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    records: dict[str, Record] = {}
    sources: dict[str, tuple[Path, int]] = {}
    for file in files:
        for number, record in _read(file):
            if record.id not in records:
                records[record.id], sources[record.id] = record, (file, number)
            elif record.to_line() != records[record.id].to_line():
                first, line = sources[record.id]
                raise InputError(
                    f"sample {one_line(record.id)} has two different answers, in line {line} of {first} and line "
                    f"{number} of {file}; delete one of the lines"
                )
    return list(records.values())


def _read(path: Path) -> Iterator[tuple[int, Record]]:
    lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n")
    for number, line in enumerate(lines, 1):
        last = number == len(lines)
        if last and not line:
            return
        try:
            yield number, Record.from_line(line)
        except ValueError as error:
            if last:
                return
            raise InputError(
                f"line {number} of {path} is damaged: {first_line(error)}; delete it to have its sample evaluated again"
            ) from error


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Writes records as one file, whole or not at all."""
    with whole_file(path) as file:
        file.writelines(record.to_line() + "\n" for record in records)
