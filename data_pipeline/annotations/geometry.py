"""Rules that every tube keeps, whatever file it comes from."""

from __future__ import annotations

import numpy as np

from stvg_jax.data_pipeline.annotations.fields import Fields

# Drawing tools put the last pixel at `width - 1` or at `width`, or round outwards. What is further out than that is a
# box of another video, or of the same one at another size.
BOX_TOLERANCE = 1.0


def check_tube(fields: Fields, tube: tuple[int, int], clip: tuple[int, int]) -> bool:
    """Whether the tube is not empty and lies within the clip; notes it if not."""
    tube_text = f"the tube is frames {tube[0]} to {tube[1] - 1}"
    if tube[1] <= tube[0]:
        fields.report("empty tube", f"the tube begins with frame {tube[0]} and ends before frame {tube[1]}")
    elif tube[0] < clip[0]:
        fields.report("tube before the beginning", f"{tube_text}, the first one that can belong to it is {clip[0]}")
    elif tube[1] > clip[1]:
        fields.report("tube longer than the video", f"{tube_text}, the last one that can belong to it is {clip[1] - 1}")
    else:
        return True
    return False


def check_boxes(fields: Fields, boxes_xyxy: np.ndarray, width: int, height: int, first_frame: int) -> bool:
    """Notes boxes that are reversed, have no area, or reach out of the frame by more than `BOX_TOLERANCE` pixels.

    Args:
        boxes_xyxy: float [frames, 4], one box per frame from `first_frame` on.

    Returns:
        Whether the tube is usable in spite of what was noted: no box is reversed.
    """
    x1, y1, x2, y2 = boxes_xyxy.T
    is_reversed = (x2 < x1) | (y2 < y1)
    has_no_area = ~is_reversed & ((x2 == x1) | (y2 == y1))
    right, lower = width + BOX_TOLERANCE, height + BOX_TOLERANCE
    is_outside = ~is_reversed & ((np.minimum(x1, y1) < -BOX_TOLERANCE) | (x2 > right) | (y2 > lower))
    for wrong, rule, comment in (
        (is_reversed, "box reversed", "x2 < x1 or y2 < y1"),
        (has_no_area, "box without area", "x1 = x2 or y1 = y2"),
        (is_outside, "box outside the frame", f"the frame is {width} x {height}, {BOX_TOLERANCE:g} pixel is tolerated"),
    ):
        if wrong.any():
            first = int(np.argmax(wrong))
            box = ", ".join(f"{value:g}" for value in boxes_xyxy[first])
            count = f" (one of {wrong.sum()})" if wrong.sum() > 1 else ""
            fields.report(rule, f"frame {first_frame + first}{count} has the box {box}, x1 y1 x2 y2: {comment}")
    return not is_reversed.any()


def cut_to_frame(boxes_xyxy: np.ndarray, width: int, height: int) -> np.ndarray:
    """The boxes without what lies outside the frame, float64 [frames, 4]."""
    return np.clip(boxes_xyxy, 0.0, [width, height, width, height])
