"""HC-STVG, versions 1 and 2, for tensorflow-datasets: `tfds.load("hcstvg/v1")`, `tfds.load("hcstvg/v2")`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.tfds.builder import GroundingBuilder, GroundingConfig

_RELEASES = (1, 2)


@dataclasses.dataclass(eq=False)
class HcstvgConfig(GroundingConfig):
    """As `GroundingConfig`.

    Attributes:
        release: 1 or 2, of the dataset.

    Raises:
        InputError: as `GroundingConfig`; another release.
    """

    release: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.release not in _RELEASES:
            raise InputError(f"release={self.release!r}: HC-STVG has the releases 1 and 2")


class Hcstvg(GroundingBuilder):
    """Sentences about people in films. Splits: train and test; of version 2 train and val, which TA-STVG's files
    call test."""

    DATASET = "hcstvg"
    TITLE = "HC-STVG"
    HOMEPAGE = "https://github.com/tzhhhh123/HC-STVG"
    CITATION = """@article{tang2021human,
  title={Human-centric Spatio-Temporal Video Grounding With Visual Transformers},
  author={Tang, Zongheng and Liao, Yue and Liu, Si and Li, Guanbin and Jin, Xiaojie and Jiang, Hongxu and Yu, Qian and Xu, Dong},
  journal={IEEE Transactions on Circuits and Systems for Video Technology},
  year={2021}
}"""  # noqa: E501
    MANUAL_DOWNLOAD_INSTRUCTIONS = """Put annotations and videos into the manual folder, or into hcstvg in it:
  annos/train.json, annos/test.json   as TA-STVG publishes them, of version 1 or 2; or
  annos/hcstvg_v1/..., annos/hcstvg_v2/...   as CG-STVG does; or
  anno_v2/train_v2.json, anno_v2/val_v2.json   the dataset's own of version 2
  v1_video/ or v2_video/   the videos, directly or in the folders of the download
https://github.com/tzhhhh123/HC-STVG says how to get them; https://github.com/HengLan/TA-STVG and
https://github.com/HengLan/CGSTVG link to annotations of their own form."""
    BUILDER_CONFIGS: ClassVar[list[HcstvgConfig]] = [
        HcstvgConfig(name="v1", release=1, description="Version 1: train and test."),
        HcstvgConfig(name="v2", release=2, description="Version 2: train, and val, which TA-STVG calls test."),
    ]

    @property
    def _layouts(self) -> Sequence[str]:
        return self._of_release(super()._layouts)

    @property
    def _video_folders(self) -> Sequence[str]:
        return self._of_release(super()._video_folders)

    def _of_release(self, names: Sequence[str]) -> list[str]:
        """Those that do not name the other release."""
        config = self._config
        assert isinstance(config, HcstvgConfig)
        return [name for name in names if f"v{3 - config.release}" not in name]
