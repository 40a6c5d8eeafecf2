"""Finding a split's annotation file in a dataset folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stvg_jax.core.errors import InputError


def find_file(folder: Path, split: str, layouts: Iterable[str]) -> Path | None:
    """The first of `layouts` (paths with "{split}" in them) that exists in `folder`."""
    places = (folder / layout.format(split=split) for layout in layouts)
    return next((place for place in places if place.is_file()), None)


def choose_file(path: Path, split: str, layouts: Iterable[str]) -> Path:
    """`path` itself if it is a file, else the file of `split` in it.

    Raises:
        InputError: nothing is there.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"there is no file or folder {path}")
    file = find_file(path, split, layouts)
    if file is None:
        names = ", ".join(layout.format(split=split) for layout in layouts)
        raise InputError(f"{path} has no annotations of the split {split!r}: none of {names} is there")
    return file


def splits_in(path: Path, layouts: Iterable[str]) -> list[str]:
    """Those of "train", "val" and "test" that a dataset folder holds."""
    return [split for split in ("train", "val", "test") if find_file(path, split, layouts)]
