"""Arrays of one shape for videos that have different numbers of texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from stvg_jax.data_pipeline.loading.schema import Batch

# Texts that a model reads at once.
_MOST = 32


@dataclasses.dataclass(frozen=True)
class TextChunks:
    """Room for the texts of each row of a batch: chunks of texts, of which a model reads only those that are filled.

    Attributes:
        chunks: room for chunks in each row.
        texts: texts of a chunk.
        tokens: tokens of a text.
        names: names of the arrays of a batch.
    """

    chunks: int
    texts: int
    tokens: int
    names: ClassVar[tuple[str, ...]] = ("text_ids", "text_valid", "chunks")

    @classmethod
    def for_counts(cls, counts: Sequence[int], tokens: int) -> TextChunks:
        """Room for the largest of these numbers of texts."""
        most = max(counts, default=1)
        texts = max(1, min(most, _MOST))
        return cls(-(-most // texts), texts, tokens)

    def pack(self, rows: Sequence[Sequence[np.ndarray]]) -> Batch:
        """Token ids of the texts of each row -> arrays.

        Args:
            rows: int32 [l] of each text.

        Returns:
            `text_ids` int32 and `text_valid` bool [rows, chunks, texts, tokens], padded with 0 and False; `chunks`
            int32 [rows], number of chunks with a text in them.
        """
        shape = len(rows), self.chunks * self.texts, self.tokens
        ids, valid = np.zeros(shape, np.int32), np.zeros(shape, bool)
        for row, texts in enumerate(rows):
            for place, text in enumerate(texts):
                ids[row, place, : len(text)], valid[row, place, : len(text)] = text, True
        shape = len(rows), self.chunks, self.texts, self.tokens
        filled = [-(-len(texts) // self.texts) for texts in rows]
        return {
            "text_ids": ids.reshape(shape),
            "text_valid": valid.reshape(shape),
            "chunks": np.array(filled, np.int32),
        }
