"""Export of a training's moving average as checkpoints, each with a file about its training."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from stvg_jax.core import checkpoint
from stvg_jax.experiment.building import Experiment
from stvg_jax.family import Inputs
from stvg_jax.models.loading import LoadedModel
from stvg_jax.parallel.mesh import REPLICATED
from stvg_jax.runtime.tokenizer import Tokenizer
from stvg_jax.train.state import TrainState
from stvg_jax.train.workdir import Workdir


class Exporter:
    """Writer of a run's checkpoints. All hosts make one and call its methods; the first host writes.

    Args:
        experiment: the experiment.
        workdir: folder of the run, with a tokenizer.
        mesh: mesh of all devices.
        inputs: training samples. Where they tell `clip_sec`, the seconds of a usual clip, the checkpoint tells it too.
    """

    def __init__(self, experiment: Experiment, workdir: Workdir, mesh: Mesh, inputs: Inputs):
        self._experiment, self._workdir, self._inputs = experiment, workdir, inputs
        whole = NamedSharding(mesh, REPLICATED)
        self._gather = jax.jit(lambda average, frozen: {**average, **frozen}, out_shardings=whole)

    def averaged(self, state: TrainState) -> dict[str, jax.Array]:
        """Parameters for evaluation, path -> whole array on every device."""
        return self._gather(state.average, state.frozen)

    def model(self, parameters: Mapping[str, jax.Array], tokenizer: Tokenizer, note: str) -> LoadedModel:
        """The model with these parameters for evaluation; `note` describes them."""
        experiment = self._experiment
        name = experiment.config["name"]
        return LoadedModel(
            description=checkpoint.Description(name, self._config(), note=note),
            module=experiment.module,
            read_parameters=lambda: parameters,
            tokenizer=tokenizer,
            family=experiment.family,
            config=experiment.model,
            clip=experiment.clip,
            identity=json.dumps([name, experiment.config["model"], note], sort_keys=True),
        )

    def export(self, state: TrainState, name: str, note: str, measures: Mapping[str, float] | None = None) -> None:
        """Writes WORKDIR/name, a checkpoint of the moving average with its training.json.

        Args:
            state: state of the training.
            name: name of the folder.
            note: one line about the checkpoint.
            measures: measures of its validation, if there was one.
        """
        average = self.averaged(state)
        if jax.process_index():
            return
        experiment = self._experiment
        parameters = {path: np.asarray(average[path]) for path in experiment.module.declarations}
        kind = "initialisation" if experiment.family.evaluator is None else "model"
        description = checkpoint.Description(experiment.config["name"], self._config(), kind=kind, note=note)
        with checkpoint.new_directory(self._workdir.path / name, force=True) as directory:
            shutil.copytree(self._workdir.path / checkpoint.TOKENIZER, directory / checkpoint.TOKENIZER)
            checkpoint.write(directory, parameters, description, one_file=True)
            self._write_card(directory, int(state.step), measures)

    def _config(self) -> dict[str, Any]:
        experiment = self._experiment
        return {"model": experiment.config["model"], "clip": dataclasses.asdict(experiment.clip)}

    def _write_card(self, directory: Path, steps: int, measures: Mapping[str, float] | None) -> None:
        """Writes training.json into a checkpoint whose parameters are written."""
        train = self._experiment.train
        card = {
            "steps": steps,
            "samples": len(self._inputs.samples),
            **({"clip_sec": seconds} if (seconds := getattr(self._inputs, "clip_sec", None)) else {}),
            "batch_size": train.batch_size,
            "seed": train.seed,
            "validation": None if measures is None else dict(measures),
            "sha256": sha256(directory / checkpoint.PARAMETERS_FILE),
            "starts": list(self._workdir.starts()),
            "config": self._experiment.config,
        }
        (directory / checkpoint.TRAINING).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def sha256(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
