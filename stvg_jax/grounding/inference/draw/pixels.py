"""Boxes and pictures laid over an RGB array, cut at its edges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# (left, top, right, bottom) in whole pixels; right and bottom are one past the last.
Rectangle = tuple[int, int, int, int]


def blend(canvas: np.ndarray, picture: np.ndarray, x: int, y: int) -> None:
    """Lays a picture, uint8 [h, w, 4] RGBA, over a part of `canvas`, uint8 [H, W, 3], which is changed.

    Its upper left corner comes to (x, y) in pixels; it is cut at the canvas's edges.
    """
    x, y = max(x, 0), max(y, 0)
    region = canvas[y : y + picture.shape[0], x : x + picture.shape[1]]
    part = picture[: region.shape[0], : region.shape[1]]
    alpha = part[..., 3:].astype(np.uint16)
    region[...] = (region * (255 - alpha) + part[..., :3] * alpha + 127) // 255


def draw_box(
    canvas: np.ndarray, box_xyxy: np.ndarray, line: int, colour: tuple[int, int, int], dash: int = 0
) -> Rectangle | None:
    """Draws a box, cut to the canvas, with a dark rim around it where it is not dashed.

    Lines lie inside the box. Sides outside the canvas are drawn at its edge, so that a box cut by it stays a box.

    Args:
        canvas: uint8 [H, W, 3], changed.
        box_xyxy: float [4] pixels.
        line: width of the sides in pixels.
        colour: RGB, 0 to 255.
        dash: length of dashes and gaps in pixels; 0 for whole lines.

    Returns:
        Its outside, rim included, which may lie beyond the edges; None where nothing of the box is seen.
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
    """The upper left corner (x, y) for something that touches no box: above the first one, else below, to the right, to
    the left of it, else so beside all of them; None where there is no room.

    Args:
        size: (height, width) of what is to be placed.
        boxes: at least one.
        canvas: (height, width) that it must stay inside.
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
