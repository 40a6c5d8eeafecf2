"""Samples with sentences of other videos, to measure how well a model knows that a video does not show something."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.data_pipeline.annotations.records import Sample

Allowed = Callable[[Sample, Sample], bool]


def with_other_sentences(samples: Sequence[Sample], allowed: Allowed | None = None) -> list[Sample]:
    """The samples, each with the sentence and the subject of a sample of another video, in their order.

    The id of a sample decides which of the possible ones it gets.

    Args:
        samples: samples of a split.
        allowed: tells whether a sample may get the sentence of another one, because it describes nothing in its clip;
            None for every other video, whose sentence may describe this one by chance.

    Raises:
        InputError: no sentence is allowed for a sample.
    """
    return [_with_sentence(sample, samples, allowed) for sample in samples]


def _with_sentence(sample: Sample, samples: Sequence[Sample], allowed: Allowed | None) -> Sample:
    """The sample with the first possible sentence, from a place on that its id decides."""
    digest = hashlib.sha256(sample.id.encode(errors="surrogatepass")).digest()
    place = int.from_bytes(digest[:8], "big") % len(samples)
    for other in (*samples[place:], *samples[:place]):
        if other.video != sample.video and (allowed is None or allowed(sample, other)):
            return dataclasses.replace(sample, sentence=other.sentence, subject=other.subject)
    raise InputError(
        f"no sentence of another video describes nothing in the clip of sample {quoted(sample.id)}; take a split with "
        "more videos"
    )
