"""Description of the arrays of a batch, from which padding, shapes and the arrays for the devices derive."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from stvg_jax.core.constants import TEXT_PAD

# One host's part of a batch, by name of the array.
Batch = dict[str, np.ndarray]
# "truth" stands for training, and for the evaluation of a model that reads the true tube.
Part = Literal["always", "training", "evaluation", "truth", "never"]


@dataclasses.dataclass(frozen=True)
class Array:
    """One array of a batch.

    Attributes:
        dtype: dtype of its values.
        axes: names or lengths of the axes after that of the rows.
        about: its meaning.
        pad: value at the end of each axis that is longer than the array of a row.
        given: batches that have it.
        sent: batches that send it to the devices.
        marks: for a mask, the array whose real entries it marks; such a mask is made while packing.
    """

    dtype: str
    axes: tuple[str | int, ...]
    about: str
    pad: int = 0
    given: Part = "always"
    sent: Part = "always"
    marks: str | None = None


@dataclasses.dataclass(frozen=True)
class BatchSchema:
    """The arrays of the batches of a task, by name."""

    arrays: Mapping[str, Array]

    def names(self, *, training: bool, truth: bool = False, sent: bool = False) -> tuple[str, ...]:
        """Names of the arrays of a training or an evaluation batch; with `sent`, only of those for the devices.

        Args:
            truth: whether an evaluation has the true tubes too.
        """
        parts = {"always", "training" if training else "evaluation"} | ({"truth"} if training or truth else set())
        return tuple(
            name for name, array in self.arrays.items() if array.given in parts and (not sent or array.sent in parts)
        )

    def shapes(
        self, rows: int, sizes: Mapping[str, int], *, training: bool, sent: bool = True
    ) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """(shape, dtype) of each array of a batch.

        Args:
            rows: number of rows.
            sizes: lengths of the axes, by name.
            training, sent: as for `names`.
        """
        return {
            name: ((rows, *self._lengths(name, sizes)), np.dtype(self.arrays[name].dtype))
            for name in self.names(training=training, sent=sent)
        }

    def pack(self, rows: Sequence[Mapping[str, Any]], sizes: Mapping[str, int]) -> Batch:
        """Stacks the arrays of rows, padded at their ends, and adds the masks of their real entries.

        Args:
            rows: at least one, all with the same names; arrays without the axis of the rows.
            sizes: padded lengths of the axes, by name; at least those of the longest row.
        """
        batch = {}
        for name in rows[0]:
            array = self.arrays[name]
            batch[name] = np.full((len(rows), *self._lengths(name, sizes)), array.pad, array.dtype)
            for number, row in enumerate(rows):
                batch[name][(number, *map(slice, np.shape(row[name])))] = row[name]
        for name, mask in self.arrays.items():
            if (marked := mask.marks) is not None and marked in rows[0]:
                lengths = np.array([len(row[marked]) for row in rows])
                batch[name] = np.arange(*self._lengths(name, sizes)) < lengths[:, None]
        return batch

    def _lengths(self, name: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(axis if isinstance(axis, int) else sizes[axis] for axis in self.arrays[name].axes)


# Axes, as in `stvg_jax.grounding.types`: t frames, h w pixels, l text tokens. Real entries come first, padding comes
# last. A training batch has a row for each sample; an evaluation batch has one for each pass over it.
GROUNDING_BATCH = BatchSchema(
    {
        "frames": Array("uint8", ("t", "h", "w", 3), "RGB, neither divided by 255 nor normalised"),
        "frames_valid": Array("bool", ("t",), "which frames are real", marks="frame_ids"),
        "sizes": Array("int32", (2,), "real height and width of the frames"),
        "frame_ids": Array("int32", ("t",), "number of each frame in its video", sent="never"),
        "text_ids": Array("int32", ("l",), 'token ids of "subject sentence"', pad=TEXT_PAD),
        "text_valid": Array("bool", ("l",), "which tokens are real", marks="text_ids"),
        "sample": Array(
            "int32",
            (),
            "index into the loader's samples; -1 for a row that fills the last batch of an evaluation, with one black "
            "frame and one token, so that nothing divides by zero",
            sent="training",
        ),
        "pass": Array("int32", (), "number of the pass over the sample", given="evaluation", sent="never"),
        "in_tube": Array("bool", ("t",), "whether the described event goes on", given="truth"),
        "boxes_cxcywh": Array(
            "float32",
            ("t", 4),
            "the target in [0, 1] of the picture as it is in `frames`; 0 outside the tube",
            given="truth",
        ),
        "appearance_labels": Array(
            "float32", ("appearance_words",), "1 for each appearance word of a sentence", given="training"
        ),
        "motion_labels": Array("float32", ("motion_words",), "1 for each motion word of a sentence", given="training"),
    }
)
