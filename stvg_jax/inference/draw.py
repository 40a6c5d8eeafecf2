"""Pictures of an answer: the video with the tube drawn into it, and one page with frames and scores."""

from __future__ import annotations

import contextlib
import dataclasses
import fractions
import functools
import math
import os
import pathlib
import string
from collections.abc import Callable, Iterable, Iterator, Mapping

import av
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image, ImageDraw, ImageFont

from stvg_jax.inference.tube import Tube

BOX_COLOUR = (255, 45, 85)
TRUTH_COLOUR = (40, 220, 90)
_EMPHASIS_ON_DARK = (255, 140, 160)
_EMPHASIS_ON_WHITE = (214, 0, 50)
_BT709 = 1


# ---- video ----


def write_h264(
    path: str | os.PathLike[str], frames: Iterable[tuple[int, np.ndarray]], fps: float | fractions.Fraction
) -> int:
    """Writes `frames` as an H.264 MP4 of exactly their size, whole or not at all, and returns how many there were.

    One frame is held at a time. Even sizes give yuv420p, which everything plays; H.264 has no other way to keep an odd
    width or height than yuv444p.

    Args:
        path: where the video goes; until it is complete it has a temporary name beside that.
        frames: (position, uint8 [H, W, 3] RGB), positions increasing, in units of 1 / `fps` from the beginning.
        fps: average frames per second.

    Raises:
        ValueError: no frames, frames of different sizes, or a frame that is not uint8 [H, W, 3].
    """
    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".partial")
    rate = fractions.Fraction(fps).limit_denominator(1001)
    count = 0
    try:
        with av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream, shape = None, None
            for position, rgb in frames:
                if stream is None:
                    shape = rgb.shape
                    stream = _h264_stream(container, rgb, rate)
                if rgb.shape != shape or rgb.dtype != np.uint8:
                    raise ValueError(f"frame {position} is {rgb.dtype} {rgb.shape}, the first one uint8 {shape}")
                for packet in stream.encode(_video_frame(rgb, position, rate, stream.pix_fmt)):
                    container.mux(packet)
                count += 1
            if stream is None:
                raise ValueError(f"no frames to write to {path}")
            for packet in stream.encode():
                container.mux(packet)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        raise
    return count


def _h264_stream(container, rgb: np.ndarray, rate: fractions.Fraction):
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"a frame has shape [H, W, 3], this one has {rgb.shape}")
    height, width = rgb.shape[:2]
    # Without "mbtree", whose assembly gives now and then another stream for the same frames.
    options = {"crf": "18", "preset": "veryfast", "x264-params": "mbtree=0"}
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height = width, height
    stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
    stream.codec_context.time_base = 1 / rate
    # Said in the file, so that players of any resolution turn the colours back the way they were made.
    stream.codec_context.color_primaries = _BT709
    stream.codec_context.color_trc = _BT709
    stream.codec_context.colorspace = _BT709
    return stream


