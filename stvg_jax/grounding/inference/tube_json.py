"""The JSON form of a tube: `tube.json`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.json_files import read_json
from stvg_jax.grounding.inference.tube import FrameScores, Moment, Tube

SCHEMA = "stvg_jax.tube/1"

_TEXTS = ("video", "sentence", "subject")
_WHOLE = ("width", "height", "clip_start_frame", "clip_end_frame", "start_frame", "end_frame")
_REAL = ("fps", "start_sec", "end_sec")
_KINDS = {str: "text", int: "a whole number of 64 bits", list: "a list"}
# Most numbers become a float32.
_LARGEST = 3e38
_SCORES = ("sampling", "actioness", "start", "end")
_CONFIDENCE = ("confidence", "calibrated", "found")


def tube_to_dict(tube: Tube) -> dict[str, Any]:
    """The JSON form of a tube (`Tube.to_dict`). Boxes and scores have the fewest digits that identify the float32."""
    scores = tube.scores
    columns = [shortest(getattr(scores, name)) for name in _SCORES]
    return {
        "schema": SCHEMA,
        "video": tube.video,
        "sentence": tube.sentence,
        "subject": tube.subject,
        "width": tube.width,
        "height": tube.height,
        "fps": tube.fps,
        "clip_start_frame": tube.clip[0],
        "clip_end_frame": tube.clip[1],
        "start_frame": tube.start_frame,
        "end_frame": tube.end_frame,
        "start_sec": tube.start_sec,
        "end_sec": tube.end_sec,
        **({} if tube.confidence is None else {name: getattr(tube, name) for name in _CONFIDENCE}),
        **{name: getattr(tube, name) for name in ("warning", "note") if getattr(tube, name)},
        "boxes": [
            {"frame": frame, "box": box, "in_interval": tube.start_frame <= frame < tube.end_frame}
            for frame, box in zip(tube.box_frames.tolist(), shortest(tube.boxes_xyxy), strict=True)
        ],
        "scores": [
            {"frame": frame, "pass": pass_index, **dict(zip(_SCORES, values, strict=True))}
            for frame, pass_index, *values in zip(scores.frames.tolist(), scores.passes.tolist(), *columns, strict=True)
        ],
        **({"moments": [_moment_to_dict(moment) for moment in tube.moments]} if tube.moments else {}),
    }


def _moment_to_dict(moment: Moment) -> dict[str, Any]:
    values = {name: value for name, value in vars(moment).items() if value is not None}
    return values | {"boxes_xyxy": shortest(moment.boxes_xyxy)}


def shortest(array: np.ndarray) -> list:
    """Nested lists of the array's shape, of floats that print the fewest digits that identify the float32."""
    # A float64 cast from a float32 would print all its digits. numpy writes the fewest, so the way leads through text.
    return np.asarray(array, np.float32).astype("S").astype(np.float64).tolist()


def read_tube(source: str | os.PathLike[str] | Mapping[str, Any]) -> Tube:
    """Reads a tube (`Tube.from_json`)."""
    if isinstance(source, Mapping):
        return _tube(source, "the tube")
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"a tube is read from a path or a mapping, not from {type(source).__name__}")
    where = os.fspath(source)
    try:
        values = read_json(Path(where))
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # a path with a zero byte
        raise InputError(f"{quoted(where)} is no path of a file") from error
    if not isinstance(values, dict):
        raise InputError(f"{where} holds {type(values).__name__}, not the object of a tube")
    return _tube(values, where)


