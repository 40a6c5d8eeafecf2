"""The commands of `stvg-jax`: each module has DESCRIPTION, EPILOG, `add_arguments(parser)` and `run(args)`.

They are imported to build the command line, so they import what they need inside `run`.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping


def add_commands(subparsers: argparse._SubParsersAction, summaries: Mapping[str, str], prefix: str, run: str) -> None:
    """Adds a parser for each command, from the module that has it.

    Args:
        subparsers: of `ArgumentParser.add_subparsers`.
        summaries: name -> one line for the list of commands.
        prefix: of the module's name in this package, before the command's.
        run: name under which the module's `run` is put into the parsed arguments.
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
