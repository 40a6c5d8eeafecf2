"""Data of an experiment with videos and captions: from section `data` of its configuration to samples and batches."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stvg_jax.core.config import build
from stvg_jax.core.errors import InputError
from stvg_jax.retrieval.clip import RetrievalClip

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.loading.captioned import CaptionedVideo
    from stvg_jax.family import Loader
    from stvg_jax.runtime.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class RetrievalDataConfig:
    """Section `data` of an experiment. Relative paths start from the working directory.

    Attributes:
        dataset: name of a dataset with captions, such as "msrvtt" (docs/retrieval.md).
        annotations: the dataset folder, or an annotation file.
        frames: output folder of `stvg-jax prepare frames`.
        features: folder for the features of the frozen part of a model that is trained, computed when they are missing;
            "" to compute them in every step (`stvg_jax.retrieval.features`).
        on_problem: treatment of wrong annotations and missing videos: "raise", "exclude" or "keep"
            (`data_pipeline.datasets.reading.read_annotations`).
        threads: threads that read and decode; 0 for one per core.
    """

    dataset: str = "msrvtt"
    annotations: str = ""
    frames: str = ""
    features: str = ""
    on_problem: str = "raise"
    threads: int = 0

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise ValueError(f"threads={self.threads} must not be negative")


class RetrievalInputs:
    """One split of a dataset of videos and captions, checked against its stored frames.

    Args:
        config: the experiment's configuration, with section `data`.
        split: "train", "val" or "test".

    Attributes:
        data: section `data`.
        samples: the videos, each with its captions.
        store: the frames of the dataset's videos.
        left_out: number of entries of the annotations that are left out.
        unusable: number of videos left out because no frame of them is stored.

    Raises:
        InputError: annotations or frames that cannot be read or do not belong together.
    """

    def __init__(self, config: Mapping[str, Any], split: str) -> None:
        from stvg_jax.data_pipeline.annotations import require_captions
        from stvg_jax.data_pipeline.datasets.reading import read_with_frames
        from stvg_jax.data_pipeline.loading.caption_pairs import PairSettings
        from stvg_jax.data_pipeline.loading.captioned import group_captions

        self._config, self._split = config, split
        self.data = build(RetrievalDataConfig, config.get("data", {}), "config.data")
        self.pair_settings = build(PairSettings, config.get("loader", {}), "config.loader")
        annotations, self.store, problems = read_with_frames(self.data, split, require_captions, unit="them")
        wrong = {problem.file for problem in problems}
        videos = group_captions(annotations.samples)
        self.samples: Sequence[CaptionedVideo] = [video for video in videos if video.video not in wrong]
        if not self.samples:
            raise InputError(f"no video of {self.data.annotations} has its frames in {self.data.frames}")
        self.left_out = len(annotations.excluded)
        self.unusable = len(videos) - len(self.samples)

    @property
    def sentences(self) -> list[str]:
        """All captions, those of one video after those of the one before."""
        return [caption for sample in self.samples for caption in sample.captions]

    @property
    def identity(self) -> dict[str, Any]:
        """JSON values that identify everything in the data that answers and measures depend on."""
        digest = hashlib.sha256(json.dumps([dataclasses.astuple(sample) for sample in self.samples]).encode())
        return {"samples": digest.hexdigest(), "frames": self.store.settings.values}

    @property
    def threads(self) -> int:
        """Threads that read and decode."""
        return self.data.threads or os.cpu_count() or 1

    def loader(
        self,
        config: Any,
        clip: RetrievalClip,
        tokenizer: Tokenizer,
        *,
        training: bool,
        batch_size: int,
        hosts: tuple[int, int],
        seed: int = 0,
        only: Sequence[int] | None = None,
    ) -> Loader:
        """Batches of the split's videos; texts that are too long for the model are cut, as in the release.

        Args:
            config, clip, tokenizer: of the model.
            training, batch_size, hosts, seed, only: as for `stvg_jax.family.Inputs.loader`.

        Raises:
            InputError: as `CaptionedLoader`.
        """
        from stvg_jax.data_pipeline.loading.caption_pairs import CaptionPairLoader
        from stvg_jax.data_pipeline.loading.captioned import CaptionedLoader

        if training:
            return CaptionPairLoader(
                self.samples,
                self.store,
                tokenizer.cut,
                clip.shown,
                frame_rule=clip.training_frame_rule,
                settings=self.pair_settings,
                tokens=tokenizer.max_tokens,
                seed=seed,
                batch_size=batch_size,
                hosts=hosts,
                threads=self.pair_settings.threads or os.cpu_count() or 1,
                features=self._features(config, clip) if self.data.features else None,
            )
        return CaptionedLoader(
            self.samples,
            self.store,
            tokenizer.cut,
            clip.shown,
            tokens=tokenizer.max_tokens,
            batch_size=batch_size,
            hosts=hosts,
            only=only,
            threads=self.threads,
        )

    def _features(self, config: Any, clip: RetrievalClip) -> np.ndarray:
        """Features of the videos, float16 [videos, ...]; arguments as for `loader`."""
        from stvg_jax.retrieval.features import FrozenPart, prepare_features

        if clip.training_frame_rule != clip.frame_rule or self.pair_settings.changes_pictures:
            raise InputError(
                "config.data.features keeps the frames of an evaluation, unchanged; set "
                f"config.clip.training_frame_rule={clip.frame_rule} and leave out all changes of config.loader, or set "
                "config.data.features to ''"
            )
        part = FrozenPart(self._config, config, clip)
        return prepare_features(Path(self.data.features), self._split, part, self.samples, self.store, clip)

    def texts(self, config: Any, clip: RetrievalClip) -> list[str]:
        """Texts that the model reads in training."""
        from stvg_jax.data_pipeline.language.captions import caption_text

        return [caption_text(sentence) for sentence in self.sentences]
