"""Video of an answer: the searched part, with the tube drawn into every frame."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.grounding.inference.draw.gif import write_gif
from stvg_jax.grounding.inference.draw.mp4 import write_h264
from stvg_jax.grounding.inference.draw.pixels import BOX_COLOUR, TRUTH_COLOUR, blend, draw_box, place_beside
from stvg_jax.grounding.inference.draw.text import load_font, text_image
from stvg_jax.grounding.inference.draw.webm import write_vp9
from stvg_jax.grounding.inference.tube import Tube

# By the ending of the file's name.
_WRITERS = {".mp4": write_h264, ".webm": write_vp9, ".gif": write_gif}
_EMPHASIS_COLOUR = (255, 140, 160)
_CAPTION_LINES = 4


def draw_video(
    tube: Tube,
    frames: Iterable[tuple[int, np.ndarray]],
    path: str | os.PathLike[str],
    progress: Callable[[int], None] | None = None,
    true_boxes_xyxy: Mapping[int, np.ndarray] | None = None,
    seconds: Callable[[int], float] | None = None,
) -> None:
    """Writes the clip as a video with the answer drawn into it.

    The picture keeps its size. Above it is the sentence, with the subject in colour; below it, a bar shows the
    predicted interval within the clip and the current position. The box is drawn while `start_frame <= frame <
    end_frame`, with the subject beside it, outside the box.

    Args:
        tube: the answer.
        frames: (number in the video, uint8 [height, width, 3] RGB) of all frames of `tube.clip`, in order. They are
            read one at a time and not changed.
        path: the file to write, whole or not at all: .mp4 (H.264), .webm (VP9) or .gif (`draw.gif`).
        progress: called with 1 after each frame written.
        true_boxes_xyxy: frame number -> true box, float [4] in pixels, drawn dashed in green.
        seconds: frame -> its start; for one past the last, the end of the video. Frames are shown at these times,
            counted from the start of the clip. None for times at the average rate.

    Raises:
        ValueError: no frames, fewer than the clip has, or a frame whose size is not the tube's.
        InputError: pictures too large for a video, or another ending.
    """
    write = _writer(path)
    times = np.array([(seconds or tube.even_seconds)(frame) for frame in range(tube.clip[0], tube.clip[1] + 1)])
    painter = _Painter.of(tube, times)

    def painted() -> Iterator[np.ndarray]:
        for frame_id, rgb in frames:
            if rgb.shape != (tube.height, tube.width, 3):
                raise ValueError(f"frame {frame_id} has shape {rgb.shape}, not {(tube.height, tube.width, 3)}")
            truth = None if true_boxes_xyxy is None else true_boxes_xyxy.get(frame_id)
            yield painter.paint(rgb, frame_id, truth)
            if progress is not None:
                progress(1)

    write(path, painted(), times)


def cut_video(
    tube: Tube,
    frames: Iterable[np.ndarray],
    path: str | os.PathLike[str],
    seconds: Callable[[int], float] | None = None,
) -> None:
    """Writes the moment of the answer as a clip of its own, without anything drawn into it and without sound.

    Args:
        tube: the answer.
        frames: uint8 [height, width, 3] RGB, frames `start_frame` to `end_frame` - 1 in order.
        path, seconds: as for `draw_video`.

    Raises:
        ValueError, InputError: as `draw_video`.
    """
    times = np.array([(seconds or tube.even_seconds)(frame) for frame in range(tube.start_frame, tube.end_frame + 1)])
    # Players want even sizes.
    odd = ((0, tube.height % 2), (0, tube.width % 2), (0, 0))
    _writer(path)(path, (np.pad(rgb, odd, mode="edge") for rgb in frames), times)


def _writer(path: str | os.PathLike[str]) -> Callable[..., None]:
    ending = Path(path).suffix.lower()
    if ending not in _WRITERS:
        raise InputError(f"{Path(path).name}: no video is written with this ending; use {', '.join(_WRITERS)}")
    return _WRITERS[ending]


@dataclasses.dataclass(frozen=True)
class _Painter:
    """Parts of the pictures that are the same in all frames of one answer.

    Attributes:
        tube: the answer.
        line: width of the lines of boxes in pixels.
        caption, label, bar: the sentence, the subject and the bar, uint8 [h, w, 4] RGBA.
        places: start of each frame of the clip on the bar, and end of the last one, in pixels, int [n + 1].
    """

    tube: Tube
    line: int
    caption: np.ndarray
    label: np.ndarray
    bar: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, tube: Tube, times_sec: np.ndarray) -> _Painter:
        """Draws these parts; `times_sec` is the start of each frame, and the end of the last, float [n + 1]."""
        side = min(tube.width, tube.height)
        size = max(9, round(0.042 * side))
        caption = text_image(
            tube.sentence,
            tube.subject,
            load_font(size),
            tube.width,
            max_lines=_CAPTION_LINES,
            colours=((255, 255, 255), _EMPHASIS_COLOUR),
            background=(0, 0, 0, 255),
        )
        label = text_image(
            tube.subject,
            "",
            load_font(max(8, round(0.8 * size))),
            tube.width // 2,
            max_lines=1,
            colours=((255, 255, 255), (255, 255, 255)),
            background=(*BOX_COLOUR, 220),
            tight=True,
        )
        share = (times_sec - times_sec[0]) / (times_sec[-1] - times_sec[0])
        places = np.rint(share * tube.width).astype(int)
        bar = _timeline(tube, places, max(4, round(0.022 * side)))
        return cls(tube, max(1, round(0.007 * side)), caption, label, bar, places)

    def paint(self, rgb: np.ndarray, frame_id: int, truth: np.ndarray | None) -> np.ndarray:
        """Caption, picture and bar, one below the other, uint8 [height, width, 3], both even."""
        tube = self.tube
        # With an even offset, the encoder averages colours over the same pairs of rows as in the video itself.
        top = self.caption.shape[0] + self.caption.shape[0] % 2
        rows = top + tube.height + self.bar.shape[0]
        canvas = np.zeros((rows + rows % 2, tube.width + tube.width % 2, 3), np.uint8)
        blend(canvas, self.caption, 0, 0)
        picture = canvas[top : top + tube.height, : tube.width]
        picture[:] = rgb
        box = tube.box_at(frame_id) if tube.start_frame <= frame_id < tube.end_frame else None
        drawn = None if box is None else draw_box(picture, box, self.line, BOX_COLOUR)
        true = None if truth is None else draw_box(picture, truth, self.line, TRUTH_COLOUR, dash=6 * self.line)
        # In a small picture, a label would hide too much.
        if drawn is not None and self.label.shape[0] <= tube.height / 6:
            boxes = [drawn] if true is None else [drawn, true]
            place = place_beside(self.label.shape[:2], boxes, picture.shape[:2])
            if place is not None:
                blend(picture, self.label, *place)
        self._put_timeline(canvas[top + tube.height :], frame_id)
        return canvas

    def _put_timeline(self, strip: np.ndarray, frame_id: int) -> None:
        """Draws the bar and the position of a frame into `strip`, uint8 [height of the bar or more, width, 3]."""
        blend(strip, self.bar, 0, 0)
        height = self.bar.shape[0]
        x = int(self.places[frame_id - self.tube.clip[0]])
        half = max(1, height // 4)
        strip[:height, max(0, x - half - 1) : x + half + 1] = 0
        strip[:height, max(0, x - half) : x + half] = 255


def _timeline(tube: Tube, places: np.ndarray, height: int) -> np.ndarray:
    """The bar without its position mark, uint8 [height, width, 4] RGBA."""
    bar = np.full((height, tube.width, 4), (30, 30, 30, 255), np.uint8)
    ends = np.clip([tube.start_frame - tube.clip[0], tube.end_frame - tube.clip[0]], 0, len(places) - 1)
    left, right = places[ends]
    inset = height // 5
    bar[inset : height - inset, left : max(right, left + 1)] = (*BOX_COLOUR, 255)
    return bar
