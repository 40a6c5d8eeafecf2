"""From an experiment's configuration to its samples and the batches that hold them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stvg_jax.core.config import build
from stvg_jax.core.errors import InputError
from stvg_jax.grounding.inference.clip import ClipConfig

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.annotations import Annotations
    from stvg_jax.data_pipeline.loading import Loader
    from stvg_jax.data_pipeline.shards import FrameStore
    from stvg_jax.runtime.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Section `data` of an experiment. Paths are relative to the folder that the command is started in.

    Attributes:
        dataset: "hcstvg", "vidstg" or "json" (docs/annotations.md).
        annotations: the dataset folder, or an annotation file.
        frames: what `stvg-jax prepare frames` made of its videos.
        trajectories: folder of VidOR's trajectories, for VidSTG's sentence files; "" to look beside them.
        replacements: JSON file of words to replace in VidSTG's sentences; "" for none.
        labels: what `stvg-jax prepare labels` made; "" for the labels in the annotations.
        on_problem: what becomes of wrong annotations: "raise", "exclude" or "keep"
            (`data_pipeline.annotations.read_annotations`).
    """

    dataset: str = "hcstvg"
    annotations: str = ""
    frames: str = ""
    trajectories: str = ""
    replacements: str = ""
    labels: str = ""
    on_problem: str = "raise"


@dataclasses.dataclass(frozen=True)
class LoaderSettings:
    """Section `loader` of an experiment: augmentation and the shapes of batches (`data_pipeline.loading.LoaderConfig`,
    which documents the fields; the clip and the vocabularies come from the model)."""

    width_multiple: int = 28
    text_lengths: tuple[int, ...] = (32, 64, 128, 256, 512)
    temporal_crop: float = 0.5
    window: int = 0
    flip: float = 0.7
    scales: tuple[int, ...] = ()
    size_crop: float = 0.0
    reference: bool = False
    threads: int = 0
    prefetch: int = 1


class Inputs:
    """One split of a dataset, checked against its stored frames.

    Args:
        config: the experiment's configuration, with sections `data` and `loader`.
        split: "train", "val" or "test".

    Attributes:
        data: section `data`.
        annotations: of the split.
        store: the frames of the dataset's videos.
        unusable: how many samples were left out because their video is missing or is another.

    Raises:
        InputError: annotations or frames cannot be read or do not belong together.
    """

    def __init__(self, config: Mapping[str, Any], split: str) -> None:
        from stvg_jax.data_pipeline.annotations import (
            check_against_videos,
            match_videos,
            raise_problems,
            read_annotations,
        )
        from stvg_jax.data_pipeline.shards import FrameStore

        self.data = build(DataConfig, config.get("data", {}), "config.data")
        self._settings = build(LoaderSettings, config.get("loader", {}), "config.loader")
        for name in ("annotations", "frames"):
            if not getattr(self.data, name):
                raise InputError(f"config.data.{name} is not set; give it with --config.data.{name}=PATH")
        optional = {name: getattr(self.data, name) or None for name in ("trajectories", "replacements", "labels")}
        annotations: Annotations = read_annotations(
            self.data.dataset, self.data.annotations, split=split, on_problem=self.data.on_problem, **optional
        )
        self.store: FrameStore = FrameStore(self.data.frames)
        annotations = match_videos(annotations, self.store.videos)
        problems = check_against_videos(annotations, self.store.videos)
        if self.data.on_problem == "raise":
            raise_problems(
                problems,
                f"{self.data.annotations} and the frames in {self.data.frames} do not belong together",
                "prepare the frames of these videos, or leave the samples out with --config.data.on_problem=exclude",
            )
        wrong = {problem.entry for problem in problems}
        samples = [sample for sample in annotations.samples if f"sample {sample.id}" not in wrong]
        if not samples:
            raise InputError(f"no sample of {self.data.annotations} has its frames in {self.data.frames}")
        self.unusable = len(annotations.samples) - len(samples)
        self.annotations = dataclasses.replace(annotations, samples=samples)

    def loader(
        self,
        clip: ClipConfig,
        tokenizer: Tokenizer,
        *,
        training: bool,
        batch_size: int,
        hosts: tuple[int, int],
        seed: int = 0,
        reads_subject: bool = True,
        words: tuple[int, int] = (0, 0),
        only: Sequence[int] | None = None,
    ) -> Loader:
        """Batches of the split's samples.

        Args:
            clip: how the model wants its clips.
            tokenizer: of the model.
            training, batch_size, hosts, seed, only: as for `data_pipeline.loading.Loader`.
            reads_subject: whether the model's texts begin with the words that name the target.
            words: sizes of the appearance and the motion vocabulary, to train.

        Raises:
            InputError: as `Loader`.
        """
        from stvg_jax.data_pipeline.loading import Loader, LoaderConfig

        lengths = {min(length, tokenizer.max_tokens) for length in self._settings.text_lengths}
        settings = dataclasses.asdict(self._settings) | {"text_lengths": tuple(sorted(lengths))}
        model = {"reads_subject": reads_subject, "appearance_words": words[0], "motion_words": words[1]}
        config = LoaderConfig(**dataclasses.asdict(clip), **settings, **model)
        return Loader(
            self.annotations.samples,
            self.store,
            tokenizer,
            config,
            seed=seed,
            training=training,
            batch_size=batch_size,
            hosts=hosts,
            only=only,
        )
