"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """A text file to write, UTF-8, that takes the name `path` when the block ends without an exception.

    It is on the disk by then: what replaces a file that held hours of work must not be lost with the power. Names of
    files may hold what UTF-8 cannot write (lone surrogates): it is escaped, as JSON does it too.
    """
    # Several processes may write the same file at the same time.
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
