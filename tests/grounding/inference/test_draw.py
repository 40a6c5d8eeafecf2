import dataclasses
import fractions
import subprocess
import sys

import av
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from stvg_jax.core.errors import InputError
from stvg_jax.grounding.evaluation.page_style import STYLE
from stvg_jax.grounding.inference import draw
from stvg_jax.grounding.inference.draw import picture, plots
from stvg_jax.grounding.inference.draw.pixels import BOX_COLOUR, TRUTH_COLOUR, draw_box, place_beside
from stvg_jax.grounding.inference.draw.plots import Times, plot_boundaries, plot_intervals, plot_scores
from stvg_jax.grounding.inference.draw.text import _wrap, load_font, text_image
from stvg_jax.grounding.inference.draw.video import _Painter
from stvg_jax.grounding.inference.tube import FrameScores, Tube

LONG = "In the crowded kitchen, the very tall bald man in the dark jacket " + "talks and talks " * 40 + "and leaves"


def make_tube(
    width=160,
    height=120,
    fps=25.0,
    clip=(0, 12),
    interval=(4, 8),
    box=(50, 50, 110, 100),
    sentence="the man in red walks to the door",
    subject="the man in red",
):
    frames = np.arange(*clip)
    boxes = np.tile(np.asarray(box, np.float32), (len(frames), 1))
    score = np.linspace(0, 1, len(frames), dtype=np.float32)
    scores = FrameScores(frames, score, score[::-1], score, score, frames % 2)
    start, end = interval
    return Tube(
        "a/video.mp4", sentence, subject, width, height, fps, clip, start, end, start / fps, end / fps, frames, boxes,
        scores,
    )  # fmt: skip


def plain(tube, value=120):
    """Grey frames of the clip: whatever is not grey was drawn."""
    for frame in range(*tube.clip):
        yield frame, np.full((tube.height, tube.width, 3), value, np.uint8)


def decode(path):
    """Frames as int [h, w, 3], rate, codec."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(stream)]
        return frames, stream.average_rate, stream.codec_context.name


def pictures(path, tube):
    """The video's own pictures within the frames of tube.mp4, without caption and bar: int [tube height, width, 3]."""
    frames = decode(path)[0]
    bar = max(4, round(0.022 * min(tube.width, tube.height)))
    bottom = frames[0].shape[0] - bar
    top = (bottom - tube.height) // 2 * 2
    return [frame[top : top + tube.height, : tube.width] for frame in frames]