def _video_frame(rgb: np.ndarray, position: int, rate: fractions.Fraction, pix_fmt: str) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    frame = frame.reformat(format=pix_fmt, dst_colorspace="ITU709")
    frame.pts = int(position)
    frame.time_base = 1 / rate
    return frame


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
        progress: called with the number of frames written so far, after each.
        truth_xyxy: boxes known to be right, float [4] pixels by frame number, drawn dashed in green.

    Raises:
        ValueError: no frames, or a frame whose size is not the tube's.
    """
    painter = _Painter.of(tube)

    def painted() -> Iterator[tuple[int, np.ndarray]]:
        for done, (frame_id, rgb) in enumerate(frames):
            if rgb.shape != (tube.height, tube.width, 3):
                raise ValueError(f"frame {frame_id} has shape {rgb.shape}, not {(tube.height, tube.width, 3)}")
            truth = None if truth_xyxy is None else truth_xyxy.get(frame_id)
            yield frame_id - tube.clip[0], painter.paint(rgb, frame_id, truth)
            if progress is not None:
                progress(done + 1)

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
        caption = _text_image(
            tube.sentence,
            tube.subject,
            _font(size),
            tube.width,
            max_lines=min(4, max(1, int(0.3 * tube.height / (1.3 * size)))),
            colours=((255, 255, 255), _EMPHASIS_ON_DARK),
            background=(0, 0, 0, 150),
        )
        label = _text_image(
            tube.subject,
            "",
            _font(max(8, round(0.8 * size))),
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
        _blend(canvas, self.caption, 0, 0)
        if tube.start_frame <= frame_id < tube.end_frame and (box := tube.box_at(frame_id)) is not None:
            corner = _draw_box(canvas, box, self.line, BOX_COLOUR)
            if corner is not None:
                self._put_label(canvas, *corner)
        if truth is not None:
            _draw_box(canvas, truth, self.line, TRUTH_COLOUR, dash=6 * self.line)
        self._put_timeline(canvas, frame_id)
        return canvas

    def _put_label(self, canvas: np.ndarray, left: int, top: int) -> None:
        """Above the box, or within it where the caption is in the way; nowhere in a picture so small that it hides."""
        height, width = self.label.shape[:2]
        if height > canvas.shape[0] / 6:
            return
        above = top - height
        y = above if above >= self.caption.shape[0] else max(top, self.caption.shape[0])
        _blend(canvas, self.label, min(left, canvas.shape[1] - width), min(y, canvas.shape[0] - height))

    def _put_timeline(self, canvas: np.ndarray, frame_id: int) -> None:
        height, width = self.bar.shape[:2]
        top = canvas.shape[0] - height
        _blend(canvas, self.bar, 0, top)
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


def _blend(canvas: np.ndarray, picture: np.ndarray, x: int, y: int) -> None:
    """Lays the RGBA `picture` over `canvas` with its upper left corner at (x, y), cut at the canvas's edges."""
    x, y = max(x, 0), max(y, 0)
    region = canvas[y : y + picture.shape[0], x : x + picture.shape[1]]
    part = picture[: region.shape[0], : region.shape[1]]
    alpha = part[..., 3:].astype(np.uint16)
    region[...] = (region * (255 - alpha) + part[..., :3] * alpha + 127) // 255


