"""Frames by number through decord, for files that it reads correctly."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from stvg_jax.core.errors import InputError, first_line, missing_extra
from stvg_jax.data_pipeline.video.pyav_reader import PyAVReader
from stvg_jax.data_pipeline.video.reader import VideoReader

_DECORD_BATCH = 16
# Two builds of ffmpeg may round the colour conversion differently; neighbouring frames differ by far more somewhere.
_DECORD_TOLERANCE = 4


class DecordReader(VideoReader):
    """Reads files for which decord agrees with the table of presentation times.

    decord returns wrong frames, without an error, if an edit list trims the track and after jumps between open groups
    of pictures, and it ignores rotation and mirroring. It also goes on decoding after a read, which costs memory.
    """

    def __init__(self, decord: Any, exact: PyAVReader) -> None:
        self.info = exact.info
        unfit = _decord_unfit(exact)
        if unfit:
            raise _decord_error(self.info.path, unfit)
        try:
            self._reader = decord.VideoReader(str(self.info.path.resolve()), ctx=decord.cpu(0))
        except Exception as error:  # decord raises RuntimeError, DECORDError and others without a common base
            raise _decord_error(self.info.path, f"decord cannot open it ({first_line(error)})") from error
        if len(self._reader) != self.info.frame_count:
            reason = f"decord counts {len(self._reader)} frames and the file shows {self.info.frame_count}"
            raise _decord_error(self.info.path, reason)
        self._compare(exact)

    def close(self) -> None:
        self._reader = None

    def _compare(self, exact: PyAVReader) -> None:
        last = self.info.frame_count - 1
        for frame_id, truth in exact.iter_selected([0, last // 2, last]):
            _, picture = next(self._decode([frame_id]))
            difference = np.abs(picture.astype(np.int16) - truth) if picture.shape == truth.shape else 255
            if np.max(difference) > _DECORD_TOLERANCE:
                raise _decord_error(self.info.path, f"decord returns another picture for frame {frame_id}")

    def _decode(self, ids: list[int]) -> Iterator[tuple[int, np.ndarray]]:
        if self._reader is None:
            raise ValueError("the reader is closed")
        for start in range(0, len(ids), _DECORD_BATCH):
            batch = ids[start : start + _DECORD_BATCH]
            try:
                pictures = self._reader.get_batch(batch).asnumpy()
            except Exception as error:  # as above
                reason = f"decord cannot read frames {batch[0]} to {batch[-1]} ({first_line(error)})"
                raise _decord_error(self.info.path, reason) from error
            yield from zip(batch, pictures, strict=True)


def import_decord() -> Any:
    """The module decord, with its log switched off.

    Raises:
        InputError: it is not installed.
    """
    try:
        import decord
    except ImportError as error:
        raise missing_extra("decord", "decoder 'decord' is not installed; use decoder 'pyav', or install it") from error
    decord.logging.set_level(decord.logging.QUIET)
    return decord


def _decord_unfit(exact: PyAVReader) -> str:
    if exact.trimmed:
        return "an edit list trims the file, where decord returns wrong frames"
    if exact.has_open_gops:
        return "the file has open groups of pictures, where decord returns wrong frames after a jump"
    if exact.info.rotation:
        return f"the file is rotated by {exact.info.rotation} degrees, which decord ignores"
    if exact.info.mirrored:
        return "the file is mirrored, which decord ignores"
    if not exact.has_times():
        return "the file has no times in display order, without which decord returns wrong frames"
    return ""


def _decord_error(path: pathlib.Path, reason: str) -> InputError:
    return InputError(f"{path}: {reason}; use decoder 'pyav' for this file")
