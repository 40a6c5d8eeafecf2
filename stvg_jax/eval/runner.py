"""Evaluation of a model on a split, on all devices of all hosts. It can be interrupted and continued.

OUT/records/   answers as they are computed, one file per host, from which an evaluation continues

The family's evaluator writes the other files in OUT (`stvg_jax.family.Evaluator`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import Progress
from stvg_jax.core.tree import unflatten
from stvg_jax.eval.config import EvalConfig
from stvg_jax.eval.records import RecordWriter, check_identity, read_records
from stvg_jax.family import Evaluator, Inputs, Loader, Report
from stvg_jax.models.loading import LoadedModel
from stvg_jax.nn.declare import PureModule
from stvg_jax.parallel.hosts import meet
from stvg_jax.parallel.mesh import BATCH, REPLICATED, ahead, local_rows, replicate, to_mesh
from stvg_jax.runtime.compilation import compiler_options
from stvg_jax.runtime.memory import Rows, check_memory, exhaustion_told

EvalStep = Callable[[Any, Mapping[str, jax.Array]], dict[str, jax.Array]]


def evaluate(
    model: LoadedModel,
    inputs: Inputs,
    config: EvalConfig,
    out: Path,
    *,
    mesh: Mesh,
    progress: Progress,
    step: EvalStep | None = None,
    examples: int = 0,
) -> Report | None:
    """Evaluates a model and writes the results. All hosts call it, with a folder that all hosts share.

    Args:
        model: the model to evaluate.
        inputs: the split.
        config: settings of the evaluation.
        out: folder for the results.
        mesh: mesh of all devices.
        progress: receiver of progress reports.
        step: result of `make_step` for this module and mesh, to avoid compiling it again.
        examples: number of samples, always the same ones, to draw in OUT/examples.

    Returns:
        The report of the family's evaluator; None on hosts other than the first.

    Raises:
        InputError: the model has no evaluator, the folder holds another evaluation, the hosts do not share it, or
            data is damaged.
    """
    evaluator = make_evaluator(model)
    evaluator.check(config)
    folder = out / "records"
    identity = _identity(model, inputs, config)
    folder.mkdir(parents=True, exist_ok=True)
    family = model.family
    # As in `_identity`.
    defaults = {
        "clip": dataclasses.asdict(family.clip()),
        "model": [model.description.model, dataclasses.asdict(family.config())],
    }
    check_identity(folder, identity, defaults)
    known = {record.id for record in read_records(folder, evaluator.from_line)}
    missing = [index for index, sample in enumerate(inputs.samples) if sample.id not in known]
    # No host writes before all have read, so that all plan the same batches.
    meet("records read")
    with RecordWriter(folder, identity, jax.process_index(), defaults=defaults) as writer:
        meet("records open")
        _check_shared(folder)
        if missing:
            loader = _make_loader(model, evaluator, inputs, config, mesh, missing, progress)
            step = step or make_step(model.module, evaluator, mesh)
            _run(model, evaluator, inputs, loader, step, mesh, writer, progress, len(missing))
    meet("evaluated")
    if jax.process_index():
        return None
    with progress.stage("scoring"):
        # In the order of the annotations, not of the evaluation.
        by_id = {record.id: record for record in read_records(folder, evaluator.from_line)}
        records = [by_id[sample.id] for sample in inputs.samples]
        return evaluator.report(records, model, inputs, config, out, examples=examples)


def make_evaluator(model: LoadedModel) -> Evaluator:
    """Makes the evaluator of a model's family.

    Raises:
        InputError: the family has none.
    """
    if model.family.evaluator is None:
        raise InputError(
            f"{model.description.model} only serves as a start for the training of other models and cannot be "
            "evaluated; give a checkpoint of another model"
        )
    return model.family.evaluator()


def make_step(module: PureModule, evaluator: Evaluator, mesh: Mesh) -> EvalStep:
    """Makes a compiled function: (parameters on every device, batch split by rows) -> `Evaluator.outputs` by rows.

    Each device computes its own rows without communication.

    Args:
        module: the model.
        evaluator: the evaluator of its family.
        mesh: mesh of all devices.
    """

    def rows(parameters: Any, batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        return module.apply(parameters, lambda model: evaluator.outputs(model, batch))

    split = jax.shard_map(rows, mesh=mesh, in_specs=(REPLICATED, BATCH), out_specs=BATCH, check_vma=False)
    compiled = jax.jit(split, compiler_options=compiler_options())

    def step(parameters: Any, batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        with jax.default_matmul_precision("highest"):
            return compiled(parameters, batch)

    return step


def _make_loader(
    model: LoadedModel,
    evaluator: Evaluator,
    inputs: Inputs,
    config: EvalConfig,
    mesh: Mesh,
    missing: Sequence[int],
    progress: Progress,
) -> Loader:
    with progress.stage("checking samples and frames"):
        loader = inputs.loader(
            model.config,
            model.clip,
            model.tokenizer,
            training=False,
            batch_size=config.samples_per_device * mesh.size,
            hosts=(jax.process_index(), jax.process_count()),
            only=missing,
        )
    sizes = Rows(evaluator.rows * config.samples_per_device, *loader.largest_clip, pixel_bytes=1, number_bytes=2)
    check_memory(
        model.family.least_bytes(model.config, sizes),
        sizes,
        f"config.eval.samples_per_device={config.samples_per_device}",
    )
    return loader


def _run(
    model: LoadedModel,
    evaluator: Evaluator,
    inputs: Inputs,
    loader: Loader,
    step: EvalStep,
    mesh: Mesh,
    writer: RecordWriter,
    progress: Progress,
    missing: int,
) -> None:
    with progress.stage("reading parameters"):
        parameters = replicate(unflatten(model.read_parameters()), mesh)

    def move(batch: Mapping[str, np.ndarray]) -> tuple[Mapping[str, np.ndarray], dict[str, jax.Array]]:
        return batch, to_mesh({name: batch[name] for name in loader.sent}, mesh)

    total = len(inputs.samples)
    advice = "lower config.eval.samples_per_device or config.clip.resolution"
    with exhaustion_told(advice), progress.bar("evaluating", total, evaluator.unit, total - missing) as advance:
        for batch, arrays in ahead(loader.batches(), move):
            output = {name: local_rows(value) for name, value in step(parameters, arrays).items()}
            writer.append(evaluator.answers(batch, output, inputs.samples))
            # This host's rows times the number of hosts: exact enough for a progress bar.
            advance(int((batch["sample"] >= 0).sum()) // evaluator.rows * jax.process_count())


def _identity(model: LoadedModel, inputs: Inputs, config: EvalConfig) -> dict[str, Any]:
    """Everything that decides the answers, as JSON values by name."""
    parameters = json.dumps(model.description.parameters, sort_keys=True).encode()
    return {
        "parameters": hashlib.sha256(parameters).hexdigest(),
        "model": json.loads(model.identity),
        "clip": dataclasses.asdict(model.clip),
        "split": config.split,
        **inputs.identity,
    }


def _check_shared(folder: Path) -> None:
    """Raises InputError unless this host sees the files of all hosts."""
    seen = len(list(folder.glob("part-*.jsonl")))
    if seen < jax.process_count():
        raise InputError(
            f"host {jax.process_index()} sees the records of {seen} of {jax.process_count()} hosts in {folder}; give "
            "--out a folder that all hosts share"
        )
