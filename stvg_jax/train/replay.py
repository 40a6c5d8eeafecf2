"""A run whose loss is no longer a number stops, and leaves behind what it takes to repeat the step.

A batch is a function of (seed, step) and a step one of (state, batch, seed), so a checkpoint before it and its number
are enough. The samples' ids are for people.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np
from numpy.typing import ArrayLike

from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.files import whole_file
from stvg_jax.core.json_files import parse_json

SCHEMA = "stvg_jax.replay/1"


class TrainingDiverged(InputError):
    """The loss or the gradient is NaN or infinite."""


@dataclasses.dataclass(frozen=True)
class Replay:
    """What it takes to repeat a step.

    Attributes:
        step: number of the step, from 0: the state before it has `step == step`.
        seed: of the run.
        config: path of the run's configuration.
        checkpoint: step of the newest checkpoint before it, in the folder `checkpoints` beside `config`; None: the run
            began anew.
        metrics: of the step; floats or lists of floats.
        samples: ids in this host's rows of the batch, without padding.
        host, hosts: which one wrote this, of how many.
    """

    step: int
    seed: int
    config: str
    checkpoint: int | None
    metrics: Mapping[str, float | list]
    samples: Sequence[str]
    host: int = 0
    hosts: int = 1


def check_finite(
    metrics: Mapping[str, ArrayLike],
    folder: Path,
    *,
    step: int,
    seed: int,
    samples: Sequence[str],
    config: Path,
    checkpoint: int | None,
    watched: Sequence[str] = ("loss", "gradient_norm"),
) -> None:
    """Raises TrainingDiverged if a watched metric of a step is not finite, with a file in `folder` about the step.

    To be called for every step before a state after it is saved. Metrics are equal on all hosts, so all raise; each
    writes its own file, with its own samples.

    Args:
        metrics: name -> float32 scalar or array, on the host.
        folder: made when there is something to write.
        step, seed, samples, config, checkpoint: as in `Replay`.
        watched: names of metrics.

    Raises:
        TrainingDiverged: naming the values and the file.
    """
    wrong = {name: metrics[name] for name in watched if name in metrics and not np.all(np.isfinite(metrics[name]))}
    if not wrong:
        return
    replay = Replay(
        step=step,
        seed=seed,
        config=str(config),
        checkpoint=checkpoint,
        metrics={name: np.asarray(value, np.float64).tolist() for name, value in metrics.items()},
        samples=list(samples),
        host=jax.process_index(),
        hosts=jax.process_count(),
    )
    path = folder / f"step-{step:08d}.host-{replay.host:05d}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        # NaN and Infinity, which strict JSON lacks, are what this file is about; Python reads them.
        json.dump({"schema": SCHEMA, **dataclasses.asdict(replay)}, file, indent=1)
    values = ", ".join(f"{name} is {np.asarray(value)}" for name, value in wrong.items())
    kept = "there is no checkpoint" if checkpoint is None else f"the newest checkpoint is of step {checkpoint}"
    raise TrainingDiverged(
        f"training diverged at step {step}: {values}; {kept}. The samples of the batch are in {path}; the same command "
        "repeats the steps from the checkpoint on; a lower learning rate or float32 may help"
    )


def read_replay(path: Path) -> Replay:
    """Reads what `check_finite` wrote.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    try:
        record = parse_json(path.read_bytes())
        if record.pop("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA!r}")
        return Replay(**record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a replay file: {first_line(error)}") from error
