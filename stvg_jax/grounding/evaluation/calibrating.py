"""From a checkpoint and a split to a calibration of its confidence."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from stvg_jax.core.checkpoint import CALIBRATION
from stvg_jax.core.errors import InputError
from stvg_jax.core.files import whole_file
from stvg_jax.core.progress import Progress
from stvg_jax.eval.config import EvalConfig
from stvg_jax.eval.runner import evaluate, make_evaluator, make_step
from stvg_jax.grounding.evaluation.calibration import Cases, fit, measure_confidence
from stvg_jax.grounding.evaluation.records import read_records
from stvg_jax.grounding.inference.confidence import Calibration, parameters_digest
from stvg_jax.grounding.inputs import GroundingInputs
from stvg_jax.models.loading import LoadedModel
from stvg_jax.parallel.mesh import make_mesh

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.annotations.other_sentences import Allowed

DESCRIBED, OTHERS = "described", "other_sentences"


def calibrate(
    model: LoadedModel,
    inputs: GroundingInputs,
    config: EvalConfig,
    out: Path,
    *,
    given: Calibration | None = None,
    allowed: Allowed | None = None,
    progress: Progress,
) -> str:
    """Evaluates a model with the sentences of a split and with those of other videos, and calibrates its confidence.

    Args:
        model: the model.
        inputs: the split.
        config: settings of the evaluations.
        out: folder for calibration.json, confidence.md and the evaluations, which continue there.
        given: a calibration to measure; None to fit one.
        allowed: as for `data_pipeline.annotations.other_sentences.with_other_sentences`.
        progress: shows the progress.

    Returns:
        Tables of its quality, on the same split.

    Raises:
        InputError: as `stvg_jax.eval.runner.evaluate`; the calibration is of other parameters; or the split has too few
            samples or no other videos.
    """
    parameters = parameters_digest(model.description.parameters)
    if given is not None and given.parameters != parameters:
        raise InputError("the calibration was made for other parameters; take the one of this checkpoint")
    # A model without tubes is refused before anything is computed.
    asked = {DESCRIBED: inputs, OTHERS: inputs.with_other_sentences(allowed)}
    config = dataclasses.replace(config, subject="annotated", benchmark="none")
    mesh = make_mesh()
    step = make_step(model.module, make_evaluator(model), mesh)
    for name, split in asked.items():
        evaluate(model, split, config, out / name, mesh=mesh, progress=progress, step=step)
    cases = Cases.of(*(read_records(out / name / "records.jsonl") for name in asked))
    about = {"dataset": inputs.data.dataset, "split": config.split, "sentences": len(inputs.samples)}
    calibration = given or fit(cases, parameters=parameters, about=about)
    title = f"Confidence of {model.description.model} on {inputs.data.dataset}, {config.split}"
    title += f"; threshold {calibration.threshold:.2f}" + ("" if given else "; fitted on these answers")
    tables = measure_confidence(calibration, cases).tables(title)
    with whole_file(out / "confidence.md") as file:
        file.write("\n".join(table.markdown() for table in tables))
    if given is None:
        calibration.write(out / CALIBRATION)
    return "\n\n".join(table.text() for table in tables)
