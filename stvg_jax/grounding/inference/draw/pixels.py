"""Drawing of boxes and pictures into an RGB array, cut at its edges; colours of boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# RGB; the same in videos, pictures and pages.
BOX_COLOUR = (255, 45, 85)
TRUTH_COLOUR = (40, 220, 90)

# (left, top, right, bottom) in whole pixels; right and bottom are one past the last.
Rectangle = tuple[int, int, int, int]


def blend(canvas: np.ndarray, picture: np.ndarray, x: int, y: int) -> None:
    """Blends a picture, uint8 [h, w, 4] RGBA, into `canvas`, uint8 [H, W, 3], in place.

    Its upper left corner is at (x, y) in pixels. It is cut at the edges of the canvas.
    """
    x, y = max(x, 0), max(y, 0)
    region = canvas[y : y + picture.shape[0], x : x + picture.shape[1]]
    part = picture[: region.shape[0], : region.shape[1]]
    alpha = part[..., 3:].astype(np.uint16)
    region[...] = (region * (255 - alpha) + part[..., :3] * alpha + 127) // 255


def draw_box(
    canvas: np.ndarray, box_xyxy: np.ndarray, line: int, colour: tuple[int, int, int], dash: int = 0
) -> Rectangle | None:
    """Draws a box into `canvas`, in place, with a dark rim around it unless it is dashed.

    Lines are inside the box. Sides outside the canvas are drawn at its edge, so that a cut box stays closed.

    Args:
        canvas: uint8 [H, W, 3].
        box_xyxy: float [4] pixels.
        line: width of the sides in pixels.
        colour: RGB, 0 to 255.
        dash: length of dashes and gaps in pixels; 0 for solid lines.

    Returns:
        The rectangle drawn, rim included, which may extend beyond the edges; None if the box is not visible.
    """
    height, width = canvas.shape[:2]
    if not np.all(np.isfinite(box_xyxy)):
        return None
    x1, y1, x2, y2 = (float(v) for v in box_xyxy)
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height or x2 < x1 or y2 < y1:
        return None
    left, top = min(max(round(x1), 0), width - 1), min(max(round(y1), 0), height - 1)
    right, bottom = min(max(round(x2), left + 1), width), min(max(round(y2), top + 1), height)
    rim = 0 if dash else max(1, line // 3)
    outer = (left - rim, top - rim, right + rim, bottom + rim)
    if rim:
        _frame_lines(canvas, outer, rim, (0, 0, 0), 0)
    _frame_lines(canvas, (left, top, right, bottom), line, colour, dash)
    return outer


def place_beside(size: tuple[int, int], boxes: Sequence[Rectangle], canvas: tuple[int, int]) -> tuple[int, int] | None:
    """Upper left corner (x, y) of a place that touches no box; None if there is no room.

    The first place with room is taken: above, below, to the right or to the left of the first box, then of the
    rectangle around all boxes.

    Args:
        size: (height, width) of the place.
        boxes: at least one box.
        canvas: (height, width) that the place must stay inside.
    """
    (height, width), (rows, columns) = size, canvas
    if height > rows or width > columns:
        return None
    lows, highs = [b[:2] for b in boxes], [b[2:] for b in boxes]
    hull = (*map(min, *lows, lows[0]), *map(max, *highs, highs[0]))
    for left, top, right, bottom in (boxes[0], hull):
        across, down = min(max(left, 0), columns - width), min(max(top, 0), rows - height)
        for x, y in ((across, top - height), (across, bottom), (right, down), (left - width, down)):
            inside = 0 <= x <= columns - width and 0 <= y <= rows - height
            if inside and not any(_touch((x, y, x + width, y + height), box) for box in boxes):
                return x, y
    return None


def _touch(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _frame_lines(canvas: np.ndarray, ltrb: Rectangle, line: int, colour: tuple[int, int, int], dash: int) -> None:
    left, top, right, bottom = ltrb
    sides = (
        (slice(top, top + line), slice(left, right)),
        (slice(max(bottom - line, top), bottom), slice(left, right)),
        (slice(top, bottom), slice(left, left + line)),
        (slice(top, bottom), slice(max(right - line, left), right)),
    )
    height, width = canvas.shape[:2]
    for rows, columns in sides:
        r = np.arange(max(rows.start, 0), min(rows.stop, height))
        c = np.arange(max(columns.start, 0), min(columns.stop, width))
        if dash:
            along_rows = rows.stop - rows.start > columns.stop - columns.start
            r = r[(r // dash) % 2 == 0] if along_rows else r
            c = c if along_rows else c[(c // dash) % 2 == 0]
        if r.size and c.size:
            canvas[np.ix_(r, c)] = colour
