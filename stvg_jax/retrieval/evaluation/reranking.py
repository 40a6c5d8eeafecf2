"""The second stage of an evaluation of retrieval: the best videos and texts are read together."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from stvg_jax.eval.config import EvalConfig
from stvg_jax.family import Report
from stvg_jax.retrieval.evaluation.records import ComparedRecord, finite
from stvg_jax.retrieval.evaluation.report import write_report
from stvg_jax.retrieval.evaluation.scores import Scores
from stvg_jax.retrieval.evaluation.token_files import TokenFiles
from stvg_jax.retrieval.inputs import RetrievalInputs
from stvg_jax.retrieval.scoring import match_texts

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.loading.comparisons import Comparison, ComparisonLoader
    from stvg_jax.models.loading import LoadedModel
    from stvg_jax.runtime.tokenizer import Tokenizer


class ComparedVideos:
    """The videos of a split, each with the texts that it is compared with (`stvg_jax.family.Inputs`).

    Args:
        inputs: the split.
        texts: numbers of the texts that each video is compared with, ascending.
        tokens: tokens of the videos.
        reranked: answers to each query that are compared.

    Attributes:
        inputs, tokens, reranked: as given.
        samples: the comparisons, one for each video.
        sentences: none; those of the split have been looked at.
    """

    sentences: Sequence[str] = ()

    def __init__(
        self, inputs: RetrievalInputs, texts: Sequence[Sequence[int]], tokens: TokenFiles, reranked: int
    ) -> None:
        from stvg_jax.data_pipeline.loading.comparisons import Comparison

        self.inputs, self.tokens, self.reranked = inputs, tokens, reranked
        self.samples: Sequence[Comparison] = [
            Comparison.of(sample.id, video, list(some))
            for video, (sample, some) in enumerate(zip(inputs.samples, texts, strict=True))
        ]

    @property
    def identity(self) -> dict[str, Any]:
        """As `RetrievalInputs.identity`, and the number of answers that are compared. Which ones these are stands in
        the ids of the samples."""
        return self.inputs.identity | {"reranked": self.reranked}

    def loader(
        self,
        config: Any,
        clip: Any,
        tokenizer: Tokenizer,
        *,
        training: bool,
        batch_size: int,
        hosts: tuple[int, int],
        seed: int = 0,
        only: Sequence[int] | None = None,
    ) -> ComparisonLoader:
        """Batches of comparisons; arguments as for `stvg_jax.family.Inputs.loader`."""
        from stvg_jax.data_pipeline.loading.comparisons import ComparisonLoader

        texts = self.inputs.texts(config, clip)

        @functools.cache
        def text_ids(number: int) -> np.ndarray:
            return tokenizer.cut(texts[number])

        return ComparisonLoader(
            self.samples,
            self.tokens.read,
            text_ids,
            tokens=tokenizer.max_tokens,
            batch_size=batch_size,
            hosts=hosts,
            only=only,
            threads=self.inputs.threads,
        )

    def texts(self, config: Any, clip: Any) -> list[str]:
        """The texts of the split."""
        return self.inputs.texts(config, clip)


class RerankingEvaluator:
    """The terms that comparing adds to the similarities of a video and some texts, and the measures of retrieval.

    Args:
        videos: the comparisons.
        scores: similarities of all videos and texts; None on hosts other than the first, which write no report.
    """

    unit, rows = "compared video", 1

    def __init__(self, videos: ComparedVideos, scores: Scores | None) -> None:
        self._videos, self._scores = videos, scores

    def check(self, config: EvalConfig, model: Any) -> None:
        """The first stage has checked the settings."""

    def change(self, inputs: Any, config: EvalConfig) -> None:
        """None: there is only one way to ask."""

    def outputs(self, model: Any, batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """Terms float32 [b, c, p] of all texts of each video, by a `stvg_jax.retrieval.types.RetrievalModel`.

        Videos are read one after another, so that none depends on its batch, and what the model keeps of a video is
        computed once.
        """

        def row(arrays: Mapping[str, jax.Array]) -> jax.Array:
            return match_texts(model, arrays["tokens"], arrays["text_ids"], arrays["text_valid"], arrays["chunks"])

        return {"terms": jax.lax.map(row, dict(batch))}

    def answers(
        self, batch: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], samples: Sequence[Comparison]
    ) -> list[ComparedRecord]:
        """A record for each video of this host."""
        known = ((row, samples[index]) for row, index in enumerate(batch["sample"]) if index >= 0)
        return [
            ComparedRecord(sample.id, finite(outputs["terms"][row].reshape(-1)[: len(sample.texts)], sample.id))
            for row, sample in known
        ]

    def from_line(self, line: bytes) -> ComparedRecord:
        """Reads a line of a record."""
        return ComparedRecord.from_line(line)

    def report(
        self,
        records: Sequence[ComparedRecord],
        model: LoadedModel,
        inputs: ComparedVideos,
        config: EvalConfig,
        out: Path,
        *,
        examples: int,
    ) -> Report:
        """Writes the files of `stvg_jax.retrieval.evaluation.report`; there are no pictures of examples."""
        assert self._scores is not None
        compared = [(sample.texts, record.terms) for sample, record in zip(inputs.samples, records, strict=True)]
        scores = Scores.of(self._scores.similarity, self._scores.owners, compared, self._videos.reranked)
        report = write_report(scores, model, inputs.inputs, config, out)
        self._videos.tokens.remove()
        return report
