"""Shard files: numbered ArrayRecord records, each in a separate chunk with a checksum."""

from __future__ import annotations

import errno
import importlib
import os
import pathlib
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import BinaryIO

from stvg_jax.core.errors import InputError, first_line, missing_extra

# Chunks of one record, so that reading one decodes no other. JPEG cannot be compressed further.
_WRITING = "group_size:1,uncompressed"
# Random access: nothing is read ahead.
_READING = "readahead_buffer_size:0,max_parallelism:0"
_BUFFER_BYTES = 1 << 16
# ArrayRecord's files are Riegeli's (github.com/google/riegeli, doc/riegeli_records_file_format.md): chunks one after
# another, among which a header stands at every 64 kB.
_BLOCK, _BLOCK_HEADER, _CHUNK_HEADER = 1 << 16, 24, 40
# Part of a chunk's header: "r" for records, and their number, 1.
_ONE_RECORD = b"r" + (1).to_bytes(7, "little")
# Types of chunks without records: signature, metadata, padding.
_WITHOUT_RECORDS = (b"s", b"m", b"p")
# An uncompressed record comes after its length, and this after a byte with the kind of compression.
_LENGTH_AT, _LENGTH_BYTES = _CHUNK_HEADER + 1, 11


def array_record() -> ModuleType:
    """The module of ArrayRecord.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module("array_record.python.array_record_module")
    except ImportError as error:
        raise missing_extra("data", f"frame shards need the package array_record ({first_line(error)})") from error


class RecordWriter:
    """Writes records into a new file. A context manager: the file is whole after the block.

    Raises:
        OSError: the file cannot be written; ENOSPC where the disk is full.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        # ArrayRecord reports lost permissions only when the file is closed.
        path.touch()
        self._writer = array_record().ArrayRecordWriter(str(path), _WRITING)

    def write(self, record: bytes) -> None:
        try:
            self._writer.write(record)
        except RuntimeError as error:
            raise self._failure(error) from error

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._writer.close()
        except RuntimeError as error:
            # An error that ended the block, such as a full disk, says more.
            if kind is None:
                raise self._failure(error) from error

    def _failure(self, error: RuntimeError) -> OSError:
        text = first_line(error)
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            if os.strerror(number) in text:
                return OSError(number, os.strerror(number), str(self._path))
        return OSError(errno.EIO, text, str(self._path))


class RecordReader:
    """Reads records by number; safe for use by several threads.

    Args:
        path: a file made by `RecordWriter`.
        count: number of records that it must hold.

    Raises:
        InputError: the file is missing, cut short or of another kind.
    """

    def __init__(self, path: pathlib.Path, count: int) -> None:
        self._path = path
        module = array_record()
        try:
            # For a missing file ArrayRecord would also write to standard error.
            path.stat()
            self._reader = module.ArrayRecordReader(str(path), _READING, file_reader_buffer_size=_BUFFER_BYTES)
            found = self._reader.num_records()
        except (OSError, RuntimeError) as error:
            raise InputError(f"{path}: cannot be opened ({first_line(error)})") from error
        if found != count:
            raise InputError(f"{path}: holds {found} frames instead of {count}; the file is cut short or damaged")

    def heads(self, length: int) -> Iterator[bytes]:
        """The first bytes of all records, in order; the rest is neither read nor checked.

        Raises:
            InputError: the file is damaged, or not one of `RecordWriter`.
        """
        left, place, size = self._reader.num_records(), 0, self._path.stat().st_size
        with self._path.open("rb", buffering=0) as file:
            while left:
                data = _read_chunks(file, place, _LENGTH_AT + _LENGTH_BYTES + length) if place < size else b""
                if len(data) < _CHUNK_HEADER or data[24:25] not in (b"r", *_WITHOUT_RECORDS):
                    raise InputError(f"{self._path}: a frame cannot be found; the file is damaged")
                if data[24:32] == _ONE_RECORD:
                    start = _LENGTH_AT + 1 + data[_LENGTH_AT]
                    yield data[start : start + length]
                    left -= 1
                place += _CHUNK_HEADER + int.from_bytes(data[8:16], "little")

    def read(self, numbers: Sequence[int]) -> list[bytes]:
        """The records with these numbers, in this order.

        Raises:
            InputError: a record is damaged.
        """
        try:
            return self._reader.read(numbers)
        except RuntimeError as error:
            raise InputError(f"{self._path}: a frame cannot be read ({first_line(error)})") from error


def _read_chunks(file: BinaryIO, place: int, count: int) -> bytes:
    """Bytes of the chunks of a file, without the headers of blocks among them; fewer at the end of the file."""
    body = _BLOCK - _BLOCK_HEADER
    file.seek(place // body * _BLOCK + _BLOCK_HEADER + place % body)
    before = body - place % body
    data = file.read(count + _BLOCK_HEADER)
    return (data[:before] + data[before + _BLOCK_HEADER :])[:count]
