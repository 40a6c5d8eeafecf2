"""Video files in folders and of patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from stvg_jax.core.arguments import check_path
from stvg_jax.core.errors import InputError

_SUFFIXES = {
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".3gp", ".ogv"),
}
# Of pictures that Pillow reads.
_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}


def all_videos(folder: str | os.PathLike) -> dict[str, None]:
    """Paths of all video files below a folder, relative to it, as keys of a mapping; told by their suffixes.

    Raises:
        InputError: no such folder, or no video in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the folder that holds the videos")
    paths = (path for path in root.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    names = sorted(path.relative_to(root).as_posix() for path in paths)
    if not names:
        raise InputError(f"{root}: there is no video below this folder; suffixes: {' '.join(sorted(_SUFFIXES))}")
    return dict.fromkeys(names)


def picture_files(folder: str | os.PathLike[str]) -> list[Path]:
    """Paths of the pictures in a folder, not of those below it, in any order; told by their suffixes."""
    return [path for path in Path(folder).iterdir() if path.suffix.lower() in _PICTURES and path.is_file()]


def is_picture_folder(path: str | os.PathLike[str]) -> bool:
    """True for a folder with pictures in it and no video in it or below it."""
    if not os.path.isdir(path) or not picture_files(path):
        return False
    return not any(file.suffix.lower() in _SUFFIXES for file in Path(path).rglob("*"))


def is_pattern(path: str | os.PathLike[str]) -> bool:
    """True if a path is a pattern with `*`, `?` or `[...]`, and not the name of a file or folder."""
    return glob.has_magic(os.fspath(path)) and not os.path.exists(path)


def list_videos(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Absolute paths of video files, sorted in each folder, each once.

    Args:
        paths: files; folders, which are searched for videos; and patterns of both, such as "day*/*.mp4", where `**`
            stands for any folders.

    Raises:
        InputError: one does not exist, a folder holds no video, or nothing fits a pattern.
    """
    found: dict[Path, None] = {}
    for given in paths:
        name = check_path("video", given)
        matches = sorted(glob.glob(name, recursive=True)) if is_pattern(name) else [name]
        if not matches:
            raise InputError(f"{given}: no file fits this pattern; give videos, or folders of videos")
        for path in (Path(match).absolute() for match in matches):
            if path.is_dir():
                found |= dict.fromkeys(path / name for name in all_videos(path))
            elif path.exists():
                found[path] = None
            else:
                raise InputError(f"{given}: no such file or folder; give videos, or folders of videos")
    if not found:
        raise InputError("no videos are given; give video files, or folders of videos")
    return list(found)
