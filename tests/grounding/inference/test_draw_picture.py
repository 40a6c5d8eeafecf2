"""tube.png: frames, plots and their legends; and what pictures and videos share."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from stvg_jax.grounding.evaluation.page_style import STYLE
from stvg_jax.grounding.inference import draw
from stvg_jax.grounding.inference.draw import picture, plots
from stvg_jax.grounding.inference.draw.pixels import BOX_COLOUR, TRUTH_COLOUR
from stvg_jax.grounding.inference.draw.plots import Times, plot_boundaries, plot_intervals, plot_scores
from stvg_jax.grounding.inference.draw.text import _wrap, load_font, text_image
from tests.grounding.inference.drawing import LONG, make_tube, plain, redness


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
