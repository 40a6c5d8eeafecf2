"""What the loader yields: the glossary of a batch.

Axes, as in `stvg_jax.grounding.types`: b rows of this host, t frames, h w pixels, l text tokens. Everything is padded
at its end; what is padded is 0 (text: `TEXT_PAD`) and marked by a mask, True = real.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

import numpy as np

# RoBERTa's. No result depends on it, since padded tokens are masked.
TEXT_PAD = 1

# "pass" is a keyword, so the class syntax cannot name it.
_Pass = TypedDict("_Pass", {"pass": NotRequired[np.ndarray]})


class Batch(_Pass):
    """One host's part of a batch. A training batch has a row for each sample; an evaluation batch has two, one after
    another: `pass` 0 with the even and 1 with the odd of the sampled frames (`data_pipeline.frame_rules.interleave`).

    Attributes:
        frames: uint8 [b, t, h, w, 3], RGB; neither divided by 255 nor normalised.
        frames_valid: bool [b, t]. Real frames come first.
        sizes: int32 [b, 2], real height and width.
        frame_ids: int32 [b, t], number of each frame in its video.
        text_ids: int32 [b, l], token ids of "subject sentence".
        text_valid: bool [b, l].
        sample: int32 [b], index into the loader's samples; -1 for a row that fills up the last batch of an evaluation.
            Such a row has one black frame and one token, so that nothing divides by zero.
        pass: int32 [b], 0 or 1; evaluation only.
        in_tube: bool [b, t], whether the described event goes on; this and what follows in training only.
        boxes_cxcywh: float32 [b, t, 4], the target in [0, 1] of the picture as it is in `frames`; 0 outside the tube.
        appearance_labels, motion_labels: float32 [b, words], 1 for each attribute word of the sentence.
    """

    frames: np.ndarray
    frames_valid: np.ndarray
    sizes: np.ndarray
    frame_ids: np.ndarray
    text_ids: np.ndarray
    text_valid: np.ndarray
    sample: np.ndarray
    in_tube: NotRequired[np.ndarray]
    boxes_cxcywh: NotRequired[np.ndarray]
    appearance_labels: NotRequired[np.ndarray]
    motion_labels: NotRequired[np.ndarray]
