"""Box geometry: pure functions for numpy arrays and for JAX arrays, which are not mixed in one call.

Boxes are arrays [..., 4]: `cxcywh` is (centre x, centre y, width, height), `xyxy` two corners with x1 <= x2, y1 <= y2.
"""

from __future__ import annotations


def cxcywh_to_xyxy(boxes):
    """(centre x, centre y, width, height) -> (x1, y1, x2, y2), any array [..., 4]."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return boxes.__array_namespace__().concat([centre - half, centre + half], axis=-1)


def xyxy_to_cxcywh(boxes):
    """(x1, y1, x2, y2) -> (centre x, centre y, width, height), any array [..., 4]."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return boxes.__array_namespace__().concat([(low + high) / 2, high - low], axis=-1)


def iou(a_xyxy, b_xyxy):
    """Intersection over union of corresponding boxes, [..., 4] twice -> [...]; 0 for two boxes without area."""
    return _iou_and_union(a_xyxy, b_xyxy)[0]


def giou(a_xyxy, b_xyxy):
    """Generalised IoU of corresponding boxes (Rezatofighi et al. 2019), [..., 4] twice -> [...] in [-1, 1].

    IoU minus the share of the smallest enclosing box that belongs to neither; 0 for two equal boxes without area.
    """
    xp = a_xyxy.__array_namespace__()
    overlap, union = _iou_and_union(a_xyxy, b_xyxy)
    hull = _product(xp.maximum(a_xyxy[..., 2:], b_xyxy[..., 2:]) - xp.minimum(a_xyxy[..., :2], b_xyxy[..., :2]))
    return overlap - _ratio(hull - union, hull)


def _iou_and_union(a, b):
    xp = a.__array_namespace__()
    sides = xp.minimum(a[..., 2:], b[..., 2:]) - xp.maximum(a[..., :2], b[..., :2])
    # Boxes that touch have the gradient of boxes that overlap, as in PyTorch; `maximum` would halve it.
    intersection = _product(xp.where(sides < 0, 0, sides))
    union = _product(a[..., 2:] - a[..., :2]) + _product(b[..., 2:] - b[..., :2]) - intersection
    return _ratio(intersection, union), union


def _product(sides):
    """Area from (width, height), [..., 2] -> [...]."""
    return sides[..., 0] * sides[..., 1]


def _ratio(part, whole):
    """part / whole; 0 with a finite gradient where the whole is 0."""
    xp = part.__array_namespace__()
    empty = whole <= 0
    return xp.where(empty, 0, part) / xp.where(empty, 1, whole)
