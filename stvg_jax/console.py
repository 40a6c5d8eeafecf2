"""Standard streams that are safe to write to, on pipes, full disks and terminals of any encoding."""

from __future__ import annotations

import io
import os
import sys


def open_streams() -> None:
    """Makes the standard streams safe to write to, before anything is written.

    - A stream that was closed (`>&-`) is opened on the null device. Otherwise the next file that is opened would get
      its number, and with it the messages of libraries.
    - A character that the encoding of a stream lacks is escaped.
    - If the reader of a pipe has ended (`| head -1`), later output is dropped and the command goes on. The same holds
      if the standard error cannot be written for any reason: only progress reports are lost.
    """
    for number, mode in enumerate(("r", "w", "w")):
        _open_closed(number, mode)
    sys.stdout = _tolerant(sys.stdout, BrokenPipeError)
    sys.stderr = _tolerant(sys.stderr, OSError)


def leave(code: int) -> int:
    """Flushes the streams.

    Args:
        code: exit code of the command.

    Returns:
        `code`; 2 if it was 0 and the standard output cannot be written.
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
    """A file that drops everything that is written to it after an error of the kind to ignore.

    Args:
        number: descriptor of the open file, which stays open.
        name: name of the stream, for messages.
        overlooked: kind of error to ignore.
    """

    def __init__(self, number: int, name: str, overlooked: type[OSError]):
        super().__init__(number, "w", closefd=False)
        self._stream_name, self._overlooked = name, overlooked

    def write(self, data) -> int | None:
        try:
            return super().write(data)
        except self._overlooked:
            # FFmpeg writes to the descriptor itself.
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return len(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._stream_name) from None


def _tolerant(stream, overlooked: type[OSError]):
    """`stream` on a `_Tolerant` file; unchanged if it is not one of Python's own streams."""
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
