"""A server of files on the loopback address."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Files(SimpleHTTPRequestHandler):
    """Serves files of a folder.

    Attributes:
        cut: bytes that are missing at the end of each.
    """

    cut = 0

    def log_message(self, *arguments) -> None:
        pass

    def copyfile(self, source, outputfile) -> None:
        content = source.read()
        outputfile.write(content[: len(content) - self.cut])


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serves the files of a folder; yields the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Files, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()
