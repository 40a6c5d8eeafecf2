"""What the TA-STVG experiments share."""

from __future__ import annotations

import ml_collections

from stvg_jax.errors import InputError
from stvg_jax.grounding.registry import default_config


def experiment(
    arg: str, *, appearance_words: int, motion_words: int, sampling_threshold: float, sampling: str
) -> ml_collections.ConfigDict:
    """A locked configuration of the full-size model.

    Args:
        arg: of `get_config`; must be empty.
        appearance_words, motion_words: attribute vocabularies of the dataset.
        sampling_threshold: theta of text-guided temporal sampling.
        sampling: rule that spreads frames over a clip.

    Raises:
        InputError: if `arg` is not empty.
    """
    if arg:
        raise InputError(f"this configuration takes no argument, got {arg!r}")
    model = default_config("ta_stvg") | {
        "appearance_words": appearance_words,
        "motion_words": motion_words,
        "sampling_threshold": sampling_threshold,
    }
    config = ml_collections.ConfigDict(
        {
            "name": "ta_stvg",
            "model": model,
            "clip": {"sampling": sampling, "resolution": 420, "frames_per_pass": 64},
        }
    )
    return config.lock()
