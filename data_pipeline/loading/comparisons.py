"""Encoded videos, each with the texts that it is compared with, in batches."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from stvg_jax.data_pipeline.loading.checks import check_batches
from stvg_jax.data_pipeline.loading.order import NO_SAMPLE
from stvg_jax.data_pipeline.loading.schema import Batch
from stvg_jax.data_pipeline.loading.text_chunks import TextChunks


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A video and the texts that it is compared with.

    Attributes:
        id: id of the video, and a mark of the texts.
        video: its number.
        texts: their numbers, ascending.
    """

    id: str
    video: int
    texts: tuple[int, ...]

    @classmethod
    def of(cls, id: str, video: int, texts: Sequence[int]) -> Comparison:
        """The comparison with its own id, made of that of the video."""
        mark = hashlib.sha256(str(list(texts)).encode()).hexdigest()[:12]
        return cls(f"{id} {mark}", video, tuple(texts))


class ComparisonLoader:
    """Batches of comparisons; each is in exactly one batch, together with others of as many texts.

    A row is a video: `tokens` float32 [n, d], the texts as `TextChunks` packs them, and `sample`, int32, the index of
    the comparison, or -1 for a row that fills up the last batch, with zeros and no text.

    Args:
        samples: the comparisons.
        read_tokens: number of a video -> float32 [n, d], of one shape for all; called on several threads.
        text_ids: number of a text -> int32 [l] token ids.
        tokens: length to which texts are padded, at least that of the longest.
        batch_size, hosts, only: as for `data_pipeline.loading.loader.Loader`.
        threads: threads that read.

    Attributes:
        steps_per_epoch: number of batches.
        sent: names of the arrays that go to the devices.
        largest_clip: sizes of a clip; a row has none.

    Raises:
        InputError: arguments do not fit together.
    """

    sent = ("tokens", *TextChunks.names)
    largest_clip = (1, 1, 1)

    def __init__(
        self,
        samples: Sequence[Comparison],
        read_tokens: Callable[[int], np.ndarray],
        text_ids: Callable[[int], np.ndarray],
        *,
        tokens: int,
        batch_size: int,
        hosts: tuple[int, int] = (0, 1),
        only: Sequence[int] | None = None,
        threads: int = 1,
    ) -> None:
        check_batches(len(samples), batch_size, hosts, False, only)
        self._samples, self._read_tokens, self._text_ids = samples, read_tokens, text_ids
        counts = np.array([len(sample.texts) for sample in samples])
        # The same room in an evaluation that goes on, and so the same program.
        self._chunks = TextChunks.for_counts(counts.tolist(), tokens)
        wanted = np.arange(len(samples)) if only is None else np.unique(np.asarray(only, np.int64))
        # The devices of a batch wait for the one with most texts.
        wanted = wanted[np.argsort(-counts[wanted], kind="stable")]
        padded = np.pad(wanted, (0, -len(wanted) % batch_size), constant_values=NO_SAMPLE)
        self._batches = padded.reshape(-1, batch_size).astype(np.int32)
        rows = batch_size // hosts[1]
        self._own = slice(hosts[0] * rows, (hosts[0] + 1) * rows)
        self._threads = threads
        self.steps_per_epoch = len(self._batches)

    def batches(self, first_step: int = 0, end: int | None = None) -> Iterator[Batch]:
        """Yields this host's rows of the batches from `first_step` to `end` - 1.

        Raises:
            InputError: as `read_tokens`.
        """
        shape = self._read_tokens(self._samples[0].video).shape

        def tokens(sample: int) -> np.ndarray:
            known = sample != NO_SAMPLE
            return self._read_tokens(self._samples[sample].video) if known else np.zeros(shape, np.float32)

        with ThreadPoolExecutor(self._threads) as pool:
            for samples in self._batches[first_step:end, self._own]:
                rows = [() if sample == NO_SAMPLE else self._samples[sample].texts for sample in samples]
                packed = self._chunks.pack([[self._text_ids(text) for text in texts] for texts in rows])
                yield {"tokens": np.stack(list(pool.map(tokens, samples))), **packed, "sample": samples}
