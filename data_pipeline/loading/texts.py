"""Token ids of all samples, made once: each host needs the text length of a whole batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from stvg_jax.core.constants import TEXT_PAD
from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations.records import Sample
from stvg_jax.data_pipeline.language.directions import swap_directions
from stvg_jax.data_pipeline.language.text import model_text
from stvg_jax.data_pipeline.loading.config import LoaderConfig, text_bucket
from stvg_jax.data_pipeline.loading.order import NO_SAMPLE

Tokenize = Callable[[str], np.ndarray]


class Texts:
    """Tokenised sentences, as written and for the mirrored picture.

    Args:
        samples: samples of a split.
        tokenize: text to int32 [l], start and end tokens included.
        config: settings.

    Attributes:
        refused: (index of the sample, reason) for every text that cannot be used.
    """

    def __init__(self, samples: Sequence[Sample], tokenize: Tokenize, config: LoaderConfig, *, training: bool) -> None:
        self._config = config
        self._ids: dict[tuple[int, bool], np.ndarray] = {}
        self.refused: list[tuple[int, str]] = []
        mirrored = training and config.flip > 0 and not config.reference
        for index, sample in enumerate(samples):
            try:
                for key, text in _texts(sample, config, mirrored=mirrored):
                    self._ids[index, key] = self._checked(tokenize(text))
            except InputError as error:
                self.refused.append((index, str(error)))

    def __call__(self, sample: int, flip: bool) -> np.ndarray:
        """int32 [l], the text of a sample for its original or its flipped picture; one token for NO_SAMPLE."""
        if sample == NO_SAMPLE:
            return np.array([TEXT_PAD], np.int32)
        return self._ids.get((sample, flip), self._ids[sample, False])

    def bucket(self, samples: Iterable[int]) -> int:
        """Tokens to which texts of these samples are padded, flipped or not."""
        return text_bucket(max(len(self(sample, flip)) for sample in samples for flip in (False, True)), self._config)

    def _checked(self, ids: np.ndarray) -> np.ndarray:
        longest = self._config.text_lengths[-1]
        if len(ids) > longest:
            raise InputError(f"the text has {len(ids)} tokens, text_lengths goes up to {longest} only")
        return np.asarray(ids, np.int32)


def _texts(sample: Sample, config: LoaderConfig, *, mirrored: bool) -> Iterator[tuple[bool, str]]:
    """(True for the mirrored picture, text); a text for the mirrored picture only if it differs."""
    subject = sample.subject if config.reads_subject else None
    written = model_text(subject, sample.sentence, config.sampling)
    yield False, written
    if mirrored:
        mirrored_subject = None if subject is None else swap_directions(subject)
        swapped = model_text(mirrored_subject, swap_directions(sample.sentence), config.sampling)
        if swapped != written:
            yield True, swapped