def _draw_box(
    canvas: np.ndarray, box_xyxy: np.ndarray, line: int, colour: tuple[int, int, int], dash: int = 0
) -> tuple[int, int] | None:
    """Draws a box, cut to the canvas, with a dark rim; returns its left and top pixel, None where none of it is seen.

    Lines lie inside the box. Sides outside the canvas are drawn at its edge, so that a box cut by it stays a box.
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


# ---- text ----


@functools.lru_cache(maxsize=32)
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and has far more alphabets than Pillow's own font."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def _clean(text: str) -> str:
    """One line that a font can be asked for: no line breaks, no halves of surrogate pairs."""
    return " ".join(text.encode("utf-8", "replace").decode("utf-8").split())


def _text_image(
    text: str,
    emphasised: str,
    font: ImageFont.FreeTypeFont,
    width: int,
    max_lines: int,
    colours: tuple[tuple[int, int, int], tuple[int, int, int]],
    background: tuple[int, int, int, int],
    tight: bool = False,
) -> np.ndarray:
    """`text` wrapped to `width` pixels as uint8 [h, width, 4], its part `emphasised` in the second colour.

    At most `max_lines` lines, the last one cut with an ellipsis; `tight` cuts the picture to the text's width.
    """
    margin = max(2, round(0.35 * font.size))
    lines = _wrap(_marked_words(_clean(text), _clean(emphasised)), font, max(width - 2 * margin, 1), max_lines)
    pitch = math.ceil(1.25 * font.size)
    if tight:
        longest = max((font.getlength(" ".join(w for w, _ in line)) for line in lines), default=0)
        width = min(width, math.ceil(longest) + 2 * margin)
    image = Image.new("RGBA", (max(width, 1), len(lines) * pitch + margin), background)
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        x, y = float(margin), margin // 2 + row * pitch
        for word, marked in line:
            draw.text((x, y), word, font=font, fill=(*colours[marked], 255))
            x += font.getlength(word + " ")
    return np.asarray(image)


def _marked_words(text: str, emphasised: str) -> list[tuple[str, bool]]:
    """The words of `text`, each with whether it belongs to the first occurrence of the words of `emphasised`."""

    def bare(words: list[str]) -> list[str]:
        return [word.strip(string.punctuation).casefold() for word in words]

    words = text.split()
    sought, all_bare = bare(emphasised.split()), bare(words)
    n = len(sought)
    begin = next((k for k in range(len(words) - n + 1) if all_bare[k : k + n] == sought), 0) if n else 0
    found = n and all_bare[begin : begin + n] == sought
    return [(word, bool(found and begin <= k < begin + n)) for k, word in enumerate(words)]


def _wrap(
    words: list[tuple[str, bool]], font: ImageFont.FreeTypeFont, width: float, max_lines: int
) -> list[list[tuple[str, bool]]]:
    """Lines no wider than `width`; words longer than a line are broken, what does not fit gives way to "…"."""
    lines: list[list[tuple[str, bool]]] = [[]]
    used = 0.0
    space = font.getlength(" ")
    for word, marked in words:
        for piece in _pieces(word, font, width):
            length = font.getlength(piece)
            if lines[-1] and used + length > width:
                if len(lines) == max_lines:
                    lines[-1] = _with_ellipsis(lines[-1], font, width)
                    return lines
                lines.append([])
                used = 0.0
            lines[-1].append((piece, marked))
            used += length + space
    return lines


def _pieces(word: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    pieces = []
    while word and font.getlength(word) > width:
        cut = len(word) - 1
        while cut > 1 and font.getlength(word[:cut]) > width:
            cut = cut // 2 if font.getlength(word[: cut // 2]) > width else cut - 1
        pieces.append(word[: max(cut, 1)])
        word = word[max(cut, 1) :]
    return [*pieces, word] if word else pieces


def _with_ellipsis(line: list[tuple[str, bool]], font: ImageFont.FreeTypeFont, width: float) -> list[tuple[str, bool]]:
    line = list(line)
    while line:
        word, marked = line[-1]
        shortened = [*line[:-1], (word.rstrip(".,;:") + "…", marked)]
        if font.getlength(" ".join(w for w, _ in shortened)) <= width:
            return shortened
        if len(line) == 1 and len(word) > 1:
            line = [(word[:-1], marked)]
        else:
            line.pop()
    return [("…", False)]


# ---- one page ----


def picture_frame_ids(tube: Tube, count: int = 7) -> list[int]:
    """Up to `count` frame numbers of the clip worth showing, increasing.

    First and last frame of the interval, evenly spaced ones between, and a frame of the time before and after it
    where there is any; more of those where the interval is shorter than that.
    """
    first, last = tube.clip
    start = min(max(tube.start_frame, first), max(last - 1, first))
    end = min(max(tube.end_frame, start + 1), max(last, start + 1))
    before, after = range(first, start), range(end, last)
    contexts = [span for span in (before, after) if span] if count >= 4 else []
    inside = _spread(range(start, end), count - len(contexts))
    spare = count - len(inside)
    chosen = set(inside)
    for k, span in enumerate(contexts):
        share = -(-spare // (len(contexts) - k))
        picked = [span[(2 * n + 1) * len(span) // (2 * share)] for n in range(min(share, spare))]
        chosen.update(picked)
        spare -= len(set(picked))
    return sorted(chosen)


def _spread(span: range, count: int) -> list[int]:
    """`count` evenly spaced members of `span` with its ends, fewer where it has fewer; the middle for one."""
    if count <= 1:
        return [span[len(span) // 2]]
    return sorted({span[round(k * (len(span) - 1) / (count - 1))] for k in range(count)})


_PAGE_WIDTH, _DPI, _PER_ROW = 1400, 100, 8


def draw_picture(
    tube: Tube,
    frames: Mapping[int, np.ndarray],
    path: str | os.PathLike[str],
    truth_xyxy: Mapping[int, np.ndarray] | None = None,
) -> None:
    """Writes a PNG, 1400 pixels wide: the sentence, some frames with their boxes, and the scores over time.

    Args:
        tube: the answer.
        frames: what to show, uint8 [height, width, 3] RGB by frame number, for instance of `picture_frame_ids`.
        path: the PNG to write, whole or not at all.
        truth_xyxy: boxes known to be right, float [4] pixels by frame number, drawn dashed in green.

    Raises:
        ValueError: `frames` is empty.
    """
    if not frames:
        raise ValueError("no frames to show")
    header = _text_image(
        tube.sentence,
        tube.subject,
        _font(24, bold=True),
        _PAGE_WIDTH - 2 * 40,
        max_lines=3,
        colours=((20, 20, 20), _EMPHASIS_ON_WHITE),
        background=(255, 255, 255, 255),
    )
    shown = sorted(frames)
    per_row = min(len(shown), _PER_ROW)
    rows = -(-len(shown) // per_row)
    gap, margin = 10, 48
    cell_width = min((_PAGE_WIDTH - 2 * margin + gap) / per_row - gap, 320 * tube.width / tube.height)
    cell_height = cell_width * tube.height / tube.width
    strip_top = 24 + header.shape[0] + 46
    scores_top = strip_top + rows * (cell_height + 30) + 20
    height = math.ceil(scores_top + 380)

    figure = Figure(figsize=(_PAGE_WIDTH / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)

    def place(left: float, top: float, width: float, tall: float) -> Axes:
        return figure.add_axes(
            (left / _PAGE_WIDTH, 1 - (top + tall) / height, width / _PAGE_WIDTH, tall / height), zorder=1
        )

    figure.figimage(header, 40, height - 20 - header.shape[0])
    words = figure.text(
        margin / _PAGE_WIDTH, 1 - (36 + header.shape[0]) / height, _in_words(tube), fontsize=11.5, va="center"
    )
    words.set_parse_math(False)
    used = per_row * (cell_width + gap) - gap
    for k, frame_id in enumerate(shown):
        left = (_PAGE_WIDTH - used) / 2 + (k % per_row) * (cell_width + gap)
        axes = place(left, strip_top + 20 + (k // per_row) * (cell_height + 30), cell_width, cell_height)
        truth = None if truth_xyxy is None else truth_xyxy.get(frame_id)
        _show_frame(axes, tube, frame_id, frames[frame_id], cell_width, truth)
    plot_width = _PAGE_WIDTH - 2 * margin - 150
    upper = place(margin, scores_top + 10, plot_width, 180)
    lower = place(margin, scores_top + 215, plot_width, 110)
    _plot_scores(upper, tube, shown)
    _plot_boundaries(lower, tube)

    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        figure.savefig(partial, format="png", dpi=_DPI)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _in_words(tube: Tube) -> str:
    length = tube.end_sec - tube.start_sec
    name = _clean(pathlib.PurePath(tube.video).name)
    return (
        f"from {tube.start_sec:.2f} s to {tube.end_sec:.2f} s ({length:.2f} s, frames {tube.start_frame} to "
        f"{tube.end_frame - 1})  ·  {name}, {tube.width}×{tube.height}, {tube.fps:.4g} frames/s"
    )


def _rgb(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = (c / 255 for c in colour)
    return red, green, blue


def _show_frame(
    axes: Axes, tube: Tube, frame_id: int, rgb: np.ndarray, pixels: float, truth: np.ndarray | None
) -> None:
    image = Image.fromarray(rgb)
    image.thumbnail((math.ceil(2 * pixels), 10_000))
    # The extent keeps boxes in the video's own pixels whatever the picture's size.
    axes.imshow(np.asarray(image), extent=(0, tube.width, tube.height, 0), aspect="auto", interpolation="antialiased")
    inside = tube.start_frame <= frame_id < tube.end_frame
    if (box := tube.box_at(frame_id)) is not None:
        colour = _rgb(BOX_COLOUR) if inside else (1.0, 1.0, 1.0)
        _add_box(axes, box, colour, "-" if inside else ":", 2.4 if inside else 1.3)
    if truth is not None:
        _add_box(axes, truth, _rgb(TRUTH_COLOUR), "--", 1.6)
    axes.set(xlim=(0, tube.width), ylim=(tube.height, 0), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=_rgb(BOX_COLOUR) if inside else "0.75", linewidth=1.6 if inside else 0.8)
    axes.set_title(
        f"{frame_id / tube.fps:.2f} s", fontsize=10, pad=4, color="black" if inside else "0.5",
        fontweight="bold" if inside else "normal",
    )  # fmt: skip


def _add_box(axes: Axes, box: np.ndarray, colour, style: str, width: float) -> None:
    x1, y1, x2, y2 = (float(v) for v in box)
    axes.add_patch(
        Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linestyle=style, linewidth=width)
    )


def _prepare_time_axis(axes: Axes, tube: Tube) -> None:
    """The clip in seconds, the chosen interval shaded. Seconds are frames over the average rate, as for the curves."""
    axes.axvspan(tube.start_frame / tube.fps, tube.end_frame / tube.fps, color=_rgb(BOX_COLOUR), alpha=0.13, lw=0)
    axes.set_xlim(tube.clip[0] / tube.fps, max(tube.clip[1], tube.clip[0] + 1) / tube.fps)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def _plot_scores(axes: Axes, tube: Tube, shown: list[int]) -> None:
    _prepare_time_axis(axes, tube)
    seconds = tube.scores.frames / tube.fps
    mark = "." if len(seconds) <= 160 else ""
    axes.plot(seconds, tube.scores.actioness, color="tab:blue", marker=mark, linewidth=1.6, label="actioness")
    axes.plot(seconds, tube.scores.sampling, color="tab:orange", marker=mark, linewidth=1.3, label="sampling score")
    axes.plot(
        seconds, np.full(len(seconds), -0.07), "|", color="0.35", markersize=6, clip_on=False, label="sampled frames"
    )
    shown_seconds = np.asarray(shown) / tube.fps
    axes.plot(
        shown_seconds, np.full(len(shown), 1.07), "v", color="0.35", markersize=5, clip_on=False, label="frames shown"
    )
    axes.set(ylim=(-0.12, 1.14), yticks=[0, 0.5, 1])
    axes.tick_params(labelbottom=False)
    _legend(axes)


def _plot_boundaries(axes: Axes, tube: Tube) -> None:
    _prepare_time_axis(axes, tube)
    scores = tube.scores
    highest = 0.0
    for which, style in ((0, "-"), (1, ":")):
        chosen = scores.passes == which
        if not chosen.any():
            continue
        seconds = scores.frames[chosen] / tube.fps
        for name, values, colour in (("start", scores.start, "tab:green"), ("end", scores.end, "tab:purple")):
            values = values[chosen]
            highest = max(highest, float(values.max()))
            axes.plot(seconds, values, style, color=colour, linewidth=1.4, label=f"{name}, pass {which + 1}")
    axes.set_ylim(0, 1.1 * highest if highest > 0 else 1)
    axes.set_xlabel("seconds", fontsize=10)
    axes.locator_params(axis="y", nbins=3)
    _legend(axes)


def _legend(axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1.03), fontsize=9, frameon=False, borderaxespad=0.2)
