"""From a model's output for a question about a clip to a tube."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.grounding.inference.confidence import Calibration, Confidence, judge, tube_score
from stvg_jax.grounding.inference.tube import Tube
from stvg_jax.grounding.tubes import read_passes

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.clip import Clip
    from stvg_jax.grounding.protocol import Protocol
    from stvg_jax.grounding.types import GroundingOutput


_MAX_NAMED = 5


@dataclasses.dataclass(frozen=True)
class Question:
    """A sentence, ready for the model.

    Attributes:
        sentence: as given.
        subject: the words that name the target.
        ids: int32 [l], token ids of the text that the model reads.
        unknown: words of the text that the model does not know.
    """

    sentence: str
    subject: str
    ids: np.ndarray
    unknown: tuple[str, ...] = ()


def make_tube(
    clip: Clip,
    output: GroundingOutput,
    question: Question,
    protocol: Protocol,
    calibration: Calibration | None = None,
    note: str = "",
) -> Tube:
    """The answer to a question about a clip.

    Args:
        clip: the clip.
        output: of the model, for each pass over the clip.
        question: the question.
        protocol: of the model's family.
        calibration: of the checkpoint; None for one that has none.
        note: line about the checkpoint for `Tube.note`.

    Raises:
        InputError: the output is not finite.
    """
    # Axes are layers, then passes; the last layer gives the answer.
    boxes, start_end, actioness = (
        np.asarray(value[-1]) for value in (output.boxes_cxcywh, output.start_end_logits, output.actioness_logits)
    )
    sampling = None if output.sampling_score is None else np.asarray(output.sampling_score)
    passes, scores = read_passes(clip.frame_ids, boxes, start_end, actioness, sampling, joined=protocol.joined)
    if not all(np.isfinite(value).all() for value in (boxes, start_end, actioness)):
        raise InputError("the answer is not finite: the model's parameters are bad, or bfloat16 is too coarse for it")
    (start, end), box_frames, boxes = protocol.merge(passes, clip.height, clip.width)
    boxes = np.minimum(boxes, np.array([clip.width, clip.height] * 2, np.float32))
    sure = judge(tube_score((start, end), scores, boxes[scores.frames - box_frames[0]]), calibration)
    if question.unknown:
        # What the model reads is another sentence, and it was calibrated on sentences that it can read.
        sure = Confidence(sure.value, False, None)
        words = ", ".join(quoted(word, 20) for word in question.unknown[:_MAX_NAMED])
        note = "; ".join(filter(None, (note, f"the model does not know the words {words}")))
    return Tube(
        video=clip.video,
        sentence=question.sentence,
        subject=question.subject,
        width=clip.width,
        height=clip.height,
        fps=clip.fps,
        clip=(clip.start, clip.end),
        start_frame=start,
        end_frame=end,
        start_sec=clip.seconds(start),
        end_sec=clip.seconds(end),
        box_frames=box_frames,
        boxes_xyxy=boxes,
        scores=scores,
        warning=clip.warning,
        confidence=sure.value,
        calibrated=sure.calibrated,
        found=sure.found,
        note=note,
    )
