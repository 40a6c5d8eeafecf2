"""The card of a trained checkpoint: what anybody who is handed it would ask."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stvg_jax.core import checkpoint

CARD = "training.json"


def write_card(
    directory: Path,
    *,
    steps: int,
    samples: int,
    config: Mapping[str, Any],
    starts: Sequence[Mapping[str, Any]],
    validation: Mapping[str, float] | None,
) -> None:
    """Writes training.json into a checkpoint directory that has its one file of parameters.

    Args:
        directory: of the checkpoint.
        steps: that were made.
        samples: of the training split.
        config: the whole experiment's.
        starts: of the run (`stvg_jax.train.workdir.Workdir.starts`).
        validation: measures of these parameters, where they were validated.
    """
    card = {
        "steps": steps,
        "samples": samples,
        "batch_size": config["train"]["batch_size"],
        "seed": config["train"]["seed"],
        "validation": None if validation is None else dict(validation),
        "sha256": sha256(directory / checkpoint.PARAMETERS_FILE),
        "starts": list(starts),
        "config": config,
    }
    (directory / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def sha256(file: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
