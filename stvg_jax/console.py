"""The standard streams of the command, whatever they are connected to: pipes, full disks, terminals of any encoding."""

from __future__ import annotations

import io
import os
import sys


def open_streams() -> None:
    """Makes the standard streams safe to write to, before anything is written.

    - A stream that was closed (`>&-`) leads to the null device. Otherwise the next file that is opened would take its
      number, and get what a library writes to the standard error.
    - A character that the encoding of a stream lacks is escaped.
    - When the reader of a pipe has left (`| head -1`), what is written after that goes nowhere, and the work goes on.
      So does a command whose standard error cannot be written for any other reason: only progress is lost.
    """
    for number, mode in enumerate(("r", "w", "w")):
        _open_closed(number, mode)
    sys.stdout = _tolerant(sys.stdout, BrokenPipeError)
    sys.stderr = _tolerant(sys.stderr, OSError)


def leave(code: int) -> int:
    """Writes out what the streams still hold.

    Args:
        code: with which the command ends.

    Returns:
        `code`, or 2 where that was 0 and the standard output cannot be written.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        if not code:
            print(f"stvg-jax: {error.filename or 'standard output'}: {error.strerror}", file=sys.stderr)
        code = code or 2
    sys.stderr.flush()
    return code


def _open_closed(number: int, mode: str) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, os.O_RDONLY if mode == "r" else os.O_WRONLY)
        if opened == number:
            os.set_inheritable(number, True)
        else:
            os.dup2(opened, number)
            os.close(opened)
    name = ("stdin", "stdout", "stderr")[number]
    if getattr(sys, name) is None:
        setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


class _Tolerant(io.FileIO):
    """A file that takes whatever is written to it after a failure of a kind that is to be overlooked.

    Args:
        number: the open file; it stays open.
        name: of the stream, for messages.
        overlooked: the kind.
    """

    def __init__(self, number: int, name: str, overlooked: type[OSError]):
        super().__init__(number, "w", closefd=False)
        self._stream_name, self._overlooked = name, overlooked

    def write(self, data) -> int | None:
        try:
            return super().write(data)
        except self._overlooked:
            # The library that decodes videos writes there too.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return len(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._stream_name) from None


def _tolerant(stream, overlooked: type[OSError]):
    """`stream` with another file below it; as it is where it is none of Python's own."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.reconfigure(errors="backslashreplace")
    raw = getattr(stream.buffer, "raw", stream.buffer)
    if not isinstance(raw, io.FileIO):  # a terminal of Windows
        return stream
    stream.flush()
    name = {1: "standard output", 2: "standard error"}.get(raw.fileno(), "standard stream")
    return io.TextIOWrapper(
        io.BufferedWriter(_Tolerant(raw.fileno(), name, overlooked)),
        encoding=stream.encoding,
        errors="backslashreplace",
        line_buffering=stream.line_buffering or stream.write_through,
    )
