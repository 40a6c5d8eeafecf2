"""Evaluation of a model on a split, on all devices of all hosts. It can be interrupted and continued.

OUT/records/   answers as they are computed, one file per host, from which an evaluation continues
OUT/FURTHER/   the same for questions that follow from the answers (`stvg_jax.family.Further`), if there are any
OUT/CHANGE/    the same for the samples asked in another way (`stvg_jax.family.Change`), if the settings ask for it

The family's evaluator writes the other files in OUT (`stvg_jax.family.Evaluator`).
"""

from __future__ import annotations

import dataclasses
import functools
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
from stvg_jax.family import Evaluator, Inputs, Loader, Record, Report, StagedEvaluator
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
        The report of the family's evaluator, with the effect of a change; None on hosts other than the first.

    Raises:
        InputError: the model has no evaluator or cannot be asked as the settings say, a folder holds another
            evaluation, the hosts do not share it, or data is damaged.
    """
    evaluator = make_evaluator(model)
    evaluator.check(config, model.config)
    change = evaluator.change(inputs, config)
    run = _Run(
        model, evaluator, config, mesh, progress, step, functools.cache(lambda: _parameters(model, mesh, progress))
    )
    identity = run.check(inputs, out)
    changed_identity = None if change is None else run.check(change.inputs, out / change.name)
    records = run.records(inputs, identity, out)
    report = run.conclude(records, inputs, out, examples)
    if change is None or changed_identity is None:
        return report
    taken = [record for record in records if record.id in change.unchanged]
    records = run.records(change.inputs, changed_identity, out / change.name, taken)
    changed = run.conclude(records, change.inputs, out / change.name, 0)
    if report is None or changed is None:
        return None
    text = f"{report.text}\n\n{change.effect(report, changed, out / change.name)}"
    measures = {f"{change.name}/{name}": value for name, value in changed.measures.items()}
    return Report({**report.measures, **measures}, report.overall, text)


@dataclasses.dataclass(frozen=True)
class _Run:
    """The evaluation of one model: of a split, of the split with a change, or of further questions."""

    model: LoadedModel
    evaluator: Evaluator
    config: EvalConfig
    mesh: Mesh
    progress: Progress
    given_step: EvalStep | None
    parameters: Callable[[], Any]

    @functools.cached_property
    def _step(self) -> EvalStep:
        return self.given_step or make_step(self.model.module, self.evaluator, self.mesh)

    @property
    def _defaults(self) -> dict[str, Any]:
        """Values of the identity that records of earlier versions may lack."""
        family = self.model.family
        return {
            "clip": dataclasses.asdict(family.clip()),
            # As in `LoadedModel.identity`.
            "model": [self.model.description.model, dataclasses.asdict(family.config())],
        }

    def check(self, inputs: Inputs, out: Path) -> dict[str, Any]:
        """Everything that decides the answers, as JSON values by name.

        Raises:
            InputError: the folder has records of another evaluation.
        """
        folder = out / "records"
        folder.mkdir(parents=True, exist_ok=True)
        parameters = json.dumps(self.model.description.parameters, sort_keys=True).encode()
        identity = {
            "parameters": hashlib.sha256(parameters).hexdigest(),
            "model": json.loads(self.model.identity),
            "clip": dataclasses.asdict(self.model.clip),
            "split": self.config.split,
            **inputs.identity,
        }
        check_identity(folder, identity, self._defaults)
        return identity

    def records(
        self, inputs: Inputs, identity: Mapping[str, Any], out: Path, taken: Sequence[Record] = ()
    ) -> list[Record]:
        """Answers to all samples, in the order of the annotations: those taken, those in the folder and new ones."""
        folder = out / "records"
        if isinstance(self.evaluator, StagedEvaluator):
            self.evaluator.keep(folder, self.config)
        known = {record.id for record in (*taken, *read_records(folder, self.evaluator.from_line))}
        missing = [index for index, sample in enumerate(inputs.samples) if sample.id not in known]
        # No host writes before all have read, so that all plan the same batches.
        meet("records read")
        with RecordWriter(folder, identity, jax.process_index(), defaults=self._defaults) as writer:
            meet("records open")
            _check_shared(folder)
            if missing:
                self._answer(inputs, missing, writer)
        meet("evaluated")
        by_id = {record.id: record for record in (*taken, *read_records(folder, self.evaluator.from_line))}
        return [by_id[sample.id] for sample in inputs.samples]

    def conclude(self, records: Sequence[Record], inputs: Inputs, out: Path, examples: int) -> Report | None:
        """Asks the questions that follow from all records, and writes the results; None on hosts other than the
        first."""
        further = None
        if isinstance(self.evaluator, StagedEvaluator):
            with self.progress.stage("choosing further questions"):
                further = self.evaluator.further(records, self.model, inputs, self.config)
        if further is not None:
            run = dataclasses.replace(self, evaluator=further.evaluator, given_step=None)
            identity = run.check(further.inputs, out / further.name)
            answers = run.records(further.inputs, identity, out / further.name)
            return run.conclude(answers, further.inputs, out, examples)
        if jax.process_index():
            return None
        with self.progress.stage("scoring"):
            return self.evaluator.report(records, self.model, inputs, self.config, out, examples=examples)

    def _answer(self, inputs: Inputs, missing: Sequence[int], writer: RecordWriter) -> None:
        loader, parameters = self._make_loader(inputs, missing), self.parameters()

        def move(batch: Mapping[str, np.ndarray]) -> tuple[Mapping[str, np.ndarray], dict[str, jax.Array]]:
            return batch, to_mesh({name: batch[name] for name in loader.sent}, self.mesh)

        evaluator, total = self.evaluator, len(inputs.samples)
        bar = self.progress.bar("evaluating", total, evaluator.unit, total - len(missing))
        with exhaustion_told("lower config.eval.samples_per_device or config.clip.resolution"), bar as advance:
            for batch, arrays in ahead(loader.batches(), move):
                output = {name: local_rows(value) for name, value in self._step(parameters, arrays).items()}
                writer.append(evaluator.answers(batch, output, inputs.samples))
                # This host's samples times the number of hosts: exact enough for a progress bar.
                advance(len(np.unique(batch["sample"][batch["sample"] >= 0])) * jax.process_count())

    def _make_loader(self, inputs: Inputs, missing: Sequence[int]) -> Loader:
        samples = self.config.samples_per_device
        with self.progress.stage("checking samples and frames"):
            loader = inputs.loader(
                self.model.config,
                self.model.clip,
                self.model.tokenizer,
                training=False,
                batch_size=samples * self.mesh.size,
                hosts=(jax.process_index(), jax.process_count()),
                only=missing,
            )
        sizes = Rows(self.evaluator.rows * samples, *loader.largest_clip, pixel_bytes=1, number_bytes=2)
        least = self.model.family.least_bytes(self.model.config, sizes)
        check_memory(least, sizes, f"config.eval.samples_per_device={samples}")
        return loader


def _parameters(model: LoadedModel, mesh: Mesh, progress: Progress) -> Any:
    """The parameters on every device."""
    with progress.stage("reading parameters"):
        return replicate(unflatten(model.read_parameters()), mesh)


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
    return model.family.evaluator(model.clip)


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


def _check_shared(folder: Path) -> None:
    """Raises InputError unless this host sees the files of all hosts."""
    seen = len(list(folder.glob("part-*.jsonl")))
    if seen < jax.process_count():
        raise InputError(
            f"host {jax.process_index()} sees the records of {seen} of {jax.process_count()} hosts in {folder}; give "
            "--out a folder that all hosts share"
        )