def times_of(path):
    """Start of each frame and end of the last one, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        ends = [float((packet.pts + packet.duration) * packet.time_base) for packet in packets]
    with av.open(str(path)) as container:
        shown = [float(frame.pts * frame.time_base) for frame in container.decode(container.streams.video[0])]
    return [*shown, max(ends)]


def redness(frame):
    return frame[..., 0] - frame[..., 1]


@pytest.mark.parametrize("size", [(96, 64), (97, 63), (160, 121), (161, 120), (33, 17), (120, 214)])
def test_video_keeps_size_rate_and_count(tmp_path, size):
    tube = make_tube(*size, fps=30000 / 1001, box=(10, 8, 30, 15))
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    frames, rate, codec = decode(tmp_path / "out.mp4")
    assert codec == "h264"
    assert len(frames) == 12
    # Only even sizes are played everywhere.
    assert all(frame.shape[0] % 2 == 0 and frame.shape[1] == size[0] + size[0] % 2 for frame in frames)
    for shown in pictures(tmp_path / "out.mp4", tube)[:4]:
        assert shown.shape == (size[1], size[0], 3)
        # Coding blurs the picture's borders with what is above and below.
        assert np.abs(shown[3:-4] - 120).max() < 12
    assert rate == fractions.Fraction(30000, 1001)
    painter = _Painter.of(tube, np.arange(13.0))
    top = painter.caption.shape[0] + painter.caption.shape[0] % 2
    assert frames[0].shape[0] - (top + size[1] + painter.bar.shape[0]) in (0, 1)


@pytest.mark.parametrize("fps", [10.0, 23.976, 25.0, 59.94005994, 12.3456])
def test_frame_rates(tmp_path, fps):
    tube = make_tube(fps=fps, clip=(100, 130), interval=(104, 108))
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    _, rate, _ = decode(tmp_path / "out.mp4")
    assert float(rate) == pytest.approx(fps, rel=1e-6)


CHANGING = [*np.arange(30) * 0.04, *(1.2 + np.arange(6) * 0.2), 2.4]


@pytest.mark.parametrize(
    "times",
    [
        CHANGING,
        np.arange(13) / 24,
        np.cumsum(np.random.default_rng(0).integers(1, 5000, 13)) / 12800,
        [0, 3600, 7200, 10800],
        [0, 3600, 7200, 7201],
        np.arange(4) * 3 * 86400.0,
        np.arange(40) * 1e-6,
        [0, 1e-6, 2e-6, 0.5],
        [7, 7.04],
        [7, 3607],
    ],
    ids=["25 then 5", "24", "irregular", "hours", "short last", "days", "microseconds", "mixed", "one", "one hour"],
)
def test_frames_keep_their_times(tmp_path, times):
    """Of 100 frames before the clip none is in the file."""
    count = len(times) - 1
    tube = make_tube(clip=(100, 100 + count), interval=(100, 101), fps=count / (times[-1] - times[0]))
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4", seconds=lambda frame: times[frame - 100])
    np.testing.assert_allclose(times_of(tmp_path / "out.mp4"), np.array(times) - times[0], atol=6e-7)


def test_times_further_apart_than_a_file_can_tell(tmp_path):
    """A microsecond and a day in one file: the order and the long gap stay, the short ones take a tick."""
    times = [0, 1e-6, 2e-6, 86400, 86401]
    tube = make_tube(clip=(0, 4), interval=(0, 1), fps=1e-4)
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4", seconds=lambda frame: times[frame])
    written = times_of(tmp_path / "out.mp4")
    assert (np.diff(written) > 0).all()
    np.testing.assert_allclose(written, times, atol=1e-4)


def test_a_picture_too_large_for_a_video(tmp_path):
    tube = make_tube(16386, 2, clip=(0, 1), interval=(0, 1), sentence="a", subject="a")
    with pytest.raises(InputError, match="16386 x .* too many for H.264, which takes 16384 a side"):
        draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_box_is_drawn_within_the_interval_only(tmp_path):
    tube = make_tube()
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    for number, frame in enumerate(pictures(tmp_path / "out.mp4", tube)):
        left_side = redness(frame)[60:95, 49:52].max(axis=1)
        bottom_side = redness(frame)[98:101, 55:105].max(axis=0)
        inside = frame[75:95, 60:100]
        if 4 <= number < 8:
            assert left_side.min() > 60
            assert bottom_side.min() > 60
        else:
            assert np.abs(frame[3:-4] - 120).max() < 12
        assert np.abs(inside - 120).max() < 25


def test_colours_survive_encoding(tmp_path):
    tube = make_tube(interval=(0, 12))
    frames = ((k, np.full((120, 160, 3), (200, 60, 30), np.uint8)) for k in range(12))
    draw.draw_video(tube, frames, tmp_path / "out.mp4")
    for frame in pictures(tmp_path / "out.mp4", tube):
        np.testing.assert_allclose(frame[70:90, 120:150].mean(axis=(0, 1)), (200, 60, 30), atol=4)


def test_timeline_shows_interval_and_position(tmp_path):
    tube = make_tube(clip=(20, 60), interval=(30, 40))
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    frames, _, _ = decode(tmp_path / "out.mp4")
    red = redness(frames[0])[-2]
    assert red[44:76].min() > 60
    assert red[90:].max() < 40
    assert red[12:36].max() < 40
    for number in (0, 20, 39):
        brightest = int(frames[number][-4:].min(axis=2).sum(axis=0).argmax())
        assert brightest == pytest.approx(160 * number / 40, abs=4)


def test_caption_marks_the_subject(tmp_path):
    tube = make_tube(width=320, height=240)
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    frame = decode(tmp_path / "out.mp4")[0][0]
    bright = frame[:14].max(axis=2) > 180
    marked = redness(frame[:14]) > 60
    assert bright.any()
    assert marked.any()
    assert np.nonzero(marked.any(axis=0))[0].max() < np.nonzero(bright.any(axis=0))[0].max()
    assert np.abs(pictures(tmp_path / "out.mp4", tube)[0][3:-4] - 120).max() < 12


BOXES = {
    "upper left": (0, 0, 0.3, 0.3),
    "upper right": (0.7, 0, 1, 0.3),
    "lower left": (0, 0.7, 0.3, 1),
    "lower right": (0.7, 0.7, 1, 1),
    "top": (0, 0, 1, 0.4),
    "bottom": (0, 0.6, 1, 1),
    "left": (0, 0, 0.4, 1),
    "right": (0.6, 0, 1, 1),
    "column": (0.2, 0, 0.9, 1),
    "all": (0, 0, 1, 1),
    "beyond": (-0.3, -0.2, 0.2, 0.6),
    "middle": (0.4, 0.4, 0.6, 0.6),
}


# In the third, the label takes between a seventh and a sixth of the height, which is as much as it may.
@pytest.mark.parametrize("size", [(320, 240), (180, 320), (160, 84), (60, 40)])
@pytest.mark.parametrize("name", BOXES)
def test_nothing_is_drawn_over_the_target(name, size):
    """Over what the box holds there is nothing, over the true target no label; which is there whenever it has room."""
    width, height = size
    box = np.array(BOXES[name]) * [*size, *size]
    tube = make_tube(*size, box=box, clip=(0, 2), interval=(0, 2), sentence=LONG, subject="the very tall bald man")
    painter = _Painter.of(tube, np.array([0.0, 1.0, 2.0]))
    assert painter.label.shape[1] <= width // 2
    unlabelled = dataclasses.replace(painter, label=np.zeros((1, 1, 4), np.uint8))
    top = painter.caption.shape[0] + painter.caption.shape[0] % 2
    grey = np.full((height, width, 3), 120, np.uint8)
    for truth in (None, box + [2, 3, 2, 3], box - [9, 1, 9, 1]):
        drawn, plain_lines = (p.paint(grey, 0, truth)[top : top + height, :width] for p in (painter, unlabelled))
        labelled = (drawn != plain_lines).any(axis=2)
        for target in [box] if truth is None else [box, truth]:
            x1, y1, x2, y2 = np.clip(np.rint(target), 0, [*size, *size]).astype(int)
            assert not labelled[y1:y2, x1:x2].any()
            if truth is None:
                line = painter.line
                assert (drawn[y1 + line : y2 - line, x1 + line : x2 - line] == 120).all()
        assert labelled.any() == (name not in ("all", "column") and size != (60, 40))


def test_a_place_beside_boxes():
    canvas = (100, 200)
    assert place_beside((10, 40), [(50, 40, 90, 60)], canvas) == (50, 30)
    assert place_beside((10, 40), [(50, 5, 90, 60)], canvas) == (50, 60)
    assert place_beside((10, 40), [(170, 40, 200, 60)], canvas) == (160, 30)
    assert place_beside((10, 40), [(0, 0, 100, 100)], canvas) == (100, 0)
    assert place_beside((10, 40), [(100, 0, 200, 100)], canvas) == (60, 0)
    assert place_beside((10, 40), [(0, 0, 170, 100)], canvas) is None
    assert place_beside((10, 40), [(0, 0, 200, 100)], canvas) is None
    assert place_beside((10, 240), [(50, 40, 90, 60)], canvas) is None
    # A pixel too few on each side, and just enough.
    assert place_beside((10, 40), [(39, 9, 161, 91)], canvas) is None
    assert place_beside((10, 40), [(40, 9, 161, 91)], canvas) == (0, 9)
    assert place_beside((10, 40), [(39, 10, 161, 91)], canvas) == (39, 0)
    assert place_beside((10, 40), [(39, 9, 160, 91)], canvas) == (160, 9)
    assert place_beside((10, 40), [(39, 9, 161, 90)], canvas) == (39, 90)
    # A second box in the way, and one on each side.
    assert place_beside((10, 40), [(50, 40, 90, 60), (60, 20, 80, 50)], canvas) == (50, 60)
    assert place_beside((10, 40), [(0, 0, 100, 100), (90, 0, 110, 100)], canvas) == (110, 0)


@pytest.mark.parametrize(
    "box",
    [
        (-30, -30, 20, 20),
        (140, 100, 400, 300),
        (-50, -50, 500, 500),
        (200, 10, 300, 20),
        (-20, 10, -5, 20),
        (50, 50, 50, 50),
        (60, 60, 40, 40),
        (float("nan"), 0, 10, 10),
        (0, 0, 160, 120),
    ],
)
def test_boxes_at_and_beyond_the_edges(tmp_path, box):
    tube = make_tube(box=box, clip=(0, 3), interval=(0, 3))
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    assert len(decode(tmp_path / "out.mp4")[0]) == 3
    draw.draw_picture(tube, dict(plain(tube)), tmp_path / "out.png")


def test_box_cut_by_the_edge_is_closed_at_the_edge():
    canvas = np.zeros((50, 60, 3), np.uint8)
    assert draw_box(canvas, np.array([-10.0, 20.0, 30.0, 80.0]), 2, BOX_COLOUR) == (-1, 19, 31, 51)
    expected = np.zeros((50, 60), bool)
    expected[20:50, :30] = True
    expected[22:48, 2:28] = False
    np.testing.assert_array_equal((canvas == BOX_COLOUR).all(axis=2), expected)
    assert draw_box(canvas, np.array([10.0, 20.0, 30.0, 40.0]), 2, BOX_COLOUR, dash=4) == (10, 20, 30, 40)


@pytest.mark.parametrize(
    "sentence", [LONG, "x" * 500, "男人走到门口" * 30, "Мужчина идёт 😀 \ud800 \n\t $a_b^$ %", "a"]
)
@pytest.mark.parametrize("size", [(96, 64), (200, 356)])
def test_any_sentence_leaves_the_picture_free(tmp_path, sentence, size):
    tube = make_tube(*size, clip=(0, 2), interval=(1, 2), sentence=sentence, subject=sentence[:40])
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    assert np.abs(pictures(tmp_path / "out.mp4", tube)[0][3:-4] - 120).max() < 15
    draw.draw_picture(tube, dict(plain(tube)), tmp_path / "out.png")


def test_truth_is_drawn_in_green(tmp_path):
    tube = make_tube(interval=(0, 1))
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4", true_boxes_xyxy={6: np.array([20.0, 40.0, 80.0, 90.0])})
    frames = pictures(tmp_path / "out.mp4", tube)
    green = [(frame[..., 1] - frame[..., 0])[36:95, 15:85].max() > 60 for frame in frames]
    assert [k for k, is_green in enumerate(green) if is_green] == [6]


def test_progress_and_untouched_input(tmp_path):
    tube, seen = make_tube(), []
    frames = list(plain(tube))
    draw.draw_video(tube, iter(frames), tmp_path / "out.mp4", progress=seen.append)
    assert seen == [1] * 12
    assert all((rgb == 120).all() for _, rgb in frames)


def test_nothing_half_written_remains(tmp_path):
    tube = make_tube()

    def failing():
        for k, (number, rgb) in enumerate(plain(tube)):
            if k == 5:
                raise RuntimeError("decoder gave up")
            yield number, rgb

    with pytest.raises(RuntimeError, match="gave up"):
        draw.draw_video(tube, failing(), tmp_path / "out.mp4")
    with pytest.raises(ValueError, match="frames for 12 times"):
        draw.draw_video(tube, list(plain(tube))[:5], tmp_path / "out.mp4")
    with pytest.raises(ValueError, match="frames for 12 times"):
        draw.draw_video(tube, list(plain(tube)) * 2, tmp_path / "out.mp4")
    with pytest.raises(ValueError, match="frames for 12 times"):
        draw.draw_video(tube, [], tmp_path / "out.mp4")
    with pytest.raises(ValueError, match="shape"):
        draw.draw_video(tube, [(0, np.zeros((60, 80, 3), np.uint8))], tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_one_frame_tube(tmp_path):
    tube = make_tube(clip=(7, 8), interval=(7, 8))
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    assert len(decode(tmp_path / "out.mp4")[0]) == 1
    assert draw.picture_frame_ids(tube) == [7]
    draw.draw_picture(tube, dict(plain(tube)), tmp_path / "out.png")


def test_picture_opens_with_the_same_size_each_time(tmp_path):
    tube = make_tube(clip=(0, 100), interval=(30, 70))
    ids = draw.picture_frame_ids(tube)
    frames = {k: rgb for k, rgb in plain(tube) if k in ids}
    pictures = []
    for name in ("a.png", "b.png"):
        draw.draw_picture(tube, frames, tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert image.format == "PNG"
            pictures.append(np.asarray(image.convert("RGB")).astype(int))
    assert pictures[0].shape[1] == 1400
    np.testing.assert_array_equal(*pictures)
    assert (redness(pictures[0]) > 150).sum() > 1000
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize("truth", [None, {5: np.array([20.0, 40.0, 80.0, 90.0])}])
def test_every_line_of_a_picture_is_explained(tmp_path, monkeypatch, truth):
    """Everything drawn in frames and plots looks like an entry of a legend."""
    drawn, explained = set(), set()

    def style(artist):
        if isinstance(artist, Patch):  # Matplotlib does not tell the dashes of the patches of a legend
            return to_hex(artist.get_edgecolor())
        return artist.get_linestyle(), artist.get_marker(), to_hex(artist.get_color())

    def collect(figure, *_, **__):
        for axes in figure.axes:
            boxes = [patch for patch in axes.patches if not patch.get_fill()]
            drawn.update(map(style, [*boxes, *axes.lines]))
            if (legend := axes.get_legend()) is not None:
                explained.update(map(style, [*legend.get_patches(), *legend.get_lines()]))

    monkeypatch.setattr(picture, "_save", collect)
    tube = make_tube()
    draw.draw_picture(tube, dict(plain(tube)), tmp_path / "out.png", true_boxes_xyxy=truth)
    assert len(drawn) == 10 + (truth is not None)
    assert drawn <= explained


@pytest.mark.parametrize(
    ("size", "count", "sentence", "true_interval"),
    [
        ((160, 120), 3, "a man walks", None),
        ((160, 120), 8, LONG, (2, 5)),
        ((90, 160), 8, "i " * 400, (2, 5)),
        ((320, 100), 12, LONG, None),
    ],
)
def test_parts_of_a_page_keep_its_margins_and_do_not_overlap(monkeypatch, size, count, sentence, true_interval):
    pages = []
    monkeypatch.setattr(picture, "_save", lambda figure, path: pages.append(figure))
    tube = make_tube(*size, clip=(0, 100), interval=(30, 70), sentence=sentence, subject="the man")
    draw.draw_picture(tube, dict(list(plain(tube))[:count]), "unused.png", true_interval=true_interval)
    (page,) = pages
    (header,), (summary,) = page.images, page.texts
    assert "(1.60 s, frames 30 to 69, both included)" in summary.get_text()
    ink = np.nonzero((header.get_array()[..., :3] < 128).any(axis=(0, 2)))[0] + header.ox
    rows, columns = header.get_array().shape[:2]
    boxes = [part.get_tightbbox().extents for part in (summary, *page.axes)]
    boxes.append((header.ox, header.oy, header.ox + columns, header.oy + rows))
    boxes = np.array(boxes)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= np.array(page.get_size_inches()) * page.dpi).all()
    first, second = np.triu_indices(len(boxes), 1)
    shared = np.minimum(boxes[first, 2:], boxes[second, 2:]) - np.maximum(boxes[first, :2], boxes[second, :2])
    assert (shared <= 1e-6).any(axis=1).all()
    explained = [axes for axes in page.axes if axes.lines]
    assert len(explained) == 2
    assert all(axes.get_legend().get_window_extent().x0 > axes.bbox.x1 for axes in explained)
    # Sentence and frames take the width between the margins.
    shown = [axes for axes in page.axes if axes.get_title()]
    assert all((axes.get_xlim(), axes.get_ylim()) == ((0, size[0]), (size[1], 0)) for axes in shown)
    frames = [axes.bbox for axes in shown]
    assert len(frames) == count
    left, right = min(box.x0 for box in frames), max(box.x1 for box in frames)
    assert left == pytest.approx(1400 - right)
    assert ink.min() >= 48
    assert ink.max() <= 1352
    if count >= 8:
        assert left == pytest.approx(48)
        assert ink.max() > 1352 - 30


def test_a_caption_has_as_many_lines_as_it_needs():
    font = load_font(12)

    def lines(text, width, most):
        return [
            " ".join(word for word, _ in line)
            for line in _wrap([(word, False) for word in text.split()], font, width, most)
        ]

    text = "the man in red walks to the door"
    assert lines(text, 1000, 3) == [text]
    whole = lines(text, 80, 4)
    assert " ".join(whole) == text
    assert len(whole) == 3
    assert len(lines(text, 80, 3)) == 3
    first, second = lines(text, 80, 2)
    assert first == whole[0]
    assert second.endswith("…")
    assert whole[1].startswith(second[:-1])


@pytest.mark.parametrize("text", ["a man", "the very tall bald man in the dark jacket"])
def test_a_text_fits_a_picture_cut_to_its_width(text):
    def image(width, tight):
        colours = ((0, 0, 0), (0, 0, 0))
        return text_image(text, "", load_font(20), width, 3, colours, (255, 255, 255, 255), tight=tight)

    tight = image(1000, True)
    np.testing.assert_array_equal(image(tight.shape[1], False), tight)
    ink = np.nonzero((tight[..., 0] < 128).any(axis=0))[0]
    assert ink[0] == pytest.approx(tight.shape[1] - 1 - ink[-1], abs=3)


def test_curves_of_a_pass_and_sides_of_plots():
    tube = make_tube(clip=(0, 12))
    tube = dataclasses.replace(tube, scores=dataclasses.replace(tube.scores, end=1 - tube.scores.start))
    boundaries, scores, bars = Figure().subplots(3)
    at = Times(tube, tube.even_seconds)
    plot_boundaries(boundaries, tube, at)
    curves = {line.get_label(): line.get_xydata() for line in boundaries.lines}
    assert set(curves) == {f"{name}, pass {k}" for name in ("start", "end") for k in (0, 1)}
    for k in (0, 1):
        frames = np.arange(k, 12, 2)
        np.testing.assert_allclose(curves[f"start, pass {k}"], np.stack([frames / 25, frames / 11], axis=1), atol=1e-6)
        np.testing.assert_allclose(
            curves[f"end, pass {k}"], np.stack([frames / 25, 1 - frames / 11], axis=1), atol=1e-6
        )
    plot_scores(scores, tube, [0, 5], at)
    plot_intervals(bars, tube, (2, 5), at)
    assert scores.get_yticks().tolist() == [0, 0.5, 1]
    for axes in (scores, boundaries):
        low, high = axes.get_ylim()
        assert all(low <= value < high for line in axes.lines for value in line.get_ydata())
    sides = [{side for side, line in axes.spines.items() if line.get_visible()} for axes in (boundaries, scores, bars)]
    assert sides == [{"left", "bottom"}, {"left", "bottom"}, {"bottom"}]
    # One above the other, they share the times below the lowest.
    timed = [axes.xaxis.get_major_ticks()[0].label1.get_visible() for axes in (boundaries, scores, bars)]
    assert timed == [True, False, False]


def test_picture_without_frames(tmp_path):
    with pytest.raises(ValueError, match="no frames"):
        draw.draw_picture(make_tube(), {}, tmp_path / "out.png")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8])
@pytest.mark.parametrize("interval", [(10, 12), (10, 11), (10, 90), (0, 100), (0, 5), (95, 100), (99, 100)])
def test_picture_frames(count, interval):
    tube = make_tube(clip=(0, 100), interval=interval)
    ids = draw.picture_frame_ids(tube, count)
    assert ids == sorted(set(ids))
    assert 1 <= len(ids) <= count
    assert all(0 <= k < 100 for k in ids)
    assert any(interval[0] <= k < interval[1] for k in ids)
    if count >= 4:
        assert {interval[0], interval[1] - 1} <= set(ids)
        assert any(k < interval[0] for k in ids) == (interval[0] > 0)
        assert any(k >= interval[1] for k in ids) == (interval[1] < 100)
        assert len(ids) == count


def test_frames_before_and_after_the_interval_are_from_the_middle():
    tube = make_tube(clip=(0, 100), interval=(40, 60))
    assert draw.picture_frame_ids(tube, 4) == [20, 40, 59, 80]
    assert draw.picture_frame_ids(make_tube(clip=(0, 100), interval=(40, 41)), 7) == [6, 20, 33, 40, 50, 70, 90]


def test_colours_are_the_same_everywhere():
    predicted, true = to_hex(plots.rgb(BOX_COLOUR)), to_hex(plots.rgb(TRUTH_COLOUR))
    assert (predicted, true) == ("#ff2d55", "#28dc5a")
    assert f"--predicted: {predicted}; --true: {true};" in STYLE


def test_frames_outside_the_clip_are_not_asked_for():
    for interval in ((40, 80), (70, 80), (60, 61), (10, 20)):
        tube = make_tube(clip=(50, 60), interval=interval)
        assert set(draw.picture_frame_ids(tube)) <= set(range(50, 60))


def test_writing_a_video_does_not_load_matplotlib():
    program = "import sys, stvg_jax.grounding.inference.draw.mp4; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
