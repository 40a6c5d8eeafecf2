"""The builder of tensorflow-datasets that those of all datasets derive from."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from stvg_jax.core.errors import InputError, missing_extra
from stvg_jax.data_pipeline.annotations import KINDS, Sample
from stvg_jax.data_pipeline.annotations.collecting import ON_PROBLEM
from stvg_jax.data_pipeline.annotations.files import find_file
from stvg_jax.data_pipeline.datasets.reading import read_annotations
from stvg_jax.data_pipeline.datasets.registry import get_dataset
from stvg_jax.data_pipeline.shards import POLICIES, Settings
from stvg_jax.data_pipeline.tfds.examples import ExampleMaker, by_video, pack

_SPLITS = ("train", "val", "test")


@dataclasses.dataclass(eq=False)
class GroundingConfig(tfds.core.BuilderConfig):
    """Contents of a prepared dataset. Another value needs another `name`: it is the folder's.

    Attributes:
        height, quality, subsampling: of a stored frame and its JPEG, as in `shards.Settings`.
        frames: which frames of a clip, as for `stvg-jax prepare frames`: "sampled", those that evaluation looks at by
            the dataset's frame rule; "clips", all of a clip; "all", all of its video.
        on_problem: as for `read_annotations`: "raise", "exclude" or "keep".

    Raises:
        InputError: a value that is none of these.
    """

    height: int = Settings.height
    quality: int = Settings.quality
    subsampling: str = Settings.subsampling
    frames: str = "sampled"
    on_problem: str = "raise"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and type(value) is not int:
                raise InputError(f"{field.name}={value!r}: must be a whole number")
        self.settings  # noqa: B018  (refuses bad values)
        for name, known in (("frames", POLICIES), ("on_problem", ON_PROBLEM)):
            if getattr(self, name) not in known:
                raise InputError(f"{name}={getattr(self, name)!r} is unknown; choose one of {', '.join(known)}")

    @property
    def settings(self) -> Settings:
        """Size and JPEG of a stored frame."""
        return Settings(self.height, self.quality, self.subsampling)


class GroundingBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Builder of a dataset with a record in `data_pipeline.datasets`: one example per sentence.

    Frames count from 0 over the whole video, and ends are one past the last frame. An example has

        id, video, sentence, subject, kind, category: as in `Sample`.
        width, height: pixels of a frame of the video, which the boxes refer to.
        clip, tube: int64 [2], (first, end) frames.
        boxes_xyxy: float32 [tube frames, 4], (x1, y1, x2, y2) in pixels.
        frame_ids: int64 [n], numbers of the frames that are stored, ascending.
        frames: uint8 [n, h, w, 3], stored as JPEG; `tfds.decode.SkipDecoding()` gives the files.

    Attributes:
        DATASET: name of the record.
        TITLE, CITATION, HOMEPAGE: for `tfds.core.DatasetInfo`.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    DATASET: ClassVar[str]
    TITLE: ClassVar[str]
    CITATION: ClassVar[str] = ""
    HOMEPAGE: ClassVar[str | None] = None

    _with_beam = False

    def _info(self) -> tfds.core.DatasetInfo:
        features = {name: tfds.features.Text() for name in ("id", "video", "sentence", "subject", "category")}
        features |= {
            "kind": tfds.features.ClassLabel(names=KINDS),
            "width": np.int32,
            "height": np.int32,
            "clip": tfds.features.Tensor(shape=(2,), dtype=np.int64),
            "tube": tfds.features.Tensor(shape=(2,), dtype=np.int64),
            "boxes_xyxy": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
            "frame_ids": tfds.features.Tensor(shape=(None,), dtype=np.int64),
            "frames": tfds.features.Video(shape=(None, None, None, 3), encoding_format="jpeg"),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{self.TITLE}: sentences about videos, each with the tube of boxes that it means.",
            features=tfds.features.FeaturesDict(features),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
        )

    def download_and_prepare(
        self, *, download_config: tfds.download.DownloadConfig | None = None, **options: Any
    ) -> None:
        """As tensorflow-datasets has it; a Beam runner, or options for one, in `download_config` make it use Beam.

        Raises:
            InputError: data is missing or wrong. An error on a machine of Beam's comes out as the runner reports it.
        """
        asked = download_config and (download_config.beam_runner or download_config.beam_options)
        self._with_beam = asked is not None
        super().download_and_prepare(download_config=download_config, **options)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        folder = self._dataset_folder(dl_manager)
        videos = self._video_folder(folder)
        # All of them before the first video is decoded: what is wrong in the last is told now.
        samples = {split: self._read(file, split, videos) for split, file in self._files(folder).items()}
        return {split: self._generate_examples(videos, found) for split, found in samples.items()}

    def _generate_examples(self, videos: Path, samples: Sequence[Sample]) -> Any:
        """Examples with their ids: an iterator, or a transform of Beam that makes them."""
        config = self._config
        maker = ExampleMaker(self.DATASET, videos, config.settings, config.frames, config.on_problem)
        if not self._with_beam:
            return (example for group in by_video(samples) for example in maker(group))
        try:
            import apache_beam as beam
        except ImportError as error:
            raise missing_extra("tfds", "preparing a dataset with Beam needs apache-beam") from error
        packed = [pack(group) for group in by_video(samples)]
        # Without the shuffle a runner may fuse the steps, and one machine would decode every video.
        return beam.Create(packed) | beam.Reshuffle() | beam.FlatMap(maker.from_packed)

    @property
    def _config(self) -> GroundingConfig:
        config = self.builder_config
        assert isinstance(config, GroundingConfig)
        return config

    @property
    def _layouts(self) -> Sequence[str]:
        """Places of a split's annotation file in the dataset folder."""
        return get_dataset(self.DATASET).layouts

    @property
    def _video_folders(self) -> Sequence[str]:
        """Names that the folder of videos may have."""
        return get_dataset(self.DATASET).video_folders

    @property
    def _options(self) -> Mapping[str, Any]:
        """Further arguments of `read_annotations`."""
        return {}

    def _dataset_folder(self, dl_manager: tfds.download.DownloadManager) -> Path:
        """The folder with annotations and videos: that of manual downloads, or the one in it with the dataset's name.

        Raises:
            InputError: it is not there.
        """
        try:
            manual = Path(os.fspath(dl_manager.manual_dir)).resolve()
        except AssertionError as error:
            raise InputError(str(error)) from None
        places = [manual / self.DATASET, manual]
        found = next((place for place in places if self._files(place)), None)
        if found is None:
            raise InputError(
                f"{manual} and {places[0]} have no annotations of {self.info.full_name}; what is needed:\n"
                f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )
        return found

    def _files(self, folder: Path) -> dict[str, Path]:
        """Annotation files by split, of those that are there."""
        found = {split: find_file(folder, split, self._layouts) for split in _SPLITS}
        return {split: file for split, file in found.items() if file is not None}

    def _video_folder(self, folder: Path) -> Path:
        found = [folder / name for name in self._video_folders if (folder / name).is_dir()]
        if len(found) != 1:
            there = " and ".join(place.name for place in found) or "none"
            raise InputError(
                f"{folder} must have one folder of videos, called {' or '.join(self._video_folders)}; it has {there}"
            )
        return found[0]

    def _read(self, file: Path, split: str, videos: Path) -> list[Sample]:
        on_problem = self._config.on_problem
        annotations = read_annotations(
            self.DATASET, file, split=split, videos=videos, on_problem=on_problem, **self._options
        )
        return annotations.samples
