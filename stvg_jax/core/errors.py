"""The exception for bad input, and parts of its messages."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


def first_line(error: BaseException, limit: int = 300) -> str:
    """First line of another library's message: control characters escaped, cut to `limit` characters."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0][:limit]
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in line)


def quoted(value: object, limit: int = 120) -> str:
    """Text from outside for a message: quoted, control characters escaped, cut to `limit` characters."""
    text = value if isinstance(value, str) else str(value)[: limit + 1]
    return repr(text) if len(text) <= limit else f"{repr(text[:limit])}..."


class InputError(Exception):
    """Bad input: a file, an option, a sentence or a checkpoint that cannot be used as given.

    The message gives the value, the rule that it breaks and the way out, in one line where possible. The command line
    prints it without a traceback and exits with code 2.
    """


@contextlib.contextmanager
def failures_told(what: str) -> Iterator[None]:
    """Turns any failure of a library that reads a damaged file into InputError, which begins with `what`.

    For libraries in Rust, such as tokenizers: they raise bare Exception, and a panic is not even one.
    """
    try:
        yield
    except (InputError, KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:
        raise InputError(f"{what}: {first_line(error)}") from error


def how_to_install(extra: str) -> str:
    """Commands that install an extra of pyproject.toml, from a clone and from a wheel."""
    return f"pip install -e '.[{extra}]' in a clone of stvg_jax, or pip install './stvg_jax-...whl[{extra}]'"


def missing_extra(extra: str, what: str) -> InputError:
    """Error for packages that are not installed.

    Args:
        extra: the extra of pyproject.toml that names them.
        what: beginning of the message, such as "training needs clu".
    """
    return InputError(f"{what}; {how_to_install(extra)}")
