"""The `stvg-jax` command: the one place where all parts meet."""

from __future__ import annotations

import argparse
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
    "train": "train the system of a configuration",
    "inspect": "show what a configuration would train: parameters, memory, work",
    "eval": "evaluate a checkpoint on a dataset, with the published metrics",
    "score": "score any system's predictions, without a model",
    "prepare": "make a dataset ready: frames out of its videos, attribute labels out of its sentences",
    "convert": "turn a released PyTorch checkpoint into one of this library",
    "demo": "ground sentences in a small generated video, to see that everything works",
}

_DESCRIPTION = """\
Spatio-temporal video grounding: a video and a sentence in, a tube out - when the described person or
object is meant, and a box for it in every frame of that time."""

_EPILOG = """\
a first session:
  stvg-jax demo                                        # needs nothing
  stvg-jax convert TASTVG_HCSTVG.pth checkpoints/ta    # once per released checkpoint
  stvg-jax ground video.mp4 "the man in blue who stands up and leaves" --checkpoint checkpoints/ta --out answer

`stvg-jax COMMAND --help` explains each command. Exit codes: 0 done, 2 bad input, 130 interrupted."""

# Of a line of a message: paths and other values may have any length.
_LINE_LENGTH = 2_000


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line in one line, as all other bad input."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_line(message, _LINE_LENGTH)} (see `{self.prog} --help`)\n")


def make_parser() -> argparse.ArgumentParser:
    """The whole command line. Each command's module adds its own options."""
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
    silence_libraries()
    parser = make_parser()
    args, rest = parser.parse_known_args(argv)
    # What follows --config belongs to the configuration file, which the command reads.
    args.overrides = [
        argument for argument in rest if argument.startswith("--config.") and getattr(args, "config", None)
    ]
    if unknown := [argument for argument in rest if argument not in args.overrides]:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        # Paths may hold bytes that are no UTF-8, as the system allows; what is read as text may not.
        if unreadable := next((text for text in _texts(args) if has_surrogate(text) and not _is_path(text)), None):
            raise InputError(
                f"the argument {quoted(unreadable)} is not text in UTF-8, and no file has this name; write it anew"
            )
        args.run(args)
    except InputError as error:
        message = "\n".join(one_line(line, _LINE_LENGTH) for line in str(error).split("\n"))
        print(f"stvg-jax {args.command}: {message}", file=sys.stderr)
        return 2
    except OSError as error:
        # Full disks and lost permissions can strike any write; the message of the system is the clearest there is.
        where = f"{one_line(os.fsdecode(error.filename))}: " if isinstance(error.filename, (str, bytes)) else ""
        what = one_line(str(error.strerror or error), _LINE_LENGTH)
        print(f"stvg-jax {args.command}: {where}{what}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stvg-jax {args.command}: interrupted", file=sys.stderr)
        return 130
    return 0


def _texts(args: argparse.Namespace) -> Iterator[str]:
    """The arguments that are text, alone or in lists."""
    for value in vars(args).values():
        yield from (text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))


def _is_path(text: str) -> bool:
    """Whether an argument that may be a path, such as `--checkpoint`, or the value of `--config.x=value` is one."""
    return os.path.exists(text) or (text.startswith("--config.") and os.path.exists(text.partition("=")[2]))


def entry() -> NoReturn:
    """The `stvg-jax` program. After a failure it leaves at once: a compilation that still runs on a thread, begun while
    the video was being read, would keep the shell waiting for nothing."""
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
