"""The searched part of a video with the answer drawn into every frame."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from stvg_jax.inference.draw.colours import BOX_COLOUR, TRUTH_COLOUR
from stvg_jax.inference.draw.encode import write_h264
from stvg_jax.inference.draw.pixels import blend, draw_box
from stvg_jax.inference.draw.text import load_font, text_image
from stvg_jax.inference.tube import Tube

_EMPHASIS_COLOUR = (255, 140, 160)


def draw_video(
    tube: Tube,
    frames: Iterable[tuple[int, np.ndarray]],
    path: str | os.PathLike[str],
    progress: Callable[[int], None] | None = None,
    truth_xyxy: Mapping[int, np.ndarray] | None = None,
) -> None:
    """Writes the searched part of the video as an MP4 with the answer drawn into it.

    The sentence stands at the top, its subject coloured; the box is there while `start_frame <= frame < end_frame`
    and not otherwise; a bar at the bottom shows the chosen interval within the clip and the current position.

    Args:
        tube: the answer.
        frames: (frame number in the video, uint8 [height, width, 3] RGB), in order, from `tube.clip`. They are taken
            one at a time and not changed.
        path: the MP4 to write; nothing half-written remains after an exception.
        progress: called with 1 after each frame written.
        truth_xyxy: boxes known to be right, float [4] pixels by frame number, drawn dashed in green.

    Raises:
        ValueError: no frames, or a frame whose size is not the tube's.
    """
    painter = _Painter.of(tube)

    def painted() -> Iterator[tuple[int, np.ndarray]]:
        for frame_id, rgb in frames:
            if rgb.shape != (tube.height, tube.width, 3):
                raise ValueError(f"frame {frame_id} has shape {rgb.shape}, not {(tube.height, tube.width, 3)}")
            truth = None if truth_xyxy is None else truth_xyxy.get(frame_id)
            yield frame_id - tube.clip[0], painter.paint(rgb, frame_id, truth)
            if progress is not None:
                progress(1)

    write_h264(path, painted(), tube.fps)


@dataclasses.dataclass(frozen=True)
class _Painter:
    """What stays the same over the frames of one answer: texts as RGBA pictures, sizes in pixels."""

    tube: Tube
    line: int
    caption: np.ndarray
    label: np.ndarray
    bar: np.ndarray

    @classmethod
    def of(cls, tube: Tube) -> _Painter:
        side = min(tube.width, tube.height)
        size = max(9, round(0.042 * side))
        line = max(1, round(0.007 * side))
        caption = text_image(
            tube.sentence,
            tube.subject,
            load_font(size),
            tube.width,
            max_lines=min(4, max(1, int(0.3 * tube.height / (1.3 * size)))),
            colours=((255, 255, 255), _EMPHASIS_COLOUR),
            background=(0, 0, 0, 150),
        )
        label = text_image(
            tube.subject,
            "",
            load_font(max(8, round(0.8 * size))),
            tube.width // 2,
            max_lines=1,
            colours=((255, 255, 255),) * 2,
            background=(*BOX_COLOUR, 220),
            tight=True,
        )
        return cls(tube, line, caption, label, _timeline(tube, max(4, round(0.022 * side))))

    def paint(self, rgb: np.ndarray, frame_id: int, truth: np.ndarray | None) -> np.ndarray:
        tube = self.tube
        canvas = rgb.copy()
        blend(canvas, self.caption, 0, 0)
        if tube.start_frame <= frame_id < tube.end_frame and (box := tube.box_at(frame_id)) is not None:
            corner = draw_box(canvas, box, self.line, BOX_COLOUR)
            if corner is not None:
                self._put_label(canvas, *corner)
        if truth is not None:
            draw_box(canvas, truth, self.line, TRUTH_COLOUR, dash=6 * self.line)
        self._put_timeline(canvas, frame_id)
        return canvas

    def _put_label(self, canvas: np.ndarray, left: int, top: int) -> None:
        """Above the box, or within it where the caption is in the way; nowhere in a picture so small that it hides."""
        height, width = self.label.shape[:2]
        if height > canvas.shape[0] / 6:
            return
        above = top - height
        y = above if above >= self.caption.shape[0] else max(top, self.caption.shape[0])
        blend(canvas, self.label, min(left, canvas.shape[1] - width), min(y, canvas.shape[0] - height))

    def _put_timeline(self, canvas: np.ndarray, frame_id: int) -> None:
        height, width = self.bar.shape[:2]
        top = canvas.shape[0] - height
        blend(canvas, self.bar, 0, top)
        x = _timeline_x(self.tube, frame_id, width)
        half = max(1, height // 4)
        canvas[top:, max(0, x - half - 1) : x + half + 1] = 0
        canvas[top:, max(0, x - half) : x + half] = 255


def _timeline_x(tube: Tube, frame: int, width: int) -> int:
    first, last = tube.clip
    return round(min(max((frame - first) / max(last - first, 1), 0.0), 1.0) * width)


def _timeline(tube: Tube, height: int) -> np.ndarray:
    """The bar without its position mark, uint8 [height, W, 4]."""
    bar = np.zeros((height, tube.width, 4), np.uint8)
    bar[...] = (30, 30, 30, 190)
    left, right = (_timeline_x(tube, f, tube.width) for f in (tube.start_frame, tube.end_frame))
    inset = height // 5
    bar[inset : height - inset, left : max(right, left + 1)] = (*BOX_COLOUR, 255)
    return bar
