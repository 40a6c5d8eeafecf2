"""Records: answers of a grounding model to samples, as lines of JSON, which `docs/results.md` describes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.core.json_files import parse_json
from stvg_jax.eval import records
from stvg_jax.grounding.evaluation.metrics import SampleMetrics, measure
from stvg_jax.grounding.evaluation.reading import number_at, numbers_at, text_at, whole_at
from stvg_jax.grounding.evaluation.types import AnnotatedSample, Prediction
from stvg_jax.grounding.inference.tube import FrameScores
from stvg_jax.grounding.inference.tube_json import shortest

_TEXTS = ("id", "video", "sentence", "subject", "kind")
_SIZES = ("width", "height")
_SCORES = ("sampling", "actioness", "start", "end")


@dataclasses.dataclass(frozen=True, eq=False)
class Record:
    """The answer to one sample, with the question and the measures.

    Attributes:
        id, video, sentence, subject, kind, width, height: of the sample (`data_pipeline.annotations.Sample`).
        true_interval: (start, end) frames.
        prediction: with float32 boxes at the sampled frames only.
        metrics: of `prediction.filled()`.
        scores: of the same frames; None if they were not kept.
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
    def of(cls, sample: AnnotatedSample, prediction: Prediction, scores: FrameScores | None = None) -> Record:
        """Measures a model's answer.

        Raises:
            InputError: boxes that are not finite.
        """
        if not np.isfinite(prediction.boxes_xyxy).all():
            raise InputError(
                f"the model's boxes for sample {sample.id} are not finite; its checkpoint may be damaged, its training "
                "may have diverged; try --dtype float32"
            )
        return cls(
            **{name: getattr(sample, name) for name in (*_TEXTS, *_SIZES)},
            true_interval=sample.tube,
            prediction=dataclasses.replace(prediction, boxes_xyxy=np.asarray(prediction.boxes_xyxy, np.float32)),
            metrics=measure(prediction.filled(), sample),
            scores=scores,
        )

    def to_line(self) -> str:
        """One line of JSON, without a line break. Boxes and scores have the fewest digits that identify the float32."""
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
        """Reads a line that `to_line` wrote.

        Raises:
            ValueError: any other line.
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
                id=text_at(fields, "id"),
                video=text_at(fields, "video"),
                sentence=text_at(fields, "sentence"),
                subject=text_at(fields, "subject"),
                kind=text_at(fields, "kind"),
                width=whole_at(fields, "width"),
                height=whole_at(fields, "height"),
                true_interval=(whole_at(fields, "true_start_frame"), whole_at(fields, "true_end_frame")),
                prediction=Prediction((whole_at(fields, "start_frame"), whole_at(fields, "end_frame")), frames, boxes),
                metrics=SampleMetrics(
                    tiou=number_at(fields, "tiou"),
                    viou=number_at(fields, "viou"),
                    gt_viou=number_at(fields, "gt_viou"),
                    missing_boxes=whole_at(fields, "missing_boxes"),
                ),
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


def read_records(path: Path) -> list[Record]:
    """Records in a file, or in all files of a folder (`stvg_jax.eval.records.read_records`)."""
    return records.read_records(path, Record.from_line)
