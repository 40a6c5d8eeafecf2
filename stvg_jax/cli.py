"""The `stvg-jax` command."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

from stvg_jax import __version__
from stvg_jax.commands import add_commands
from stvg_jax.console import leave, open_streams
from stvg_jax.core.characters import has_surrogate, one_line
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.devices import silence_libraries

_COMMANDS = {
    "ground": "find when and where a video shows what a sentence describes",
    "train": "train the model of a configuration",
    "inspect": "show what a training needs: parameters, memory, operations",
    "index": "make an index of videos, to search in them",
    "search": "find which of many videos shows what a sentence describes, and when",
    "eval": "evaluate a checkpoint on a dataset with the published measures",
    "calibrate": "calibrate the confidence of a checkpoint in its answers",
    "score": "score any system's predictions, without a model",
    "prepare": "prepare a dataset: frames from its videos, attribute labels from its sentences",
    "checkpoints": "list the checkpoints that have names, and fetch them",
    "convert": "turn a released PyTorch checkpoint into one of this library",
    "push": "upload a checkpoint to the Hugging Face hub",
    "serve": "serve a page, and an HTTP API, on which videos are grounded",
    "demo": "ground sentences in a small generated video, to see that everything works",
}

_DESCRIPTION = """\
Spatio-temporal video grounding: from a video and a sentence to a tube, which is the time that the sentence
describes and a box of the described person or object in every frame of that time."""

_EPILOG = """\
a first session:
  stvg-jax demo                                        # needs nothing
  stvg-jax checkpoints                                 # released models, by their names
  stvg-jax ground video.mp4 "the man in blue who stands up and leaves" --checkpoint ta_stvg_hcstvg1 --out answer

`stvg-jax COMMAND --help` explains each command. Exit codes: 0 done, 2 bad input, 130 interrupted."""

# Characters of a line of a message; paths and other values may have any length.
_LINE_LENGTH = 2_000


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one line, like other bad input."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_line(message, _LINE_LENGTH)} (see `{self.prog} --help`)\n")


def make_parser() -> argparse.ArgumentParser:
    """Makes the whole command line. The module of each command adds its own options."""
    parser = _Parser(
        prog="stvg-jax",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"stvg-jax {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add_commands(commands, _COMMANDS, prefix="", run="run")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    # Importing and tracing make millions of objects, almost none of them in cycles. Python's limit of 700 looks for
    # cycles among them so often that it takes a fifth of the time until a model runs.
    gc.set_threshold(max(gc.get_threshold()[0], 10_000))
    silence_libraries()
    parser = make_parser()
    args, rest = parser.parse_known_args(argv)
    # --config.KEY=VALUE belongs to the configuration file, which the command reads.
    args.overrides = [
        argument for argument in rest if argument.startswith("--config.") and getattr(args, "config", None)
    ]
    if unknown := [argument for argument in rest if argument not in args.overrides]:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        # Paths may hold bytes that are not UTF-8, as the system allows; other text may not.
        if unreadable := next((text for text in _texts(args) if has_surrogate(text) and not _is_path(text)), None):
            raise InputError(
                f"the argument {quoted(unreadable)} is not UTF-8, and no file has this name; type it again"
            )
        args.run(args)
    except InputError as error:
        message = "\n".join(one_line(line, _LINE_LENGTH) for line in str(error).split("\n"))
        print(f"stvg-jax {args.command}: {message}", file=sys.stderr)
        return 2
    except OSError as error:
        # Any write can meet a full disk or a lost permission; the message of the system is clear enough.
        where = f"{one_line(os.fsdecode(error.filename))}: " if isinstance(error.filename, (str, bytes)) else ""
        what = one_line(str(error.strerror or error), _LINE_LENGTH)
        print(f"stvg-jax {args.command}: {where}{what}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stvg-jax {args.command}: interrupted", file=sys.stderr)
        return 130
    return 0


def _texts(args: argparse.Namespace) -> Iterator[str]:
    """Arguments that are text, alone or in lists."""
    for value in vars(args).values():
        yield from (text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))


def _is_path(text: str) -> bool:
    """True if an argument such as `--checkpoint`, or the value of `--config.x=value`, is an existing path."""
    return os.path.exists(text) or (text.startswith("--config.") and os.path.exists(text.partition("=")[2]))


def entry() -> NoReturn:
    """The `stvg-jax` program. After a failure it exits at once, without waiting for a compilation that was begun on a
    thread while the video was read."""
    open_streams()
    try:
        code = main()
    except SystemExit as stop:  # of argparse, after --help and after a wrong command line
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    code = leave(code)
    if code:
        os._exit(code)
    sys.exit(0)


if __name__ == "__main__":
    entry()