def _tube(values: Mapping[str, Any], where: str) -> Tube:
    schema = _get(values, "schema", where, str)
    if schema != SCHEMA:
        raise InputError(f"{where}: schema {quoted(schema)} is not {SCHEMA!r}; ask again with this version")
    texts = {key: _get(values, key, where, str) for key in _TEXTS}
    whole = {key: _get(values, key, where, int) for key in _WHOLE}
    real = {key: _get(values, key, where, float) for key in _REAL}
    first, last = whole.pop("clip_start_frame"), whole.pop("clip_end_frame")
    if min(whole["width"], whole["height"]) < 1 or real["fps"] <= 0 or not whole["start_frame"] < whole["end_frame"]:
        raise InputError(f"{where}: width, height and fps must be positive, and start_frame less than end_frame")
    box_frames, boxes = [], []
    for entry in _entries(values, "boxes", where):
        box_frames.append(_get(entry, "frame", where, int))
        boxes.append([_number(v, "box", where) for v in _get(entry, "box", where, list)])
        if len(boxes[-1]) != 4 or box_frames[-1] != box_frames[0] + len(boxes) - 1:
            raise InputError(f"{where}: boxes must have four numbers each and stand at one frame after the other")
    scores = _entries(values, "scores", where)
    moments = _entries(values, "moments", where) if "moments" in values else []
    return Tube(
        **texts,
        **whole,
        **real,
        clip=(first, last),
        **{name: _get(values, name, where, str) for name in ("warning", "note") if name in values},
        **_confidence(values, where),
        box_frames=np.array(box_frames, np.int64),
        boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        scores=FrameScores(
            frames=np.array([_get(s, "frame", where, int) for s in scores], np.int64),
            passes=np.array([_get(s, "pass", where, int) for s in scores], np.int64),
            **{name: np.array([_get(s, name, where, float) for s in scores], np.float32) for name in _SCORES},
        ),
        moments=tuple(_moment(entry, where) for entry in moments),
    )


def _confidence(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields about the confidence; none in files of versions that did not give it."""
    if "confidence" not in values:
        return {}
    value, calibrated, found = _share(values, where), values.get("calibrated"), values.get("found")
    if not isinstance(calibrated, bool) or not (found is None or (calibrated and isinstance(found, bool))):
        raise InputError(f"{where}: 'calibrated' must be true or false, and 'found' too, or null")
    return {"confidence": value, "calibrated": calibrated, "found": found}


def _share(values: Mapping[str, Any], where: str) -> float:
    value = _get(values, "confidence", where, float)
    if not 0 <= value <= 1:
        raise InputError(f"{where}: 'confidence' must be from 0 to 1")
    return value


def _moment(values: Mapping[str, Any], where: str) -> Moment:
    start, end = (_get(values, name, where, int) for name in ("start_frame", "end_frame"))
    boxes = [
        [_number(v, "boxes_xyxy", where) for v in box] if isinstance(box, list) else []
        for box in _get(values, "boxes_xyxy", where, list)
    ]
    if not 0 < end - start == len(boxes) or any(len(box) != 4 for box in boxes):
        raise InputError(f"{where}: a moment must have four numbers in boxes_xyxy for each of its frames")
    start_sec, end_sec, score = (_get(values, name, where, float) for name in ("start_sec", "end_sec", "score"))
    confidence = _share(values, where) if "confidence" in values else None
    return Moment(start, end, start_sec, end_sec, score, np.array(boxes, np.float32), confidence)


def _entries(values: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    entries = _get(values, key, where, list)
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise InputError(f"{where}: {key!r} must be a list of objects")
    return entries


def _get(values: Mapping[str, Any], key: str, where: str, kind: type) -> Any:
    """A value of this kind, where a float may be written as a whole number. Raises InputError for anything else."""
    if key not in values:
        raise InputError(f"{where}: {key!r} is missing")
    value = values[key]
    if kind is float:
        return _number(value, key, where)
    if not isinstance(value, kind) or isinstance(value, bool) or (kind is int and abs(value) >= 2**63):
        raise InputError(f"{where}: {key!r} must be {_KINDS[kind]}, not {type(value).__name__}")
    return value


def _number(value: Any, key: str, where: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise InputError(f"{where}: {key!r} must be a number, not {type(value).__name__}")
    if not abs(value) < _LARGEST:
        raise InputError(f"{where}: {key!r} must be a finite number")
    return float(value)
