"""The best moments of a long video, from the answers of its windows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stvg_jax.core.boxes import iou
from stvg_jax.grounding.inference.confidence import among_windows
from stvg_jax.grounding.inference.tube import FrameScores, Moment, Tube
from stvg_jax.grounding.tubes import fill_boxes

if TYPE_CHECKING:
    from stvg_jax.grounding.types import GroundingOutput

# Mean IoU of the boxes of two windows from which both show the same thing.
_SAME = 0.5
# Share of a window's frames at each border. An interval that reaches into it may go on in the next window.
_BORDER = 1 / 16
# Answers of windows that are kept, for each of the best moments; and at least.
_KEPT, _LEAST_KEPT = 16, 64
# Probabilities are told apart from 0 and 1 down to this.
_TINY = 1e-6


def score(output: GroundingOutput, frames_valid: np.ndarray | None) -> float:
    """Score of a window's answer, which can be compared between windows.

    The sum of the largest logits over its frames: that of a start, of an end, of being within the interval and, for a
    model with temporal sampling, of being relevant to the sentence. The probabilities of start and end, by contrast,
    add up to 1 in each window, whether it shows what is meant or not (docs/long-videos.md has the figures).

    Args:
        output: arrays as in GroundingOutput.
        frames_valid: bool [b, t], or None.
    """
    start_end, actioness = np.asarray(output.start_end_logits[-1]), np.asarray(output.actioness_logits[-1])
    logits = [start_end[..., 0], start_end[..., 1], actioness]
    if output.sampling_score is not None:
        probability = np.clip(np.asarray(output.sampling_score), _TINY, 1 - _TINY)
        logits.append(np.log(probability) - np.log1p(-probability))
    return float(sum((value if frames_valid is None else value[frames_valid]).max() for value in logits))


class Collector:
    """The best answers of the windows of a video, in a memory that does not grow with its length.

    Args:
        top: number of moments that are wanted.
    """

    def __init__(self, top: int):
        self._top = top
        self._answers: list[tuple[int, float, Tube]] = []
        self._number = 0
        self._searched = (0, 0)
        self._length = 1

    def add(self, answer: Tube, score: float) -> None:
        """Adds the answer of the next window."""
        if not self._number:
            self._searched, self._length = answer.clip, answer.clip[1] - answer.clip[0]
        self._searched = self._searched[0], answer.clip[1]
        self._answers.append((self._number, score, answer))
        self._number += 1
        if len(self._answers) > 4 * max(_LEAST_KEPT, _KEPT * self._top):
            self._forget()

    def _forget(self) -> None:
        """Drops answers that are neither among the best nor next to one of them."""
        best = sorted(self._answers, key=lambda a: -a[1])[: max(_LEAST_KEPT, _KEPT * self._top)]
        # The newest may have a neighbour yet to come.
        wanted = {number + step for number, _, _ in best for step in (-1, 0, 1)} | {self._number - 1}
        self._answers = [a for a in self._answers if a[0] in wanted]

    def best(self) -> Tube:
        """The best moment as a tube, with all moments in `Tube.moments`: the best one first, and none shares a frame
        with a better one."""
        tubes = [(tube, value) for _, value, tube in self._answers]
        best = best_tubes([tube for tube, _ in tubes], [value for _, value in tubes], self._top)
        found = [(self._judged(tube), value) for tube, value in best]
        moments = tuple(as_moment(tube, value) for tube, value in found)
        return dataclasses.replace(found[0][0], moments=moments)

    def _judged(self, tube: Tube) -> Tube:
        """A moment with the confidence of the best of several windows, which does not tell whether the video shows what
        is meant."""
        if self._number == 1 or not tube.calibrated or tube.confidence is None:
            return tube
        windows = (self._searched[1] - self._searched[0]) / self._length
        return dataclasses.replace(tube, confidence=among_windows(tube.confidence, windows), found=None)


def best_tubes(answers: Sequence[Tube], scores: Sequence[float], top: int) -> list[tuple[Tube, float]]:
    """The best moments and their scores, best first.

    An answer that a border of its window cuts off is joined with that of the next window, if both show the same thing.

    Args:
        answers: of windows, in order of time.
        scores: of the answers.
        top: largest number of moments.
    """
    found: list[tuple[Tube, float]] = []
    free = set(range(len(answers)))
    for index in sorted(free, key=lambda i: -scores[i]):
        if index not in free:
            continue
        first = last = index
        while first - 1 in free and _goes_on(answers[first - 1], answers[first], cut=_cut_off(answers[first])[0]):
            first -= 1
        while last + 1 in free and _goes_on(answers[last], answers[last + 1], cut=_cut_off(answers[last])[1]):
            last += 1
        tube = _joined(answers[first : last + 1])
        found.append((_as_sure(tube, answers[index]), scores[index]))
        free = {
            i
            for i in free
            if not first <= i <= last
            and (answers[i].end_frame <= tube.start_frame or tube.end_frame <= answers[i].start_frame)
        }
        if len(found) == top:
            break
    return found


def as_moment(tube: Tube, score: float) -> Moment:
    """The interval of a tube and its boxes."""
    _, boxes = tube.answer_boxes()
    return Moment(tube.start_frame, tube.end_frame, tube.start_sec, tube.end_sec, score, boxes, tube.confidence)


def _as_sure(tube: Tube, best: Tube) -> Tube:
    """A moment with the confidence of its best window."""
    return dataclasses.replace(tube, confidence=best.confidence, calibrated=best.calibrated, found=best.found)


def _cut_off(tube: Tube) -> tuple[bool, bool]:
    """Whether the interval reaches the first and the last frames of the window."""
    frames = tube.scores.frames
    border = max(2, round(len(frames) * _BORDER))
    return tube.start_frame < frames[:border][-1], tube.end_frame > frames[-border:][0]


def _goes_on(earlier: Tube, later: Tube, *, cut: bool) -> bool:
    """Whether two answers of neighbouring windows, of which one is cut off by the border between them, are one."""
    # With answers between them that have been forgotten, windows are no neighbours.
    if not cut or later.clip[0] > earlier.clip[1]:
        return False
    start, end = max(earlier.start_frame, later.start_frame), min(earlier.end_frame, later.end_frame)
    if start < end:
        frames = np.arange(start, end)
    elif earlier.clip[1] <= later.clip[0] and _cut_off(earlier)[1] and _cut_off(later)[0]:
        # Windows that share no frame.
        return bool(iou(earlier.boxes_xyxy[-1], later.boxes_xyxy[0]) >= _SAME)
    else:
        return False
    a, b = (tube.boxes_xyxy[frames - tube.box_frames[0]] for tube in (earlier, later))
    return bool(iou(a, b).mean() >= _SAME)


def _joined(parts: Sequence[Tube]) -> Tube:
    """Answers of consecutive windows as one; where two of them share frames, each counts for the half on its side."""
    if len(parts) == 1:
        return parts[0]
    cuts = [-1, *((a.clip[1] + b.clip[0]) // 2 for a, b in zip(parts, parts[1:], strict=False)), parts[-1].clip[1]]
    bounds = list(zip(parts, cuts, cuts[1:], strict=False))
    boxes = [(t.box_frames >= low) & (t.box_frames < high) for t, low, high in bounds]
    frames, filled = fill_boxes(
        np.concatenate([t.box_frames[kept] for t, kept in zip(parts, boxes, strict=True)]),
        np.concatenate([t.boxes_xyxy[kept] for t, kept in zip(parts, boxes, strict=True)]),
    )
    kept = [(t.scores.frames >= low) & (t.scores.frames < high) for t, low, high in bounds]
    scores = {
        field.name: np.concatenate([getattr(t.scores, field.name)[k] for t, k in zip(parts, kept, strict=True)])
        for field in dataclasses.fields(FrameScores)
    }
    begins, ends = min(parts, key=lambda t: t.start_frame), max(parts, key=lambda t: t.end_frame)
    return dataclasses.replace(
        begins,
        clip=(parts[0].clip[0], parts[-1].clip[1]),
        end_frame=ends.end_frame,
        end_sec=ends.end_sec,
        box_frames=frames,
        boxes_xyxy=filled.astype(np.float32),
        scores=FrameScores(**scores),
    )
