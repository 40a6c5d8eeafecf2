"""Validation during a training: the evaluation of `stvg-jax eval`, reported with the metrics of the training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jax.sharding import Mesh
from PIL import Image

from stvg_jax.core.progress import Progress
from stvg_jax.eval.config import EvalConfig
from stvg_jax.eval.runner import EvalStep, evaluate
from stvg_jax.family import Inputs, Report
from stvg_jax.models.loading import LoadedModel
from stvg_jax.train.monitor import Monitor


def run_validation(
    model: LoadedModel,
    inputs: Inputs,
    config: EvalConfig,
    out: Path,
    *,
    examples: int,
    mesh: Mesh,
    eval_step: EvalStep,
    progress: Progress,
    monitor: Monitor,
    step: int,
) -> Report | None:
    """Evaluates into `out`, prints the table, and writes measures and pictures of examples to the monitor.

    All hosts call it.

    Args:
        model, inputs, config, out, mesh, progress: as for `stvg_jax.eval.runner.evaluate`.
        examples: number of samples to draw.
        eval_step: compiled step of the evaluation.
        monitor: monitor of the training.
        step: number of steps of the training.

    Returns:
        The report; None on hosts other than the first.

    Raises:
        InputError: as `evaluate`.
    """
    report = evaluate(model, inputs, config, out, mesh=mesh, progress=progress, step=eval_step, examples=examples)
    if report is None:
        return None
    print(report.text, flush=True)
    monitor.write(step, scalars(report))
    monitor.write_images(step, _pictures(out))
    return report


def scalars(report: Report) -> dict[str, float]:
    """Measures by their names in the metrics of a training."""
    return {f"validation/{name}": value for name, value in report.measures.items()}


def _pictures(out: Path) -> dict[str, np.ndarray]:
    files = sorted((out / "examples").glob("*.png"))
    return {f"validation/example_{file.stem}": np.asarray(Image.open(file).convert("RGB")) for file in files}
