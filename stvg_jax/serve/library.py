"""Videos of an index: files of the server's user, which are read where they lie and never changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.serve.limits import Refusal
from stvg_jax.serve.videos import INDEXED, StoredVideo, printable, read_video

if TYPE_CHECKING:
    from stvg_jax.retrieval.inference.index import Index
    from stvg_jax.retrieval.inference.storage import IndexedVideo


class Library:
    """The videos of an index, by ids. No other file can be reached through it.

    Args:
        index: the index.
    """

    def __init__(self, index: Index):
        self._records = {_id(record): record for record in index.records.values()}
        self._ids = {record.video: id for id, record in self._records.items()}
        folders = {os.path.dirname(path) for path in self._ids}
        self._folder = os.path.commonpath(folders) if folders else ""
        self._opened: dict[str, StoredVideo] = {}

    def __contains__(self, id: str) -> bool:
        return id in self._records

    def id_of(self, path: str) -> str:
        """Id of a video of the index."""
        return self._ids[path]

    def name(self, id: str) -> str:
        """File name, after that of its folder if the index has videos of several; printable and short."""
        below = os.path.relpath(self._records[id].video, self._folder)
        return printable("/".join(Path(below).parts[-2:]))

    def problem(self, id: str) -> str | None:
        """Reason why a video can no longer be shown; None if its file is the one that was indexed."""
        record = self._records[id]
        try:
            state = os.stat(record.video)
        except OSError:
            return f"{quoted(self.name(id))} is gone or cannot be read; index its folder again"
        if not record.is_of(state):
            return f"{quoted(self.name(id))} has changed since it was indexed; index it again"
        return None

    def get(self, id: str) -> StoredVideo:
        """The video with this id; it is opened at its first use.

        Raises:
            Refusal: there is none, or its file has changed or is gone.
            InputError: the file can no longer be read as a video.
        """
        if id not in self._records:
            raise Refusal(f"there is no video {quoted(id, 40)} in the index", 404)
        if (problem := self.problem(id)) is not None:
            raise Refusal(problem, 410)
        if id not in self._opened:
            path = Path(self._records[id].video)
            try:
                self._opened[id] = read_video(path, id, self.name(id), INDEXED)
            except InputError as error:
                raise InputError(str(error).replace(str(path), quoted(self.name(id)))) from error
        return self._opened[id]


def _id(record: IndexedVideo) -> str:
    """The id names one version of a file, so that a link to a question about it never leads to another one."""
    version = f"{record.video}\0{record.bytes}\0{record.mtime_ns}"
    return hashlib.sha256(version.encode(errors="surrogateescape")).hexdigest()[:32]
