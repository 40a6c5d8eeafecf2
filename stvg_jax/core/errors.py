"""The one exception that means "the person at the keyboard can mend this", and parts of its messages."""


def first_line(error: BaseException, limit: int = 300) -> str:
    """The first line of another library's message, to quote in one of ours: control characters escaped, and cut."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0][:limit]
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in line)


def quoted(value: object, limit: int = 120) -> str:
    """Text from outside as it may stand in a message: quoted, control characters escaped, cut to `limit` characters."""
    text = value if isinstance(value, str) else str(value)[: limit + 1]
    return repr(text) if len(text) <= limit else f"{repr(text[:limit])}..."


class InputError(Exception):
    """Bad input: a file, an option, a sentence or a checkpoint that cannot be used as given.

    The message names the value, the rule it breaks and the way out, in one line where possible. The command
    line prints it without a traceback and exits with code 2; library callers may catch it.
    """


def how_to_install(extra: str) -> str:
    """The command that adds an extra of pyproject.toml, as it works from a clone and from the file of a wheel."""
    return f"pip install -e '.[{extra}]' in a clone of stvg_jax, or pip install './stvg_jax-...whl[{extra}]'"


def missing_extra(extra: str, what: str) -> InputError:
    """The error for packages that are not installed.

    Args:
        extra: of pyproject.toml, which names them.
        what: the beginning of the message, such as "training needs clu".
    """
    return InputError(f"{what}; {how_to_install(extra)}")
