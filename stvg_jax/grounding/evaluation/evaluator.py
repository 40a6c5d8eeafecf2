"""Evaluation of grounding models (`stvg_jax.family.Evaluator`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stvg_jax.core.errors import InputError
from stvg_jax.eval.config import EvalConfig
from stvg_jax.eval.records import write_records
from stvg_jax.family import Report
from stvg_jax.grounding.base import AppearanceConfig
from stvg_jax.grounding.evaluation.examples import draw_examples
from stvg_jax.grounding.evaluation.metrics import OwnMeasures, Summary, summarise
from stvg_jax.grounding.evaluation.page import write_page
from stvg_jax.grounding.evaluation.records import Record
from stvg_jax.grounding.evaluation.result_files import write_results
from stvg_jax.grounding.evaluation.scoring import Score, score, write_metrics
from stvg_jax.grounding.evaluation.subject_change import SubjectChange
from stvg_jax.grounding.evaluation.table import given_interval_table, results_table
from stvg_jax.grounding.evaluation.types import Prediction
from stvg_jax.grounding.inputs import GroundingInputs
from stvg_jax.grounding.protocol import Protocol
from stvg_jax.grounding.tubes import read_passes
from stvg_jax.grounding.types import GroundingBatch, TrueTube
from stvg_jax.models.loading import LoadedModel

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.annotations import Sample


class GroundingEvaluator:
    """A tube for each sample, merged from the passes of a protocol, and the published measures of tubes, beside which
    stand those of the family itself if it has its own.

    It writes these files:

    OUT/predictions.json   all answers in the format of the released systems
    OUT/metrics.json       the measures
    OUT/table.md           the measures below published ones
    OUT/index.html         a report page with pictures of the best, median and worst cases
    OUT/examples/          pictures of fixed samples, if requested
    OUT/subject_RULE/      the same files for the samples with other subjects, if requested, and effect.md, their effect

    Args:
        protocol: of the family.
        own: measures by which the family was published; None for the usual ones.
    """

    unit = "sample"

    def __init__(self, protocol: Protocol, own: OwnMeasures | None = None):
        self._protocol, self._own = protocol, own
        self.rows = protocol.rows

    def check(self, config: EvalConfig, model: AppearanceConfig) -> None:
        """Raises InputError for an unknown benchmark or subject rule, or another subject for a model without one."""
        from stvg_jax.data_pipeline.annotations.subjects import ANNOTATED, check_subject_rule
        from stvg_jax.data_pipeline.datasets.registry import get_benchmark

        try:
            get_benchmark(config.benchmark)
        except InputError as error:
            raise InputError(f"config.eval.benchmark: {error}") from None
        try:
            check_subject_rule(config.subject)
        except InputError as error:
            raise InputError(f"config.eval.subject: {error}") from None
        if config.subject != ANNOTATED and not model.reads_subject:
            raise InputError(
                f"config.eval.subject is {config.subject!r}, but this model reads the sentence alone, without a "
                f"subject; leave it at {ANNOTATED!r}"
            )

    def change(self, inputs: GroundingInputs, config: EvalConfig) -> SubjectChange | None:
        """The samples with subjects by another rule (`EvalConfig.subject`)."""
        from stvg_jax.data_pipeline.annotations.subjects import ANNOTATED

        return None if config.subject == ANNOTATED else SubjectChange(inputs, config.subject)

    def outputs(self, model: nnx.Module, batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """Outputs of the last decoder layers, float32: boxes_cxcywh [b, t, 4], start_end_logits [b, t, 2],
        actioness_logits [b, t], sampling_score [b, t] (1 for a model without temporal sampling)."""
        # For a model that makes its queries from the true tube.
        told = {"true_tube": TrueTube(batch["in_tube"], batch["boxes_cxcywh"])} if "in_tube" in batch else {}
        output = model(GroundingBatch.from_batch(batch), **told)
        score = output.sampling_score
        return {
            "boxes_cxcywh": output.boxes_cxcywh[-1],
            "start_end_logits": output.start_end_logits[-1],
            "actioness_logits": output.actioness_logits[-1],
            "sampling_score": jnp.ones_like(output.actioness_logits[-1]) if score is None else score,
        }

    def answers(
        self, batch: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], samples: Sequence[Sample]
    ) -> list[Record]:
        """A record for each sample in the rows of this host."""
        records = []
        for row in range(0, len(batch["sample"]), self.rows):
            if batch["sample"][row] < 0:
                continue
            rows = slice(row, row + self.rows)
            # Frames may fill fewer rows.
            known = batch["sample"][rows] >= 0
            ids = [
                frames[valid].astype(np.int64)
                for frames, valid in zip(
                    batch["frame_ids"][rows][known], batch["frames_valid"][rows][known], strict=True
                )
            ]
            names = ("boxes_cxcywh", "start_end_logits", "actioness_logits", "sampling_score")
            values = (outputs[name][rows][known] for name in names)
            passes, scores = read_passes(ids, *values, joined=self._protocol.joined)
            sample = samples[batch["sample"][row]]
            # In a clip with fewer frames than passes, several passes see the same frame; the record has it once.
            _, first = np.unique(scores.frames, return_index=True)
            once = type(scores)(*(getattr(scores, field.name)[first] for field in dataclasses.fields(scores)))
            tube = self._protocol.merge(passes, sample.height, sample.width)
            records.append(Record.of(sample, Prediction.at_frames(*tube, scores.frames), once))
        return records

    def from_line(self, line: bytes) -> Record:
        """Reads a line of a record (`Record.from_line`)."""
        return Record.from_line(line)

    def report(
        self,
        records: Sequence[Record],
        model: LoadedModel,
        inputs: GroundingInputs,
        config: EvalConfig,
        out: Path,
        *,
        examples: int,
    ) -> Report:
        """Writes the files that the class describes; arguments as for `stvg_jax.family.Evaluator.report`."""
        from stvg_jax.data_pipeline.annotations.subjects import ANNOTATED, NONE, SUBJECT_RULES
        from stvg_jax.data_pipeline.datasets.registry import get_dataset

        result = score({r.id: r.prediction.filled() for r in records}, inputs.samples, notes=_notes(inputs, model))
        dataset, name = inputs.data.dataset, model.description.model
        subject = inputs.subject if model.config.reads_subject else NONE
        asked = name if inputs.subject == ANNOTATED else f"{name}, {SUBJECT_RULES[inputs.subject]}"
        samples = {sample.id: sample for sample in inputs.samples}
        own = self._own_means(records, samples)
        titles = config.benchmark, f"stvg_jax {asked}", f"{dataset}, {config.split}"
        tables = [results_table(result.groups, *titles), given_interval_table(result.groups)]
        tables += [results_table(groups, *titles, own=self._own) for groups in own.values()]
        write_records(out / "records.jsonl", records)
        write_results(out / "predictions.json", records, samples, apart=get_dataset(dataset).scored_by_kind)
        about = {"model": name, "dataset": dataset, "split": config.split, "subject": subject, "dtype": config.dtype}
        write_metrics(out / "metrics.json", result, own, **about)
        (out / "table.md").write_text("\n".join([*(table.markdown() for table in tables), *result.notes, ""]))
        write_page(
            out / "index.html",
            records,
            samples,
            inputs.pictures,
            title=f"{asked} on {dataset}, {config.split}",
            about=[f"Resolution {model.clip.resolution}, {config.dtype}. {model.description.note}".strip()],
            tables=tables,
            notes=result.notes,
            count=config.pictures,
        )
        if examples:
            rates = inputs.store.videos
            draw_examples(out / "examples", records, samples, inputs.pictures, lambda video: rates[video].fps, examples)
        text = "\n\n".join([*(table.text() for table in tables), *result.notes])
        measures = _measures(result.groups) | {"m_vIoU": _overall(result)}
        for system, groups in own.items():
            measures |= {f"{system}/{measure}": value for measure, value in _measures(groups).items()}
        return Report(measures, _overall(result), text)

    def _own_means(self, records: Sequence[Record], samples: Mapping[str, Sample]) -> dict[str, dict[str, Summary]]:
        """Means by the family's own measures, by their name and kind of sentence; empty if it has none."""
        if self._own is None:
            return {}
        measure = self._own.measure
        return {self._own.name: summarise((r.kind, measure(r.prediction, samples[r.id])) for r in records)}


def _notes(inputs: GroundingInputs, model: LoadedModel) -> list[str]:
    notes = []
    if model.config.reads_tube:
        notes.append("Queries are made from the true tubes (config.model.oracle): an upper bound, not a result.")
    if inputs.annotations.excluded:
        notes.append(f"Entries of the annotations that are left out: {len(inputs.annotations.excluded):,}.")
    if inputs.unusable:
        notes.append(f"Samples left out because their video is missing or is another: {inputs.unusable:,}.")
    return notes


def _measures(groups: Mapping[str, Summary]) -> dict[str, Any]:
    return {f"{kind}/{name}": value for kind, summary in groups.items() for name, value in summary.measures.items()}


def _overall(result: Score) -> float:
    """m_vIoU over all samples, whatever their kind."""
    samples = sum(group.samples for group in result.groups.values())
    return sum(group.samples * group.measures["m_vIoU"] for group in result.groups.values()) / samples
