"""Whose frame a record is: every stored JPEG says it in a comment, so that none is taken for another.

A shard in the place of another one of the same store, or of another store, is whole by itself: its checksums fit and it
may hold as many frames of the same size. The comment is 12 bytes, compared at every reading.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable

from stvg_jax.data_pipeline.shards import jpeg
from stvg_jax.data_pipeline.shards.settings import Settings

_IDENTITY_BYTES, _NUMBER_BYTES = 8, 4
# The first bytes of a record that say whose frame it is.
MARK_END = jpeg.comment_end(_IDENTITY_BYTES + _NUMBER_BYTES)


def make_identity(video: str, frames: str | None, source_sha256: str, settings: Settings) -> str:
    """16 hexadecimal digits, different for shards of other videos, files, frames or settings.

    Args:
        video: its name in the store.
        frames, source_sha256: as in `data_pipeline.shards.entries.StoredVideo`.
    """
    text = json.dumps([video, frames, source_sha256, dataclasses.asdict(settings)])
    return hashlib.sha256(text.encode()).hexdigest()[: 2 * _IDENTITY_BYTES]


def marked(data: bytes, identity: str, frame_id: int) -> bytes:
    """A JPEG file of `jpeg.encode` that says which frame of which shard it is."""
    return jpeg.with_comment(data, bytes.fromhex(identity) + frame_id.to_bytes(_NUMBER_BYTES, "big"))


def first_stray(files: Iterable[bytes], identity: str, frame_ids: Iterable[int]) -> int | None:
    """The first of the frames whose JPEG file, or its first `MARK_END` bytes, is of another one; None if none is."""
    shard = bytes.fromhex(identity)
    for data, frame_id in zip(files, frame_ids, strict=True):
        if not jpeg.has_comment(data, shard + frame_id.to_bytes(_NUMBER_BYTES, "big")):
            return frame_id
    return None
