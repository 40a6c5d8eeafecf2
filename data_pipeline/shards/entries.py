"""Entries of a store, one for each video, and their text form."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from stvg_jax.core.errors import InputError, quoted

# Frames of a video: almost four days at 30 per second.
_MAX_FRAMES = 10_000_000
_NUMBERS = (
    *((name, int, 0, 2**63 - 1) for name in ("bytes", "source_bytes")),
    *((name, int, 0, 2**31 - 1) for name in ("width", "height", "stored_width", "stored_height")),
    ("source_mtime_ns", int, -(2**63), 2**63 - 1),
    ("frame_count", int, 0, _MAX_FRAMES),
    ("rotation", int, 0, 359),
    ("fps", (int, float), 0, 1e9),
)
_FRAMES = re.compile(r"[0-9]{1,9}(-[0-9]{1,9})?(,[0-9]{1,9}(-[0-9]{1,9})?)*")
_IDENTITY = re.compile(r"([0-9a-f]{2}){1,32}")


@dataclasses.dataclass(frozen=True)
class StoredVideo:
    """A video whose frames are in the store.

    Attributes:
        file: its shard, relative to the store's folder.
        bytes, sha256: size and checksum of the shard.
        frame_count: frames of the video; ids run from 0 to frame_count - 1 in display order.
        width, height: pixels of a displayed frame of the video, after rotation.
        fps: average displayed frames per second.
        rotation: degrees counter-clockwise by which decoded pictures were turned for display.
        stored_width, stored_height: pixels of a stored frame.
        frames: ids of the stored frames as text, "0-5,9,12-14"; None if all are stored.
        source_bytes, source_mtime_ns, source_sha256: size, time of change and checksum of the video file.
        identity: mark of all frames of the shard (`data_pipeline.shards.jpeg`); None for shards of earlier versions,
            whose frames have no mark.
    """

    file: str
    bytes: int
    sha256: str
    frame_count: int
    width: int
    height: int
    fps: float
    rotation: int
    stored_width: int
    stored_height: int
    frames: str | None
    source_bytes: int
    source_mtime_ns: int
    source_sha256: str
    identity: str | None = None

    def __post_init__(self) -> None:
        """Refuses values that no run writes, which could lead out of the store or fill the memory.

        Raises:
            InputError: naming the field.
        """
        for name, kind, least, largest in _NUMBERS:
            value = getattr(self, name)
            if not isinstance(value, kind) or isinstance(value, bool) or not least <= value <= largest:
                raise _damaged(name, value)
        for name in ("file", "sha256", "source_sha256"):
            if not isinstance(getattr(self, name), str):
                raise _damaged(name, getattr(self, name))
        if self.identity is not None and not (isinstance(self.identity, str) and _IDENTITY.fullmatch(self.identity)):
            raise _damaged("identity", self.identity)
        if self.frames is not None and not (isinstance(self.frames, str) and _FRAMES.fullmatch(self.frames)):
            raise _damaged("frames", self.frames)
        place = pathlib.PurePosixPath(self.file)
        if place.parts[:1] != ("shards",) or len(place.parts) < 2 or ".." in place.parts or not _is_name(self.file):
            raise _damaged("file", self.file)

    @property
    def reduced(self) -> bool:
        """True if stored frames are smaller than those of the video."""
        return (self.stored_width, self.stored_height) != (self.width, self.height)

    @functools.cached_property
    def frame_ids(self) -> np.ndarray | None:
        """int64 [n], ascending ids of the stored frames; None if all are stored."""
        return None if self.frames is None else ids_from_text(self.frames)

    @property
    def every_id(self) -> np.ndarray:
        """int64 [n], ascending ids of the stored frames."""
        return np.arange(self.frame_count) if self.frame_ids is None else self.frame_ids

    @property
    def stored_count(self) -> int:
        """Number of stored frames."""
        return self.frame_count if self.frame_ids is None else len(self.frame_ids)

    def records_of(self, frame_ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Numbers of the records of frames: ids [n] to int64 [n], -1 for a frame that is not stored."""
        wanted = np.asarray(frame_ids, np.int64).reshape(-1)
        if self.frame_ids is None:
            return np.where((wanted >= 0) & (wanted < self.frame_count), wanted, -1)
        places = np.minimum(np.searchsorted(self.frame_ids, wanted), len(self.frame_ids) - 1)
        return np.where(self.frame_ids[places] == wanted, places, -1)

    def holds(self, frame_ids: np.ndarray | None) -> bool:
        """True if all these frames are stored; None means all frames of the video."""
        if frame_ids is None:
            return self.frame_ids is None
        return bool((self.records_of(frame_ids) >= 0).all())


def _is_name(text: str) -> bool:
    """True if a file can have this name."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _damaged(name: str, value: object) -> InputError:
    shown = quoted(value) if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
    return InputError(
        f"a stored video has the {name} {shown}, which is damaged or made up; restore the store from a copy, or "
        "prepare the frames again into another folder"
    )


def ids_to_text(ids: np.ndarray) -> str:
    """Ascending ids, at least one, as ranges: [0, 1, 2, 7] to "0-2,7"."""
    breaks = np.flatnonzero(np.diff(ids) != 1)
    firsts, lasts = ids[np.r_[0, breaks + 1]].tolist(), ids[np.r_[breaks, len(ids) - 1]].tolist()
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(firsts, lasts, strict=True))


def ids_from_text(text: str) -> np.ndarray:
    """The inverse of `ids_to_text`: int64 [n].

    Raises:
        InputError: the ids do not ascend.
    """
    parts = [part.partition("-") for part in text.split(",")]
    ranges = [(int(first), int(last or first) + 1) for first, _, last in parts]
    bounds = [bound for pair in ranges for bound in pair]
    if bounds != sorted(bounds) or bounds[-1] > _MAX_FRAMES or any(first == end for first, end in ranges):
        raise _damaged("frames", text)
    return np.concatenate([np.arange(first, end) for first, end in ranges])


def file_sha256(path: pathlib.Path) -> str:
    """Checksum of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
