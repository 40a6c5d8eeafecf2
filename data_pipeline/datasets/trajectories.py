"""VidOR's trajectories: a JSON file per video, in VidSTG's flat folder or in the nested folders of VidOR."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError
from stvg_jax.core.json_files import read_json
from stvg_jax.data_pipeline.annotations.fields import Fields
from stvg_jax.data_pipeline.annotations.problems import Problem

_CORNERS = operator.itemgetter("xmin", "ymin", "xmax", "ymax")


class Trajectories:
    """The boxes of every object in every frame of VidOR's videos. One video's file is in memory at a time.

    Args:
        folder: folder of the files `<video>.json`, which may lie in folders below it.

    Raises:
        InputError: there is no such folder, or no JSON file in it.
    """

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder} of trajectories")
        self._folder = folder
        self._paths = {path.stem: path for path in sorted(folder.rglob("*.json"))}
        if not self._paths:
            raise InputError(f"{folder} has no trajectories: no <video>.json in it or in the folders below it")
        self._video: str | None = None
        self._frames: list[list] | Problem = []

    def rows(self, video: str, target: int | None, first: int, end: int, fields: Fields) -> list[Any] | None:
        """The boxes of object `target` in frames `first` to `end` - 1, each in the form of `box_row`, None for a frame
        without the object. If trajectories of these frames cannot be read, a problem is noted and None returned."""
        if video != self._video:
            self._video, self._frames = video, self._load(video)
        if isinstance(self._frames, Problem):
            fields.problems.append(self._frames)
            return None
        if end > len(self._frames):
            return fields.report(
                "trajectories too short",
                f"{self._paths[video]} has {len(self._frames)} frames, the tube needs frame {end - 1}",
            )
        return [_row(objects, target) for objects in self._frames[first:end]]

    def _load(self, video: str) -> list[list] | Problem:
        """The objects of each frame, or the reason why they cannot be read."""

        def problem(rule: str, detail: str) -> Problem:
            return Problem(str(self._folder), f"{video}.json", rule, detail)

        path = self._paths.get(video)
        if path is None:
            return problem("missing trajectories", f"neither in {self._folder} nor in the folders below it")
        try:
            value = read_json(path)
        except InputError as error:
            return problem("trajectories unreadable", str(error))
        frames = value.get("trajectories") if isinstance(value, dict) else None
        if not isinstance(frames, list) or not all(isinstance(objects, list) for objects in frames):
            return problem("trajectories unreadable", f"{path} has no `trajectories`, a list of lists")
        return frames


def _row(objects: list, target: int | None) -> Any:
    thing = next((thing for thing in objects if isinstance(thing, dict) and thing.get("tid") == target), None)
    return None if thing is None else box_row(thing.get("bbox"))


def box_row(box: Any) -> Any:
    """VidOR's `{"xmin": ..., "ymin": ..., "xmax": ..., "ymax": ...}` as (x1, y1, x2, y2).

    An empty object or list, which stands for a missing box, becomes None. `Fields.boxes` checks all other values.
    """
    try:
        return _CORNERS(box)
    except (KeyError, TypeError):
        return None if box == {} or box == [] else box


def without_gaps(rows: list[Any]) -> list[Any] | None:
    """`rows` with a missing last box filled by the one before it; None if any other box is missing.

    VidOR's relations end one past the last frame of the objects' trajectories, and VidSTG's tubes include that frame
    (rule: TA-STVG, `datasets/vidstg.py`).
    """
    if len(rows) > 1 and rows[-1] is None:
        rows = [*rows[:-1], rows[-2]]
    return None if None in rows else rows
