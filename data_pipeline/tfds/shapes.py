"""The shapes dataset for tensorflow-datasets: `tfds.load("shapes")`, `tfds.load("shapes/small")`."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import ClassVar

import tensorflow_datasets as tfds

from stvg_jax.data_pipeline.shapes.dataset import Plan, prepare_shapes
from stvg_jax.data_pipeline.tfds.builder import GroundingBuilder, GroundingConfig


@dataclasses.dataclass(eq=False)
class ShapesConfig(GroundingConfig):
    """As `GroundingConfig`; every frame is stored unless told otherwise.

    Attributes:
        train, val, test, seed: as in `shapes.dataset.Plan`; a split of no videos is left out.
        scenes: kind of all scenes, `Plan.kind`.
        processes: how many processes make videos; with more than one, a script needs `if __name__ == "__main__"`.

    Raises:
        InputError: as `GroundingConfig` and `Plan`.
    """

    frames: str = "all"
    train: int = Plan.train
    val: int = Plan.val
    test: int = Plan.test
    seed: int = Plan.seed
    scenes: str | None = None
    processes: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.plan  # noqa: B018  (refuses bad values)

    @property
    def plan(self) -> Plan:
        """Contents of the dataset."""
        return Plan(self.train, self.val, self.test, self.seed, kind=self.scenes)


class Shapes(GroundingBuilder):
    """Sentences about generated videos of moving shapes (docs/shapes.md), which are made in the folder of downloads.

    A run that was stopped continues with the videos that are there.
    """

    # Its files have the format of this dataset.
    DATASET = "hcstvg"
    TITLE = "The shapes dataset"
    BUILDER_CONFIGS: ClassVar[list[ShapesConfig]] = [
        ShapesConfig(name="full", description="4000 videos for train, 200 for val, 400 for test."),
        ShapesConfig(
            name="small", train=200, val=20, test=40, description="200, 20 and 40 of the full dataset's videos."
        ),
    ]

    def _dataset_folder(self, dl_manager: tfds.download.DownloadManager) -> Path:
        config = self._config
        assert isinstance(config, ShapesConfig)
        folder = Path(os.fspath(dl_manager.download_dir)) / "shapes" / config.name
        prepare_shapes(folder, config.plan, processes=config.processes)
        return folder

    def _files(self, folder: Path) -> dict[str, Path]:
        config = self._config
        assert isinstance(config, ShapesConfig)
        counts = config.plan.counts()
        return {split: file for split, file in super()._files(folder).items() if counts[split]}
