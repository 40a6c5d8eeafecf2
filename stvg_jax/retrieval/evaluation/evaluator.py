"""Evaluation of retrieval models: all videos and texts are encoded, then the best pairs compared again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.core.pixels import normalize_as_clip
from stvg_jax.eval.config import EvalConfig
from stvg_jax.family import Further, Report
from stvg_jax.parallel.hosts import from_first_host
from stvg_jax.retrieval.evaluation.records import EncodedRecord, finite
from stvg_jax.retrieval.evaluation.report import write_report
from stvg_jax.retrieval.evaluation.reranking import ComparedVideos, RerankingEvaluator
from stvg_jax.retrieval.evaluation.scores import Scores, texts_to_compare
from stvg_jax.retrieval.evaluation.token_files import TokenFiles
from stvg_jax.retrieval.inputs import RetrievalInputs
from stvg_jax.retrieval.scoring import all_similarities, encode_texts

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.loading.captioned import CaptionedVideo
    from stvg_jax.models.loading import LoadedModel

# Settings of `EvalConfig` that only grounding has.
_FOREIGN = {"subject": "annotated"}


class RetrievalEvaluator:
    """Embeddings of each video and of its texts, and the measures of retrieval in both directions.

    With `EvalConfig.reranked` the best answers to each query are then compared by `RerankingEvaluator`.
    """

    unit, rows = "video", 1

    def __init__(self) -> None:
        self._tokens: TokenFiles | None = None

    def check(self, config: EvalConfig, model: Any) -> None:
        """Raises InputError for an unknown benchmark, or settings that retrieval does not have."""
        from stvg_jax.data_pipeline.datasets.registry import get_benchmark

        try:
            benchmark = get_benchmark(config.benchmark)
        except InputError as error:
            raise InputError(f"config.eval.benchmark: {error}") from None
        if benchmark is not None and not set(benchmark.measures) >= {"R@1"}:
            raise InputError(
                f"config.eval.benchmark is {config.benchmark!r}, a test set of grounding; set it to 'none'"
            )
        for name, usual in _FOREIGN.items():
            if getattr(config, name) != usual:
                raise InputError(
                    f"config.eval.{name} is {getattr(config, name)!r}, which retrieval does not have; leave it at "
                    f"{usual!r}"
                )

    def change(self, inputs: RetrievalInputs, config: EvalConfig) -> None:
        """None: there is only one way to ask."""

    def keep(self, folder: Path, config: EvalConfig) -> None:
        """See `stvg_jax.family.StagedEvaluator.keep`: tokens of the videos, for re-ranking."""
        self._tokens = TokenFiles(folder / "tokens") if config.reranked else None

    def outputs(self, model: Any, batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """Outputs of a `stvg_jax.retrieval.types.RetrievalModel`, float32: tokens [b, n, d] and embeddings `videos`
        [b, q, e] of the videos, embeddings `texts` [b, c, p, e] of their texts.

        Videos are encoded one after another, so that none depends on its batch.
        """

        def row(arrays: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
            frames = normalize_as_clip(arrays["frames"])
            tokens, embeddings = model.encode_videos(frames[None])
            texts = encode_texts(model, arrays["text_ids"], arrays["text_valid"], arrays["chunks"])
            return {"tokens": tokens[0].astype(jnp.float32), "videos": embeddings[0], "texts": texts}

        return jax.lax.map(row, dict(batch))

    def answers(
        self, batch: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], samples: Sequence[CaptionedVideo]
    ) -> list[EncodedRecord]:
        """A record for each video of this host. Its tokens are kept first."""
        records = []
        for row, index in enumerate(batch["sample"]):
            if index < 0:
                continue
            sample = samples[index]
            texts = outputs["texts"][row].reshape(-1, outputs["texts"].shape[-1])[: len(sample.captions)]
            what = f"entry {sample.id}"
            if self._tokens is not None:
                self._tokens.write(index, finite(outputs["tokens"][row], what))
            records.append(EncodedRecord(sample.id, finite(outputs["videos"][row], what), finite(texts, what)))
        return records

    def from_line(self, line: bytes) -> EncodedRecord:
        """Reads a line of a record."""
        return EncodedRecord.from_line(line)

    def further(
        self, records: Sequence[EncodedRecord], model: LoadedModel, inputs: RetrievalInputs, config: EvalConfig
    ) -> Further | None:
        """Comparisons of the best pairs; see `stvg_jax.family.StagedEvaluator.further`."""
        if self._tokens is None:
            return None
        found: list[Scores] = []

        def plan() -> list[list[int]]:
            found.append(_scores(records, model))
            return [texts.tolist() for texts in texts_to_compare(found[0].similarity, config.reranked)]

        # Another machine may round similarities otherwise, and all hosts must plan the same batches.
        videos = ComparedVideos(inputs, from_first_host(plan), self._tokens, config.reranked)
        return Further("reranking", RerankingEvaluator(videos, found[0] if found else None), videos)

    def report(
        self,
        records: Sequence[EncodedRecord],
        model: LoadedModel,
        inputs: RetrievalInputs,
        config: EvalConfig,
        out: Path,
        *,
        examples: int,
    ) -> Report:
        """Writes the files of `stvg_jax.retrieval.evaluation.report`, from embeddings alone; there are no pictures of
        examples."""
        return write_report(_scores(records, model), model, inputs, config, out)


def _scores(records: Sequence[EncodedRecord], model: LoadedModel) -> Scores:
    """Similarities of all videos and texts."""
    videos = np.stack([record.video for record in records])
    owners = np.repeat(np.arange(len(records)), [len(record.texts) for record in records])
    texts = np.concatenate([record.texts for record in records])
    return Scores(all_similarities(model.module, videos, texts), owners)
