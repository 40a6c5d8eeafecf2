"""Checkpoints made ready for others: a folder with one file of parameters and a model card."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stvg_jax import __version__
from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.json_files import read_json
from stvg_jax.core.progress import Progress
from stvg_jax.core.registry import get_family

_CARD = "README.md"
_MAX_LINE = 300


def prepare_upload(directory: Path, out: Path, repository: str, *, licence: str | None, progress: Progress) -> None:
    """Writes a checkpoint as others should get it: verified, its parameters in one file, with a model card.

    Paths of this machine stay out of it: of `conversion.json` the name of the source is kept, of `training.json` the
    configuration without the places of data, and no commands.

    Args:
        directory: a checkpoint.
        out: an empty folder.
        repository: its name on the hub, for the card.
        licence: identifier of the licence, such as "apache-2.0"; None to state none.
        progress: shows the work.

    Raises:
        InputError: the folder is no checkpoint, or is damaged.
    """
    description = checkpoint.describe(directory)
    with progress.bar("verifying", len(description.parameters), "parameter") as step:
        checkpoint.verify(directory, progress=lambda _: step())
    checkpoint.write(out, checkpoint.read(directory, description), description, one_file=True)
    if (directory / checkpoint.TOKENIZER).is_dir():
        (out / checkpoint.TOKENIZER).mkdir()
        shutil.copy(directory / checkpoint.TOKENIZER / "tokenizer.json", out / checkpoint.TOKENIZER)
    if (directory / checkpoint.CALIBRATION).is_file():
        shutil.copy(directory / checkpoint.CALIBRATION, out)
    training, conversion = _read(directory / checkpoint.TRAINING), _read(directory / checkpoint.CONVERSION)
    for name, record in (
        (checkpoint.TRAINING, _without_places(training)),
        (checkpoint.CONVERSION, _without_paths(conversion)),
    ):
        if record:
            (out / name).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    card = make_card(checkpoint.describe(out), repository, training, conversion, licence)
    (out / _CARD).write_text(card, encoding="utf-8")


def make_card(
    description: checkpoint.Description,
    repository: str,
    training: Mapping[str, Any],
    conversion: Mapping[str, Any],
    licence: str | None,
) -> str:
    """The model card of a checkpoint, in Markdown with the hub's header.

    Args:
        description: its description.
        repository: its name on the hub.
        training: content of its training.json; empty without one.
        conversion: content of its conversion.json; empty without one.
        licence: identifier of the licence; None to state none.
    """
    values = sum(math.prod(entry["shape"]) for entry in description.parameters.values())
    rows = {
        "system": description.model,
        "parameters": f"{values / 1e6:.1f} million, float32",
        "resolution": description.config.get("clip", {}).get("resolution"),
        "origin": _line(description.note),
        "converted from": _line(Path(str(conversion.get("source", ""))).name),
        "SHA-256 of the source": _line(conversion.get("sha256")),
        "weights": _line(conversion.get("weights")),
        "steps": training.get("steps"),
        "batch size": training.get("batch_size"),
        "training samples": training.get("samples"),
        "seed": training.get("seed"),
    }
    lines = ["---", "library_name: stvg-jax"]
    task = "video-text retrieval" if _retrieves(description) else "spatio-temporal video grounding"
    lines += ["tags:", f"- {task.replace(' ', '-')}", f"- {description.model}", "- jax"]
    lines += [f"license: {licence}"] if licence else []
    lines += ["---", "", f"# {repository}", ""]
    if description.kind == "model":
        lines += [f"A model of {task} for stvg_jax:", "", "```", usage(description, repository), "```", ""]
    else:
        lines += ["Parameters for stvg_jax that a training starts from:", ""]
        lines += ["```", f"stvg-jax train --config CONFIG --config.train.initialise=\"('{repository}',)\"", "```", ""]
    lines += [
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows.items() if value not in (None, "")),
    ]
    measures = training.get("validation")
    if isinstance(measures, Mapping) and measures:
        lines += ["", "## Validation", "", "| measure | value |", "|---|---|"]
        lines += [f"| {_line(name)} | {_line(value)} |" for name, value in measures.items()]
    return "\n".join([*lines, "", f"Written by `stvg-jax push`, version {__version__}.", ""])


def usage(description: checkpoint.Description, repository: str) -> str:
    """A command that uses a model of the hub."""
    if _retrieves(description):
        return f"stvg-jax index VIDEOS --checkpoint {repository} --out index"
    return f'stvg-jax ground video.mp4 "the man in blue who leaves" --checkpoint {repository}'


def _retrieves(description: checkpoint.Description) -> bool:
    """True for a model that is evaluated, but not by tubes."""
    family = get_family(description.model)
    return family.evaluator is not None and family.protocol is None


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds {type(content).__name__}, not an object")
    return content


def _without_places(training: Mapping[str, Any]) -> dict[str, Any]:
    """A training's record without its commands and the places of its data."""
    config = training.get("config")
    kept = {key: value for key, value in training.items() if key not in ("starts", "config")}
    starts = training.get("starts")
    if isinstance(starts, list):
        kept["starts"] = [
            {key: value for key, value in start.items() if key in ("time", "hosts", "devices", "versions")}
            for start in starts
            if isinstance(start, dict)
        ]
    if isinstance(config, dict):
        kept["config"] = {section: values for section, values in config.items() if section != "data"}
    return kept


def _without_paths(conversion: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: Path(str(value)).name if key in ("source", "tokenizer") and value is not None else value
        for key, value in conversion.items()
    }


def _line(value: Any) -> str | None:
    """A value of a file as the cell of a table."""
    if value is None:
        return None
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    text = text if text.isprintable() and len(text) <= _MAX_LINE else quoted(text, _MAX_LINE)
    return text.replace("|", "\\|").replace("<", "&lt;")
