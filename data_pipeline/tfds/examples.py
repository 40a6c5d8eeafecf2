"""From the sentences about a video to the examples that a builder writes, without tensorflow-datasets."""

from __future__ import annotations

import dataclasses
import json
import logging
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import Annotations, Sample, VideoFacts, raise_problems
from stvg_jax.data_pipeline.datasets.reading import check_against_videos
from stvg_jax.data_pipeline.shards import Settings, wanted_frames
from stvg_jax.data_pipeline.shards.making import Job, wanted_ids
from stvg_jax.data_pipeline.video import VideoInfo, open_video

_log = logging.getLogger(__name__)


def by_video(samples: Iterable[Sample]) -> list[list[Sample]]:
    """The samples of each video, which is decoded once for all of them."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.video, []).append(sample)
    return list(groups.values())


def pack(samples: Iterable[Sample]) -> bytes:
    """Samples as an element of a Beam pipeline. A pipeline's description holds its elements, so they are compressed."""
    records = [vars(sample) | {"boxes_xyxy": sample.boxes_xyxy.tolist()} for sample in samples]
    return zlib.compress(json.dumps(records).encode())


def unpack(packed: bytes) -> list[Sample]:
    """The inverse of `pack`."""
    records = json.loads(zlib.decompress(packed))
    return [Sample(**{name: _restored(name, value) for name, value in record.items()}) for record in records]


def _restored(name: str, value: Any) -> Any:
    if name == "boxes_xyxy":
        return np.array(value, np.float64)
    return tuple(value) if isinstance(value, list) else value


@dataclasses.dataclass(frozen=True)
class ExampleMaker:
    """Makes the examples of the sentences about one video. Beam pickles it and calls it on its machines.

    Attributes:
        dataset: name of the dataset's record.
        videos: the folder of videos.
        settings: size and JPEG of a frame.
        frames: which frames, one of `shards.POLICIES`.
        on_problem: as for `read_annotations`; unless it is "raise", sentences whose video is damaged or is another one
            are left out with a warning.
    """

    dataset: str
    videos: Path
    settings: Settings
    frames: str
    on_problem: str = "raise"

    def __call__(self, samples: Sequence[Sample]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yields an id and an example for each sample.

        Args:
            samples: of one video, at least one.

        Raises:
            InputError: the video is damaged, or is not the annotated one.
        """
        try:
            examples = self._examples(samples)
        except InputError as error:
            if self.on_problem == "raise":
                raise
            _log.warning("%s: left out with its %d sentences: %s", samples[0].video, len(samples), error)
            return
        yield from examples

    def from_packed(self, samples: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
        """As a call with the samples that `pack` has packed."""
        yield from self(unpack(samples))

    def _examples(self, samples: Sequence[Sample]) -> list[tuple[str, dict[str, Any]]]:
        with open_video(self.videos / samples[0].video) as reader:
            samples = self._fitting(samples, reader.info)
            ids = [self._frame_ids(sample, reader.info) for sample in samples]
            every = np.unique(np.concatenate([np.zeros(0, np.int64), *ids]))
            jpegs = {number: self.settings.stored(picture) for number, picture in reader.iter_selected(every)}
        return [
            (sample.id, _example(sample, own, [jpegs[number] for number in own.tolist()]))
            for sample, own in zip(samples, ids, strict=True)
        ]

    def _fitting(self, samples: Sequence[Sample], info: VideoInfo) -> list[Sample]:
        """The samples that are about this video, by its size and length."""
        annotations = Annotations(self.dataset, "", list(samples), [], [])
        facts = VideoFacts(info.frame_count, info.width, info.height)
        problems = check_against_videos(annotations, {samples[0].video: facts})
        if self.on_problem == "raise":
            raise_problems(problems, f"{info.path} and its annotations, which do not belong together")
        for problem in problems:
            _log.warning("%s: left out: %s: %s: %s", problem.file, problem.entry, problem.rule, problem.detail)
        wrong = {problem.entry for problem in problems}
        return [sample for sample in samples if f"sample {sample.id}" not in wrong]

    def _frame_ids(self, sample: Sample, info: VideoInfo) -> np.ndarray:
        """int64 [n], ascending."""
        wanted = wanted_frames([sample], self.dataset, self.frames)[sample.video]
        return wanted_ids(Job(sample.video, info.path, wanted), info)


def _example(sample: Sample, frame_ids: np.ndarray, jpegs: list[bytes]) -> dict[str, Any]:
    return {
        "id": sample.id,
        "video": sample.video,
        "sentence": sample.sentence,
        "subject": sample.subject,
        "kind": sample.kind,
        "category": sample.category,
        "width": sample.width,
        "height": sample.height,
        "clip": np.array(sample.clip, np.int64),
        "tube": np.array(sample.tube, np.int64),
        "boxes_xyxy": sample.boxes_xyxy.astype(np.float32),
        "frame_ids": frame_ids,
        "frames": jpegs,
    }
