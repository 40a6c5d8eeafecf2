"""Commands of `stvg-jax`. The module of a command has DESCRIPTION, EPILOG, `add_arguments(parser)` and `run(args)`.

All modules are imported to build the command line, so heavy imports stand inside `run`.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
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


def add_commands(subparsers: argparse._SubParsersAction, summaries: Mapping[str, str], prefix: str, run: str) -> None:
    """Adds a parser for each command.

    Args:
        subparsers: result of `ArgumentParser.add_subparsers`.
        summaries: name -> one line for the list of commands.
        prefix: beginning of the names of the commands' modules in this package.
        run: name of the module's `run` in the parsed arguments.
    """
    for name, summary in summaries.items():
        module = importlib.import_module(f"{__name__}.{prefix}{name}")
        command = subparsers.add_parser(
            name,
            help=summary,
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(**{run: module.run})


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
