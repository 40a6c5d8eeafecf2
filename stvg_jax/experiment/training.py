"""Training of an experiment in a workdir, from its configuration to checkpoints of the model.

WORKDIR/checkpoints/           checkpoints to continue from (`stvg_jax.train.checkpoints`)
WORKDIR/tokenizer/             tokenizer.json
WORKDIR/metrics.jsonl          metrics; WORKDIR/tensorboard/ has the same
WORKDIR/parameters.txt         every parameter: group, shape, number
WORKDIR/validation/STEP/       results of `stvg-jax eval` after STEP steps, and pictures in examples/
WORKDIR/best/, WORKDIR/last/   the moving average as checkpoints for `ground` and `eval`

`stvg_jax.train.workdir` describes the other files.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError, missing_extra
from stvg_jax.core.files import whole_file
from stvg_jax.core.progress import Progress
from stvg_jax.eval.runner import make_step
from stvg_jax.experiment.building import Experiment
from stvg_jax.experiment.exporting import Exporter, sha256
from stvg_jax.experiment.length import check_length
from stvg_jax.experiment.tokenizers import prepare_tokenizer
from stvg_jax.experiment.validation import run_validation, scalars
from stvg_jax.models.loading import DTYPES
from stvg_jax.parallel.hosts import from_first_host
from stvg_jax.parallel.mesh import ahead, make_mesh, to_mesh
from stvg_jax.runtime.memory import Rows, check_memory, exhaustion_told
from stvg_jax.train import inspection
from stvg_jax.train.checkpoints import Checkpoints
from stvg_jax.train.initialise import initial_parameters
from stvg_jax.train.interruption import Interruption
from stvg_jax.train.loop import Plan, run
from stvg_jax.train.monitor import Monitor, read_metrics
from stvg_jax.train.optim import FROZEN, INHERITED, make_optimizer
from stvg_jax.train.replay import check_finite
from stvg_jax.train.state import (
    StateShapes,
    StateShardings,
    TrainState,
    place_state,
    state_shapes,
    state_shardings,
)
from stvg_jax.train.step import TrainStep, make_train_step
from stvg_jax.train.workdir import Workdir

# Packages of the extra "train", by the names of their imports.
_PACKAGES = ("array_record", "clu", "tensorboard", "tensorflow")
# Settings for output, memory and devices, which do not decide what is trained.
_HOW = ("parts", "fsdp", "remat", "log_every", "save_every", "keep", "validate_every", "examples")
# Settings of the length, which `check_length` compares.
_LENGTH = ("train.max_steps", "schedule.epochs")
_MAY_CHANGE = (
    *("eval", "data.frames", "data.annotations", "data.trajectories", "loader.threads", "loader.prefetch"),
    *(f"train.{name}" for name in _HOW),
    *_LENGTH,
)


class Training:
    """One start of a training. All hosts make one with the same arguments.

    Args:
        config: configuration of the experiment, as nested dictionaries.
        workdir: folder of a new or continued run.
        command: command of this start.
        progress: receiver of progress reports.

    Raises:
        InputError: the installation, the configuration, the data or the workdir does not allow this training.
    """

    def __init__(self, config: Mapping[str, Any], workdir: Path, command: Sequence[str], progress: Progress):
        if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
            raise missing_extra("train", f"training needs {', '.join(missing)}")
        self.experiment = Experiment.build(config)
        self._progress = progress
        settings = self.experiment.train
        self._mesh = make_mesh(settings.fsdp)
        if settings.batch_size % (self._mesh.size * settings.parts):
            raise InputError(
                f"config.train.batch_size={settings.batch_size} must be a multiple of {self._mesh.size} devices times "
                f"config.train.parts={settings.parts}; change one of them"
            )
        if settings.validate_every and not settings.validate_split and jax.process_index() == 0:
            print(
                f"nothing is validated and no checkpoint is the best, because config.train.validate_split is ''; "
                f"config.train.validate_every={settings.validate_every} has no effect",
                file=sys.stderr,
                flush=True,
            )
        self._workdir = Workdir(workdir, config, command, may_change=_MAY_CHANGE, defaults=self.experiment.defaults())
        try:
            self._prepare(config)
        except BaseException:
            self._workdir.close()
            raise

    def _prepare(self, config: Mapping[str, Any]) -> None:
        """Reads and checks everything that the training needs."""
        progress, settings, family = self._progress, self.experiment.train, self.experiment.family
        if self._workdir.previous is not None:
            # Damage is reported now rather than after an hour of reading.
            from_first_host(lambda: len(read_metrics(self._workdir.path)))
        with progress.stage("reading annotations"):
            self._inputs = family.inputs(config, settings.split)
            self._validation = family.inputs(config, settings.validate_split) if settings.validate_split else None
        self._tokenizer = prepare_tokenizer(self._workdir, self.experiment, self._inputs)
        with progress.stage("checking samples and frames"):
            self._loader = self._inputs.loader(
                self.experiment.model,
                self.experiment.clip,
                self._tokenizer,
                training=True,
                batch_size=settings.batch_size,
                hosts=(jax.process_index(), jax.process_count()),
                seed=settings.seed,
            )
        rows = Rows(
            settings.batch_size // (self._mesh.size * settings.parts),
            *self._loader.largest_clip,
            pixel_bytes=1,
            number_bytes=DTYPES[settings.dtype].dtype.itemsize,
        )
        check_memory(
            family.least_bytes(self.experiment.model, rows),
            rows,
            f"config.train.batch_size={settings.batch_size}, parts={settings.parts}",
        )
        self._total_steps = self.experiment.total_steps(self._loader.steps_per_epoch)
        check_length(self.experiment, self._workdir, self._loader.steps_per_epoch)
        if self._validation is not None:
            assert family.evaluator is not None  # `Experiment.build` has checked it
            self._eval_step = make_step(self.experiment.module, family.evaluator(self.experiment.clip), self._mesh)
        self._exporter = Exporter(self.experiment, self._workdir, self._mesh, self._inputs)

    def run(self) -> int:
        """Trains to the end, or until a signal asks to stop.

        Returns:
            The exit code: 0, or that of the signal.

        Raises:
            InputError: the loss is no longer finite, data or a checkpoint is damaged, or the disk is full.
        """
        experiment, settings = self.experiment, self.experiment.train
        rates = experiment.rates(self._total_steps)
        optimizer = make_optimizer(experiment.optim, experiment.groups, rates, experiment.uses)
        shapes = state_shapes(experiment.module.declarations, experiment.groups, optimizer)
        shardings = state_shardings(shapes, self._mesh)
        with self._workdir, Checkpoints(self._workdir.checkpoints, keep=settings.keep) as checkpoints:
            checkpoints.require_space(shapes)
            state = self._restore(checkpoints, shapes, shardings)
            if state is None:
                with self._progress.stage("reading initial parameters"):
                    parameters, origins = initial_parameters(
                        experiment.module.declarations, settings.initialise, settings.leave_out, settings.seed
                    )
                self._say(*origins)
                state = place_state(parameters, experiment.groups, optimizer, shardings)
            self._workdir.begin(tokenizer=sha256(self._workdir.path / checkpoint.TOKENIZER / "tokenizer.json"))
            self._show_parameters(shapes, shardings)
            self._say(*self._overview(int(state.step)))
            step = make_train_step(
                experiment.task,
                optimizer,
                rates,
                experiment.optim,
                self._mesh,
                shardings,
                seed=settings.seed,
                parts=settings.parts,
                remat=settings.remat,
            )
            return self._run(state, step, checkpoints)

    def _run(self, state: TrainState, step: TrainStep, checkpoints: Checkpoints) -> int:
        from stvg_jax.data_pipeline.loading.pictures import import_tensorflow

        # The writer of TensorBoard's files imports TensorFlow too; the first import decides its messages and devices.
        import_tensorflow()
        settings = self.experiment.train
        plan = Plan(self._total_steps, settings.log_every, settings.save_every, settings.validate_every)
        monitor = Monitor(
            self._workdir.path,
            total_steps=self._total_steps,
            first_step=int(state.step),
            batch_size=settings.batch_size,
            active=jax.process_index() == 0,
        )

        def check(number: int, metrics: Mapping[str, np.ndarray], samples: Sequence[str]) -> None:
            checkpoints.raise_if_failed()
            check_finite(
                metrics,
                self._workdir.replay,
                step=number,
                seed=settings.seed,
                samples=samples,
                config=self._workdir.config,
                checkpoint=max((s for s in checkpoints.steps() if s <= number), default=None),
            )

        def validate(state: TrainState, number: int) -> None:
            self._validate(state, number, checkpoints, monitor)

        begun = int(state.step)
        if begun and plan.validates(begun) and begun not in checkpoints.scores():
            # The last start ended after this save and before the end of the validation.
            validate(state, begun)
        advice = "raise config.train.parts, or lower config.train.batch_size or config.clip.resolution"
        with Interruption() as interruption, exhaustion_told(advice):
            state, done = run(
                state,
                step,
                self._feed,
                plan,
                monitor=monitor,
                save=lambda state, number: checkpoints.save(state, number, {"seed": settings.seed}),
                validate=validate,
                check=check,
                stop=interruption.should_stop,
            )
            if done < self._total_steps:
                self._say(f"stopped after step {done:,}; the same command continues")
                return interruption.exit_code
        self._exporter.export(state, "last", f"trained, {done:,} steps")
        monitor.close()
        return 0

    def _feed(self, first_step: int) -> Iterator[tuple[list[str], dict[str, jax.Array]]]:
        """(ids of this host's samples, batch on the mesh) for this step and all later ones."""
        samples = self._inputs.samples

        def move(batch: Mapping[str, np.ndarray]) -> tuple[list[str], dict[str, jax.Array]]:
            arrays = {name: batch[name] for name in self._loader.sent}
            return [samples[i].id for i in batch["sample"]], to_mesh(arrays, self._mesh)

        return ahead(self._loader.batches(first_step, self._total_steps), move)

    def _restore(self, checkpoints: Checkpoints, shapes: StateShapes, shardings: StateShardings) -> TrainState | None:
        abstract = jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes, shardings
        )
        with self._progress.stage("looking for a checkpoint"):
            restored = checkpoints.restore(abstract, inherited=INHERITED)
        return None if restored is None else restored[0]

    def _validate(self, state: TrainState, step: int, checkpoints: Checkpoints, monitor: Monitor) -> None:
        """Evaluates the moving average, and keeps it as `best` when it is."""
        if self._validation is None:
            return
        average = self._exporter.averaged(state)
        config = dataclasses.replace(
            self.experiment.eval, split=self.experiment.train.validate_split, dtype=self.experiment.train.dtype
        )
        report = run_validation(
            self._exporter.model(average, self._tokenizer, f"step {step}"),
            self._validation,
            config,
            self._workdir.path / "validation" / f"{step:08d}",
            examples=self.experiment.train.examples,
            mesh=self._mesh,
            eval_step=self._eval_step,
            progress=self._progress,
            monitor=monitor,
            step=step,
        )
        checkpoints.score(step, None if report is None else report.overall)
        if checkpoints.best() == step:
            measures = None if report is None else scalars(report)
            self._exporter.export(state, "best", f"trained, step {step:,}, the best in validation", measures)

    def _show_parameters(self, shapes: StateShapes, shardings: StateShardings) -> None:
        """Prints a table of the model's parts and writes one of all parameters."""
        if jax.process_index():
            return
        groups = self.experiment.groups
        rows = inspection.parameters_by_part(shapes, shardings, groups, levels=2)
        self._say(*inspection.parameter_lines(("part", "group"), rows))
        with whole_file(self._workdir.path / "parameters.txt") as file:
            for line in inspection.every_parameter(self.experiment.module.declarations, groups):
                print(line.rstrip(), file=file)

    def _overview(self, step: int) -> list[str]:
        """Lines about the run, its parameters, data and devices."""
        sizes: dict[str, int] = {}
        for path, group in self.experiment.groups.items():
            sizes[group] = sizes.get(group, 0) + int(np.prod(self.experiment.module.declarations[path].shape))
        frozen = sizes.pop(FROZEN, 0)
        parts = ", ".join(f"{group} {size:,}" for group, size in sizes.items())
        samples = len(self._inputs.samples)
        return [
            self._workdir.describe(),
            f"parameters: {sum(sizes.values()):,} trained ({parts}), {frozen:,} frozen",
            f"samples: {samples:,}; steps: {self._loader.steps_per_epoch:,} in an epoch, {self._total_steps:,} in all, "
            f"{step:,} made; devices: {self._mesh.size} ({self._mesh.devices.shape[1]} share one copy)",
        ]

    def _say(self, *lines: str) -> None:
        if jax.process_index() == 0:
            print(*lines, sep="\n", flush=True)
