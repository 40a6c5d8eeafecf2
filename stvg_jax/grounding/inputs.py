"""Data of an experiment: from sections `data` and `loader` of its configuration to samples and batches."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from stvg_jax.core.config import build
from stvg_jax.core.errors import InputError
from stvg_jax.grounding.base import GroundingConfig
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.grounding.protocol import TWO_PASSES, Protocol

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.annotations import Sample
    from stvg_jax.data_pipeline.annotations.other_sentences import Allowed
    from stvg_jax.data_pipeline.loading.loader import Loader
    from stvg_jax.runtime.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Section `data` of an experiment. Relative paths start from the working directory.

    Attributes:
        dataset: name of a dataset, such as "hcstvg", "vidstg" or "json" (docs/annotations.md).
        annotations: the dataset folder, or an annotation file.
        frames: output folder of `stvg-jax prepare frames`.
        trajectories: folder of VidOR's trajectories, for VidSTG's sentence files; "" to look beside them.
        replacements: JSON file of words to replace in VidSTG's sentences; "" for none.
        labels: output file of `stvg-jax prepare labels`; "" for the labels in the annotations.
        on_problem: treatment of wrong annotations: "raise", "exclude" or "keep"
            (`data_pipeline.datasets.reading.read_annotations`).
    """

    dataset: str = "hcstvg"
    annotations: str = ""
    frames: str = ""
    trajectories: str = ""
    replacements: str = ""
    labels: str = ""
    on_problem: str = "raise"


class GroundingInputs:
    """One split of a dataset, checked against its stored frames.

    Args:
        config: the experiment's configuration, with sections `data` and `loader`.
        split: "train", "val" or "test".
        protocol: of evaluation.

    Attributes:
        data: section `data`.
        annotations: of the split.
        store: the frames of the dataset's videos.
        unusable: number of samples left out because their video is missing or is a different one.
        subject: rule by which the samples have their subjects (`data_pipeline.annotations.subjects`).

    Raises:
        InputError: annotations or frames that cannot be read or do not belong together.
    """

    def __init__(self, config: Mapping[str, Any], split: str, protocol: Protocol = TWO_PASSES) -> None:
        from stvg_jax.data_pipeline.annotations import require_tubes
        from stvg_jax.data_pipeline.annotations.subjects import ANNOTATED
        from stvg_jax.data_pipeline.datasets.reading import read_with_frames
        from stvg_jax.data_pipeline.loading.config import LoaderSettings

        self._protocol = protocol
        self.data = build(DataConfig, config.get("data", {}), "config.data")
        self._settings = build(LoaderSettings, config.get("loader", {}), "config.loader")
        optional = {name: getattr(self.data, name) or None for name in ("trajectories", "replacements", "labels")}
        annotations, self.store, problems = read_with_frames(
            self.data, split, require_tubes, unit="the samples", **optional
        )
        wrong = {problem.entry for problem in problems}
        samples = [sample for sample in annotations.samples if f"sample {sample.id}" not in wrong]
        if not samples:
            raise InputError(f"no sample of {self.data.annotations} has its frames in {self.data.frames}")
        self.unusable = len(annotations.samples) - len(samples)
        self.subject = ANNOTATED
        self.annotations = dataclasses.replace(annotations, samples=samples)

    @property
    def samples(self) -> Sequence[Sample]:
        """The sentences and their tubes, in the order of the annotations."""
        return self.annotations.samples

    @property
    def sentences(self) -> list[str]:
        """The sentence of each sample."""
        return [sample.sentence for sample in self.samples]

    @property
    def clip_sec(self) -> float:
        """Seconds of the median clip, for searches in windows (`stvg_jax.grounding.inference.trained`)."""
        return round(
            statistics.median(
                (end - start) / self.store.videos[sample.video].fps
                for sample in self.samples
                for start, end in [sample.clip]
            ),
            6,
        )

    @property
    def identity(self) -> dict[str, Any]:
        """JSON values that identify everything in the data that answers and measures depend on."""
        from stvg_jax.data_pipeline.annotations.subjects import ANNOTATED

        digest = hashlib.sha256()
        for sample in self.samples:
            asked = [sample.id, sample.video, sample.subject, sample.sentence, sample.clip, sample.tube]
            digest.update(json.dumps(asked).encode() + sample.boxes_xyxy.tobytes())
        identity = {"samples": digest.hexdigest(), "frames": self.store.settings.values}
        # Evaluations of earlier versions, which go on, know no rule.
        return identity if self.subject == ANNOTATED else identity | {"subject": self.subject}

    def with_subjects(self, rule: str) -> GroundingInputs:
        """The same samples with other subjects, for evaluation.

        Args:
            rule: a key of `data_pipeline.annotations.subjects.SUBJECT_RULES`.

        Raises:
            InputError: as `data_pipeline.annotations.subjects.with_subjects`.
        """
        from stvg_jax.data_pipeline.annotations.subjects import with_subjects

        changed = copy.copy(self)
        changed.subject = rule
        changed.annotations = dataclasses.replace(self.annotations, samples=with_subjects(self.samples, rule))
        return changed

    def with_other_sentences(self, allowed: Allowed | None = None) -> GroundingInputs:
        """The same clips with sentences of other videos, for evaluation
        (`data_pipeline.annotations.other_sentences.with_other_sentences`)."""
        from stvg_jax.data_pipeline.annotations.other_sentences import with_other_sentences

        changed = copy.copy(self)
        changed.annotations = dataclasses.replace(self.annotations, samples=with_other_sentences(self.samples, allowed))
        return changed

    def loader(
        self,
        config: GroundingConfig,
        clip: ClipConfig,
        tokenizer: Tokenizer,
        *,
        training: bool,
        batch_size: int,
        hosts: tuple[int, int],
        seed: int = 0,
        only: Sequence[int] | None = None,
    ) -> Loader:
        """Batches of the split's samples.

        Args:
            config, clip, tokenizer: of the model.
            training, batch_size, hosts, seed, only: as for `data_pipeline.loading.loader.Loader`.

        Raises:
            InputError: as `Loader`.
        """
        from stvg_jax.data_pipeline.annotations.subjects import NONE
        from stvg_jax.data_pipeline.loading.config import LoaderConfig
        from stvg_jax.data_pipeline.loading.loader import Loader

        lengths = {min(length, tokenizer.max_tokens) for length in self._settings.text_lengths}
        settings = dataclasses.asdict(self._settings) | {"text_lengths": tuple(sorted(lengths))}
        words = config.words if training else (0, 0)
        reads_subject = config.reads_subject and self.subject != NONE
        model: dict[str, Any] = {"reads_subject": reads_subject, "reads_tube": config.reads_tube}
        model |= {"appearance_words": words[0], "motion_words": words[1]}
        return Loader(
            self.samples,
            self.store,
            tokenizer,
            LoaderConfig(**dataclasses.asdict(clip), **settings, **model),
            seed=seed,
            training=training,
            batch_size=batch_size,
            hosts=hosts,
            only=only,
            passes=None if training else self._protocol.of(clip),
        )

    def texts(self, config: GroundingConfig, clip: ClipConfig) -> list[str]:
        """Texts that the model reads in training, and the same with left and right exchanged."""
        from stvg_jax.data_pipeline.language.directions import swap_directions
        from stvg_jax.data_pipeline.language.text import model_text

        subject = config.reads_subject
        texts = [model_text(s.subject if subject else None, s.sentence, clip.sampling) for s in self.samples]
        return texts + [swap_directions(text) for text in texts]

    def pictures(self, video: str, frame_ids: Sequence[int]) -> list[np.ndarray]:
        """Stored frames of a video, uint8 [h, w, 3]."""
        from stvg_jax.data_pipeline.shards.jpeg import decode

        return [decode(jpeg) for jpeg in self.store.read(video, frame_ids)]


