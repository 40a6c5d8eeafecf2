"""Commands of `stvg-jax`. The module of a command has DESCRIPTION, EPILOG, `add_arguments(parser)` and `run(args)`.

All modules are imported to build the command line, so heavy imports stand inside `run`.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping


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
