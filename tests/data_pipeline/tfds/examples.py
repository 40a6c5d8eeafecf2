"""Reading of prepared datasets, and their comparison with annotations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from stvg_jax.data_pipeline.annotations import KINDS, Sample


def read(builder: Any, split: str = "test", **options: Any) -> dict[str, dict[str, Any]]:
    """Examples by id, as numpy arrays."""
    import tensorflow_datasets as tfds

    return {example["id"].decode(): example for example in tfds.as_numpy(builder.as_dataset(split=split, **options))}


def read_files(builder: Any, split: str = "test") -> dict[str, dict[str, Any]]:
    """As `read`, with the JPEG files of the frames."""
    import tensorflow_datasets as tfds

    return read(builder, split, decoders={"frames": tfds.decode.SkipDecoding()})


def assert_same_records(examples: dict[str, dict[str, Any]], samples: Iterable[Sample]) -> None:
    samples = list(samples)
    assert set(examples) == {sample.id for sample in samples}
    for sample in samples:
        example = examples[sample.id]
        for name in ("video", "sentence", "subject", "category"):
            assert example[name].decode() == getattr(sample, name)
        assert KINDS[example["kind"]] == sample.kind
        assert (example["width"], example["height"]) == sample.frame_size
        assert (tuple(example["clip"]), tuple(example["tube"])) == (sample.clip, sample.tube)
        np.testing.assert_array_equal(example["boxes_xyxy"], sample.boxes_xyxy.astype(np.float32))
        assert example["boxes_xyxy"].dtype == np.float32
