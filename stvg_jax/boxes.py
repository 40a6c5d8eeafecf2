"""Box geometry. Pure functions that work on numpy and JAX arrays alike."""

from __future__ import annotations


def cxcywh_to_xyxy(boxes):
    """(centre x, centre y, width, height) -> (x1, y1, x2, y2), any array [..., 4]."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return boxes.__array_namespace__().concat([centre - half, centre + half], axis=-1)
