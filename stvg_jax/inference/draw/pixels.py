"""Boxes and pictures laid over an RGB array, cut at its edges."""

from __future__ import annotations

import numpy as np


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
) -> tuple[int, int] | None:
    """Draws a box, cut to the canvas, with a dark rim; returns its left and top pixel, None where none of it is seen.

    Lines lie inside the box. Sides outside the canvas are drawn at its edge, so that a box cut by it stays a box.

    Args:
        canvas: uint8 [H, W, 3], changed.
        box_xyxy: float [4] pixels.
        line: width of the sides in pixels.
        colour: RGB, 0 to 255.
        dash: length of dashes and gaps in pixels; 0 for whole lines.
    """
    height, width = canvas.shape[:2]
    if not np.all(np.isfinite(box_xyxy)):
        return None
    x1, y1, x2, y2 = (float(v) for v in box_xyxy)
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height or x2 < x1 or y2 < y1:
        return None
    left, top = min(max(round(x1), 0), width - 1), min(max(round(y1), 0), height - 1)
    right, bottom = min(max(round(x2), left + 1), width), min(max(round(y2), top + 1), height)
    rim = max(1, line // 3)
    if not dash:
        _frame_lines(canvas, (left - rim, top - rim, right + rim, bottom + rim), rim, (0, 0, 0), 0)
    _frame_lines(canvas, (left, top, right, bottom), line, colour, dash)
    return left, top


def _frame_lines(
    canvas: np.ndarray, ltrb: tuple[int, int, int, int], line: int, colour: tuple[int, int, int], dash: int
) -> None:
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
