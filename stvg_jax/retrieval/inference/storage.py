"""Files of an index: embeddings of the windows of many videos.

INDEX/index.json        settings and the checkpoint, written first
INDEX/videos.jsonl      a sealed line for each video, after its rows are on the disk; the last one about a video counts
INDEX/bounds.f64        float64 [rows, 2], first and last second of each window
INDEX/embeddings.f16    float16 [rows, q, e], embeddings of each window

Rows are only ever added. Those of a video that has changed since stay in the files without use. After an interruption,
rows that no line names are overwritten.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.core.files import append_line, check_kinds, read_json_lines, to_disk, whole_file
from stvg_jax.core.json_files import read_json
from stvg_jax.core.tree import differing_settings

FORMAT = "stvg_jax.index/1"
_HEADER, _VIDEOS, _BOUNDS, _EMBEDDINGS = "index.json", "videos.jsonl", "bounds.f64", "embeddings.f16"
_KINDS = {"video": str, "bytes": int, "mtime_ns": int, "first": int, "rows": int, "error": str}


@dataclasses.dataclass(frozen=True)
class IndexedVideo:
    """A video of an index.

    Attributes:
        video: absolute path of its file.
        bytes, mtime_ns: size and time of change of the file that was read; a file with others is read again.
        first, rows: its rows.
        error: reason why it has none; "" for a video that was read.
    """

    video: str
    bytes: int
    mtime_ns: int
    first: int = 0
    rows: int = 0
    error: str = ""

    def is_of(self, file: os.stat_result) -> bool:
        """True if the file is still the one that was read."""
        return (self.bytes, self.mtime_ns) == (file.st_size, file.st_mtime_ns)


@dataclasses.dataclass(frozen=True)
class Header:
    """Content of `index.json`.

    Attributes:
        checkpoint: path or name of the checkpoint, as it was given.
        identity: of the model (`VideoTextEncoder.identity`).
        windows: `WindowConfig` as a mapping.
        shape: (q, e) of the embeddings of a window.
    """

    checkpoint: str
    identity: Mapping[str, Any]
    windows: Mapping[str, float]
    shape: tuple[int, int]


class IndexFolder:
    """An index on disk. Make one with `IndexFolder.open` or `IndexFolder.make`.

    Attributes:
        path: the folder.
        header: its settings.
        videos: its videos, by path.
    """

    def __init__(self, path: Path, header: Header):
        self.path, self.header = path, header
        lines = read_json_lines(path / _VIDEOS, _KINDS, may_be_cut=True)
        records = [IndexedVideo(**{name: line[name] for name in _KINDS}) for line in lines]
        self.videos = {record.video: record for record in records}
        self._rows = max((record.first + record.rows for record in records), default=0)
        for name, size in self._files.items():
            file = path / name
            found = file.stat().st_size if file.exists() else 0
            if found < size * self._rows or min((min(r.first, r.rows) for r in records), default=0) < 0:
                raise InputError(f"{file} is damaged: {found:,} bytes for {self._rows:,} windows; make the index anew")

    @classmethod
    def open(cls, path: Path) -> IndexFolder:
        """Opens an index.

        Raises:
            InputError: the folder is not one, or is damaged.
        """
        file = path / _HEADER
        if not file.is_file():
            what = "has no index.json" if path.is_dir() else "does not exist"
            raise InputError(f"index {path} {what}; `stvg-jax index VIDEOS... --out {path}` makes one")
        try:
            content = read_json(file)
            check_kinds(content, {"format": str, "checkpoint": str, "identity": dict, "windows": dict, "shape": list})
            if content["format"] != FORMAT:
                raise ValueError(f"its format is {quoted(content['format'])}, this version reads {FORMAT!r}")
            q, e = content["shape"]
            if not all(type(size) is int and 0 < size < 1 << 20 for size in (q, e)):
                raise ValueError(f"its shape is {quoted(str(content['shape']))}")
        except ValueError as error:
            raise InputError(f"{file} cannot be used: {first_line(error)}; make the index anew") from error
        return cls(path, Header(content["checkpoint"], content["identity"], content["windows"], (q, e)))

    @classmethod
    def make(cls, path: Path, header: Header) -> IndexFolder:
        """Opens the index in a folder to add to it, or begins one.

        Raises:
            InputError: the folder holds something else, or an index of another model or of other windows.
        """
        if (path / _HEADER).exists():
            found = cls.open(path)
            ours, theirs = ({"windows": dict(h.windows), **h.identity} for h in (_as_json(header), found.header))
            if differing := list(differing_settings(theirs, ours, {}))[:4]:
                raise InputError(
                    f"{path} is an index of another model or of other windows ({', '.join(map(quoted, differing))}); "
                    "choose another folder with --out"
                )
            return found
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(f"{path} exists and is not an index; choose another folder with --out")
        path.mkdir(parents=True, exist_ok=True)
        with whole_file(path / _HEADER) as file:
            json.dump({"format": FORMAT, **dataclasses.asdict(header)}, file, indent=1)
        return cls(path, header)

    @property
    def _files(self) -> dict[str, int]:
        """Bytes of a row in each file."""
        q, e = self.header.shape
        return {_BOUNDS: 16, _EMBEDDINGS: 2 * q * e}

    def add(self, video: IndexedVideo, bounds_sec: np.ndarray, embeddings: np.ndarray) -> None:
        """Adds a video; it is on the disk when this returns.

        Args:
            video: `first` and `rows` are filled in.
            bounds_sec: float [n, 2], first and last second of each window.
            embeddings: float [n, q, e].
        """
        rows = len(embeddings)
        for (name, size), values in zip(
            self._files.items(), (bounds_sec.astype(np.float64), embeddings.astype(np.float16)), strict=True
        ):
            path = self.path / name
            with path.open("r+b" if path.exists() else "w+b") as file:
                file.truncate(self._rows * size)
                file.seek(self._rows * size)
                file.write(values.tobytes())
                to_disk(file)
        record = dataclasses.replace(video, first=self._rows, rows=rows)
        self._append(record)
        self._rows += rows

    def leave_out(self, video: IndexedVideo) -> None:
        """Records that a video has no rows, for instance because it is damaged (`IndexedVideo.error`)."""
        self._append(dataclasses.replace(video, first=0, rows=0))

    def _append(self, record: IndexedVideo) -> None:
        append_line(self.path / _VIDEOS, dataclasses.asdict(record))
        self.videos[record.video] = record

    @property
    def rows(self) -> int:
        """Number of rows in use."""
        return sum(record.rows for record in self.videos.values())

    def row_videos(self) -> tuple[np.ndarray, Sequence[str]]:
        """Number of the video of each row, int32 [rows of the files], -1 for rows without use; and the videos."""
        names = [name for name, record in self.videos.items() if record.rows]
        numbers = np.full(self._rows, -1, np.int32)
        for number, name in enumerate(names):
            record = self.videos[name]
            numbers[record.first : record.first + record.rows] = number
        return numbers, names

    def bounds_sec(self) -> np.ndarray:
        """float64 [rows of the files, 2], mapped into memory."""
        return self._mapped(_BOUNDS, np.float64, (2,))

    def embeddings(self) -> np.ndarray:
        """float16 [rows of the files, q, e], mapped into memory."""
        return self._mapped(_EMBEDDINGS, np.float16, self.header.shape)

    def _mapped(self, name: str, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
        if not self._rows:
            return np.zeros((0, *shape), dtype)
        return np.memmap(self.path / name, dtype, "r", shape=(self._rows, *shape))


def _as_json(header: Header) -> Header:
    """The header as it would be read back."""
    return dataclasses.replace(header, identity=json.loads(json.dumps(dict(header.identity))))