def batch_shapes(
    experiment: Mapping[str, Any],
    config: GroundingConfig,
    clip: ClipConfig,
    *,
    rows: int,
    frames: int | None,
    width: int | None,
    tokens: int,
) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of a training batch of `data_pipeline.loading`.

    Args:
        experiment: the whole configuration; the usual sizes follow from its section `loader`.
        config, clip: of the model.
        rows: number of videos.
        frames: of each video; None for one pass over a clip, or for the window of training.
        width: columns of a frame; None for those of a wide video.
        tokens: of each text.
    """
    from stvg_jax.data_pipeline.loading.schema import GROUNDING_BATCH

    usual_frames, usual_height, usual_width = _usual_size(experiment, clip)
    sizes = {
        "t": usual_frames if frames is None else frames,
        "h": usual_height,
        "w": usual_width if width is None else width,
        "l": tokens,
        "appearance_words": config.words[0],
        "motion_words": config.words[1],
    }
    shapes = GROUNDING_BATCH.shapes(rows, sizes, training=True)
    return {name: jax.ShapeDtypeStruct(shape, dtype) for name, (shape, dtype) in shapes.items()}


def _usual_size(experiment: Mapping[str, Any], clip: ClipConfig) -> tuple[int, int, int]:
    """(frames, rows, columns) of most rows of a training batch: those of one pass over a clip of a wide video."""
    from stvg_jax.data_pipeline.frame_rules import Amount, get_frame_rule
    from stvg_jax.data_pipeline.frames import model_size
    from stvg_jax.data_pipeline.loading.config import LoaderConfig, LoaderSettings, bucket_size

    settings = build(LoaderSettings, experiment.get("loader", {}), "config.loader")
    loader = LoaderConfig(**dataclasses.asdict(clip), **dataclasses.asdict(settings))
    frames = get_frame_rule(clip.sampling).usual_frames(Amount(clip.frames_per_pass, clip.sample_fps))
    size = bucket_size(model_size(9, 16, clip.resolution, clip.sizing), loader)
    return min(frames, loader.window or frames), *size
