"""Arguments for the annotations of a dataset. The command line is built without importing the datasets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

# Options of some datasets (`Dataset.options`): metavar and help.
_OPTIONS = {
    "trajectories": ("DIR", "VidSTG: folder of VidOR's annotations, for sentence files (default: found beside them)"),
    "replacements": (
        "FILE",
        "VidSTG: JSON object of words to replace in sentences; give the same file to all commands",
    ),
}


def add_dataset(parser: argparse._ActionsContainer, *, required: bool, help: str = "kind of annotations") -> None:
    """Adds --dataset."""
    from stvg_jax.data_pipeline.datasets.registry import MODULES

    parser.add_argument("--dataset", choices=tuple(MODULES), required=required, help=help)


def add_options(parser: argparse._ActionsContainer, *names: str) -> None:
    """Adds the options with these names, or all options."""
    for name in names or _OPTIONS:
        metavar, help = _OPTIONS[name]
        parser.add_argument(f"--{name}", type=Path, metavar=metavar, help=help)


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """Options in the parsed arguments by name; None for those that are not given."""
    return {name: getattr(args, name) for name in _OPTIONS if hasattr(args, name)}
