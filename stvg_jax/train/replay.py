"""End of a run whose loss is no longer finite, with a file to repeat the step.

A batch is a function of (seed, step) and a new state one of (state, batch, seed), so the number of the step and an
earlier checkpoint are enough. The ids of the samples are for people.
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
    """Everything needed to repeat a step.

    Attributes:
        step: number of the step, from 0; equal to `step` of the state before it.
        seed: seed of the run.
        config: path of the run's configuration.
        checkpoint: step of the newest checkpoint before the step, in the folder `checkpoints` beside `config`; None if
            there is none.
        metrics: metrics of the step, floats or lists of floats by name.
        samples: ids of the samples in this host's rows of the batch.
        host, hosts: number of the host that wrote this, and the number of hosts.
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
    """Raises TrainingDiverged if a watched metric of a step is not finite, after writing a file about the step.

    It is called for every step before a later state is saved. Metrics are equal on all hosts, so all raise; each writes
    a file with its own samples.

    Args:
        metrics: name -> float32 scalar or array, on the host.
        folder: folder for the file; made when needed.
        step, seed, samples, config, checkpoint: as in `Replay`.
        watched: names of the metrics to check.

    Raises:
        TrainingDiverged: a metric is not finite; the message gives the values and the file.
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
        # The file is about NaN and Infinity, which strict JSON lacks and Python reads.
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
        InputError: the file cannot be read, or is not such a file.
    """
    try:
        record = parse_json(path.read_bytes())
        if record.pop("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA!r}")
        return Replay(**record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a replay file: {first_line(error)}") from error
