"""tube.mp4: frames, times, boxes, caption and bar."""

import dataclasses
import fractions

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.grounding.inference import draw
from stvg_jax.grounding.inference.draw.pixels import BOX_COLOUR, draw_box, place_beside
from stvg_jax.grounding.inference.draw.video import _Painter
from tests.grounding.inference.drawing import LONG, decode, make_tube, pictures, plain, redness, times_of


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
