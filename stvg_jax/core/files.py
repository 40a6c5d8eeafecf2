"""Files that appear complete or not at all, and files of JSON lines with checksums."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TextIO

from stvg_jax.core.characters import has_surrogate
from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.core.json_files import parse_json

# Ending of the names of files that are being written.
PARTIAL = ".partial"
_SEAL = re.compile(r', "sha256": "([0-9a-f]{64})"}')
# A seal that is damaged itself.
_LIKE_A_SEAL = re.compile(r', "[^"]{6}": "[^"]{64}"}\Z')


@contextlib.contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to; the file is renamed to `path` when the block ends without an exception.

    The content is on the disk before, so a power cut loses neither the old file nor the new one. A kill may leave a
    file whose name ends in `PARTIAL`.
    """
    # Several processes may write the same file at the same time.
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}{PARTIAL}")
    try:
        yield partial
        _sync(partial)
        os.replace(partial, path)
        # The new name too; Windows and some network file systems refuse this and do it by themselves.
        with contextlib.suppress(OSError):
            _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Yields a text file, UTF-8, that appears complete or not at all (`whole_path`).

    Lone surrogates, which file names may hold and UTF-8 cannot, are escaped, as JSON does it.
    """
    with (
        whole_path(path) as partial,
        partial.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        yield file


def _sync(path: Path) -> None:
    """Writes a file, or the names in a folder, from the system's memory to the disk."""
    # Windows needs a file that is open for writing.
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def in_utf8(folder: Path) -> Iterator[Path]:
    """Yields a path of an existing folder that is valid UTF-8, for libraries that take no other.

    File names are bytes on Linux; Python shows those that are not UTF-8 as lone surrogates. A path that holds one is
    replaced by a temporary link to the folder.
    """
    if not has_surrogate(os.fspath(folder.absolute())):
        yield folder
        return
    with tempfile.TemporaryDirectory() as temporary:
        link = Path(temporary, "folder")
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link


def seal(text: str) -> str:
    """JSON text of an object with the SHA-256 of that text as its last entry."""
    return f'{text[:-1]}, "sha256": "{hashlib.sha256(text.encode()).hexdigest()}"}}'


def unseal(text: str) -> dict[str, Any] | None:
    """Object in a sealed text; None if the text was changed or is incomplete."""
    match = next(iter(list(_SEAL.finditer(text))[-1:]), None)
    if match is None or text[match.end() :].strip():
        return None
    body = text[: match.start()] + "}"
    if hashlib.sha256(body.encode(errors="surrogatepass")).hexdigest() != match[1]:
        return None
    try:
        content = parse_json(body)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def sealed_line(record: Mapping[str, Any]) -> str:
    """Sealed JSON line of an object with at least one key."""
    return f"{seal(json.dumps(record))}\n"


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Adds a sealed line to a file, made if missing; it is on the disk when this returns.

    A last line that an interruption has cut short is removed before.
    """
    with path.open("ab+") as file:
        _cut_after_last_line(file)
        file.write(sealed_line(record).encode())
        to_disk(file)


def _cut_after_last_line(file: IO[bytes]) -> None:
    end = file.seek(0, os.SEEK_END)
    step = 1 << 16
    while end:
        begin = max(0, end - step)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            end = begin + found + 1
            break
        end = begin
    file.truncate(end)


def to_disk(file: IO[bytes]) -> None:
    """Writes an open file from the system's memory to the disk."""
    file.flush()
    os.fsync(file.fileno())


def iter_sealed_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Objects in a file that `append_line` has written, one after another; a missing file has none.

    For files that are too large for `read_json_lines`. A last line that was cut short is left out.

    Raises:
        InputError: a line is damaged; the message gives its number.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            record = unseal(line.decode(errors="replace"))
            if record is None:
                raise _damaged(path, number, "it does not end in the checksum of the rest")
            yield record


def read_json_lines(
    path: Path,
    kinds: Mapping[str, type | tuple[type, ...]],
    *,
    others: type | tuple[type, ...] = object,
    may_be_cut: bool = False,
) -> list[dict[str, Any]]:
    """Objects in a file of JSON lines, written by `sealed_line` or, without seals, by an earlier version.

    Args:
        path: the file; a missing one has no lines.
        kinds: types of the values that every object has, by key.
        others: types of the values of other keys.
        may_be_cut: whether to leave out a last line that a kill has cut short.

    Raises:
        InputError: a line is damaged; the message gives its number.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    last = lines.pop()
    if last and (not may_be_cut or _has_seal(last)):
        lines.append(last)
    sealed = any(map(_has_seal, lines))
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = _parsed_line(line, sealed)
            check_kinds(record, kinds, others)
        except ValueError as error:
            raise _damaged(path, number, first_line(error)) from error
        records.append(record)
    return records


def _damaged(path: Path, number: int, why: str) -> InputError:
    return InputError(f"line {number} of {path} is damaged: {why}; restore the file from a copy, or delete the line")


def _has_seal(line: bytes) -> bool:
    return _SEAL.search(line.decode(errors="replace")) is not None


def _parsed_line(line: bytes, sealed: bool) -> Any:
    """Value of a line; ValueError if the seal does not fit, or is missing where other lines have one."""
    text = line.decode()
    # Nothing may follow the object: a damaged line end may look like other white space.
    content = unseal(text) if text.endswith("}") else None
    if content is None and (sealed or _LIKE_A_SEAL.search(text)):
        raise ValueError("it does not end in the checksum of the rest")
    return parse_json(text) if content is None else content


def check_kinds(
    record: Any, kinds: Mapping[str, type | tuple[type, ...]], others: type | tuple[type, ...] = object
) -> None:
    """Raises ValueError unless a JSON value is an object with these keys and types; other keys have type `others`."""
    if not isinstance(record, dict):
        raise ValueError(f"it must be an object, not {type(record).__name__}")
    if missing := [name for name in kinds if name not in record]:
        found = ", ".join(quoted(name, 40) for name in list(record)[:8])
        raise ValueError(f"it has no {missing[0]!r}, but {found or 'no key'}")
    for name, value in record.items():
        kind = kinds.get(name, others)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind not in (bool, object)):
            raise ValueError(f"its {quoted(name, 40)} is of type {type(value).__name__}")
