"""The generated dataset for retrieval: captions of up to four sentences (docs/shapes.md).

For grounding its files have the format of HC-STVG, and are read as dataset "hcstvg".
"""

from __future__ import annotations

from stvg_jax.data_pipeline.datasets.caption_lists import caption_dataset

DATASET = caption_dataset("shapes", "shapes", ("annos/captions_{split}.json",), ("v1_video",), {})
