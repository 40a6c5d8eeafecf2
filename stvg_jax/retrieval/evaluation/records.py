"""Records of an evaluation of retrieval: encoded videos and texts, and what comparing them adds."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.core.json_files import parse_json


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedRecord:
    """A video and its texts, encoded.

    Attributes:
        id: of the video.
        video: float32 [q, e], embeddings of the video.
        texts: float32 [c, e], embedding of each text.
    """

    id: str
    video: np.ndarray
    texts: np.ndarray

    def to_line(self) -> str:
        """One line of JSON with the exact float32 values."""
        return json.dumps({"id": self.id, "video": _packed(self.video), "texts": _packed(self.texts)})

    @classmethod
    def from_line(cls, line: bytes) -> EncodedRecord:
        """The inverse of `to_line`; raises ValueError for anything else."""
        fields = _fields(line, "video", "texts")
        video, texts = (_unpacked(fields[name], axes=2) for name in ("video", "texts"))
        if video.shape[1] != texts.shape[1] or not len(video):
            raise ValueError(f"embeddings of a video {video.shape} and of texts {texts.shape} do not belong together")
        return cls(fields["id"], video, texts)


@dataclasses.dataclass(frozen=True, eq=False)
class ComparedRecord:
    """A comparison of a video with some texts.

    Attributes:
        id: of the comparison.
        terms: float32 [p], the term that is added to the similarity of each text.
    """

    id: str
    terms: np.ndarray

    def to_line(self) -> str:
        """One line of JSON with the exact float32 values."""
        return json.dumps({"id": self.id, "terms": _packed(self.terms)})

    @classmethod
    def from_line(cls, line: bytes) -> ComparedRecord:
        """The inverse of `to_line`; raises ValueError for anything else."""
        fields = _fields(line, "terms")
        return cls(fields["id"], _unpacked(fields["terms"], axes=1))


def finite(array: np.ndarray, of: str) -> np.ndarray:
    """The array as float32.

    Args:
        array: numbers that a model has computed.
        of: what they were computed of, for the message.

    Raises:
        InputError: a number is not finite.
    """
    if not np.isfinite(array).all():
        raise InputError(
            f"the model's numbers for {of} are not finite; its checkpoint may be damaged, its training may have "
            "diverged; try --config.eval.dtype=float32"
        )
    return np.asarray(array, np.float32)


def _packed(array: np.ndarray) -> dict[str, Any]:
    values = np.ascontiguousarray(array, "<f4")
    return {"shape": list(array.shape), "float32": base64.b64encode(values.tobytes()).decode()}


def _unpacked(value: Any, axes: int) -> np.ndarray:
    if not isinstance(value, Mapping) or not isinstance(value.get("float32"), str):
        raise ValueError("not a record: an array is missing")
    shape = value.get("shape")
    if not isinstance(shape, list) or len(shape) != axes or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"not a record: an array has no shape of {axes} lengths")
    data = base64.b64decode(value["float32"], validate=True)
    array = np.frombuffer(data, "<f4").astype(np.float32).reshape(shape)
    if not np.isfinite(array).all():
        raise ValueError("not a record: a number is not finite")
    return array


def _fields(line: bytes, *names: str) -> dict[str, Any]:
    fields = parse_json(line)
    if not isinstance(fields, dict) or not isinstance(fields.get("id"), str):
        raise ValueError("not a record: it is no object with an id")
    if missing := [name for name in names if name not in fields]:
        raise ValueError(f"not a record: there is no {missing[0]}")
    return fields
