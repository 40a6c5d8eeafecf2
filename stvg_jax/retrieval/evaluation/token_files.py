"""Tokens of encoded videos, which re-ranking reads: too large for records, too expensive to compute twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.files import whole_path


class TokenFiles:
    """A file for each video, 1.5 MB for STGT.

    Args:
        folder: folder of the files, shared by all hosts; made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, video: int, tokens: np.ndarray) -> None:
        """Writes the tokens of a video, float32 [n, d]; the file appears whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with whole_path(self._path(video)) as path, path.open("wb") as file:
            npy.write_array(file, tokens, allow_pickle=False)

    def read(self, video: int) -> np.ndarray:
        """The tokens of a video.

        Raises:
            InputError: its file is missing or damaged.
        """
        try:
            with self._path(video).open("rb") as file:
                return npy.read_array(file, allow_pickle=False)
        except (OSError, ValueError, MemoryError) as error:
            raise InputError(
                f"{self._path(video)} cannot be read ({first_line(error)}); delete {self._folder.parent}, to have all "
                "videos encoded again"
            ) from error

    def remove(self) -> None:
        """Removes all files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, video: int) -> Path:
        return self._folder / f"{video:07d}.npy"
