"""VidSTG for tensorflow-datasets: `tfds.load("vidstg")`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import KINDS, Sample
from stvg_jax.data_pipeline.tfds.builder import GroundingBuilder, GroundingConfig

_BOTH = "both"


@dataclasses.dataclass(eq=False)
class VidstgConfig(GroundingConfig):
    """As `GroundingConfig`.

    Attributes:
        kind: of the sentences: "declarative", "interrogative" or "both".
        trajectories, replacements: paths, as for `read_annotations`; None for the defaults.

    Raises:
        InputError: as `GroundingConfig`; another kind.
    """

    kind: str = _BOTH
    trajectories: str | None = None
    replacements: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in (_BOTH, *KINDS):
            raise InputError(f"kind={self.kind!r} is unknown; choose one of {_BOTH}, {', '.join(KINDS)}")


class Vidstg(GroundingBuilder):
    """Sentences and questions about the things in everyday videos, of VidOR. Splits: train, val and test."""

    DATASET = "vidstg"
    TITLE = "VidSTG"
    HOMEPAGE = "https://github.com/Guaranteer/VidSTG-Dataset"
    CITATION = """@inproceedings{zhang2020where,
  title={Where Does It Exist: Spatio-Temporal Video Grounding for Multi-Form Sentences},
  author={Zhang, Zhu and Zhao, Zhou and Zhao, Yang and Wang, Qi and Liu, Huasheng and Gao, Lianli},
  booktitle={CVPR},
  year={2020}
}"""
    MANUAL_DOWNLOAD_INSTRUCTIONS = """Put annotations and videos into the manual folder, or into vidstg in it:
  annos/train.json, annos/val.json, annos/test.json   merged, as TA-STVG publishes them (CG-STVG: vstg_annos/); or
  sent_annos/train_annotations.json, ...   the dataset's own sentences, with
  bbox_annos/ or annotation/   VidOR's trajectories, one <video>.json each
  videos/   VidOR's videos, directly or in its folders
https://github.com/Guaranteer/VidSTG-Dataset has the sentences, https://xdshang.github.io/docs/vidor.html
the videos and trajectories; https://github.com/HengLan/TA-STVG and CGSTVG link to merged annotations."""
    BUILDER_CONFIGS: ClassVar[list[VidstgConfig]] = [
        VidstgConfig(name="both", description="Declarative and interrogative sentences."),
        VidstgConfig(name="declarative", kind="declarative", description="Declarative sentences alone."),
        VidstgConfig(name="interrogative", kind="interrogative", description="Interrogative sentences alone."),
    ]

    @property
    def _options(self) -> Mapping[str, Any]:
        config = self._config
        assert isinstance(config, VidstgConfig)
        return {"trajectories": config.trajectories, "replacements": config.replacements}

    def _read(self, file: Path, split: str, videos: Path) -> list[Sample]:
        config, samples = self._config, super()._read(file, split, videos)
        assert isinstance(config, VidstgConfig)
        found = [sample for sample in samples if config.kind in (_BOTH, sample.kind)]
        if not found:
            raise InputError(f"{file} has no {config.kind} sentence; choose another configuration of vidstg")
        return found
