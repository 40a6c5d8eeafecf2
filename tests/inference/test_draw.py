import fractions
import subprocess
import sys

import av
import numpy as np
import pytest
from PIL import Image

from stvg_jax.inference import draw
from stvg_jax.inference.draw.colours import BOX_COLOUR
from stvg_jax.inference.draw.pixels import draw_box
from stvg_jax.inference.tube import FrameScores, Tube

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
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(stream)]
        return frames, stream.average_rate, stream.codec_context.name


def redness(frame):
    return frame[..., 0] - frame[..., 1]


@pytest.mark.parametrize("size", [(96, 64), (97, 63), (160, 121), (161, 120), (33, 17), (120, 214)])
def test_video_keeps_size_rate_and_count(tmp_path, size):
    tube = make_tube(*size, fps=30000 / 1001, box=(10, 8, 30, 15))
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    frames, rate, codec = decode(tmp_path / "out.mp4")
    assert codec == "h264"
    assert len(frames) == 12
    assert all(frame.shape == (size[1], size[0], 3) for frame in frames)
    assert rate == fractions.Fraction(30000, 1001)


@pytest.mark.parametrize("fps", [10.0, 23.976, 25.0, 59.94005994, 12.3456])
def test_frame_rates(tmp_path, fps):
    tube = make_tube(fps=fps, clip=(100, 130), interval=(104, 108))
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    _, rate, _ = decode(tmp_path / "out.mp4")
    assert float(rate) == pytest.approx(fps, rel=2e-4)


def test_box_is_drawn_within_the_interval_only(tmp_path):
    tube = make_tube()
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    frames, _, _ = decode(tmp_path / "out.mp4")
    for number, frame in enumerate(frames):
        left_side = redness(frame)[60:95, 49:52].max(axis=1)
        bottom_side = redness(frame)[98:101, 55:105].max(axis=0)
        inside = frame[75:95, 60:100]
        if 4 <= number < 8:
            assert left_side.min() > 60
            assert bottom_side.min() > 60
        else:
            assert np.abs(frame[40:110] - 120).max() < 12
        assert np.abs(inside - 120).max() < 25


def test_colours_survive_encoding(tmp_path):
    tube = make_tube(interval=(0, 12))
    frames = ((k, np.full((120, 160, 3), (200, 60, 30), np.uint8)) for k in range(12))
    draw.draw_video(tube, frames, tmp_path / "out.mp4")
    for frame in decode(tmp_path / "out.mp4")[0]:
        np.testing.assert_allclose(frame[70:90, 120:150].mean(axis=(0, 1)), (200, 60, 30), atol=4)


def test_timeline_shows_interval_and_position(tmp_path):
    tube = make_tube(clip=(20, 60), interval=(30, 40))
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    frames, _, _ = decode(tmp_path / "out.mp4")
    red = redness(frames[0])[118]
    assert red[44:76].min() > 60
    assert red[90:].max() < 40
    assert red[12:36].max() < 40
    for number in (0, 20, 39):
        brightest = int(frames[number][116:120].min(axis=2).sum(axis=0).argmax())
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
    assert np.abs(frame[40:100] - 120).max() < 12


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
    assert draw_box(canvas, np.array([-10.0, 20.0, 30.0, 80.0]), 2, BOX_COLOUR) == (0, 20)
    coloured = (canvas == BOX_COLOUR).all(axis=2)
    assert coloured[20:50, 0].all()
    assert coloured[49, :30].all()
    assert not coloured[:, 30:].any()
    assert not coloured[:20].any()


@pytest.mark.parametrize(
    "sentence", [LONG, "x" * 500, "男人走到门口" * 30, "Мужчина идёт 😀 \ud800 \n\t $a_b^$ %", "a"]
)
@pytest.mark.parametrize("size", [(96, 64), (200, 356)])
def test_any_sentence_leaves_most_of_the_picture_free(tmp_path, sentence, size):
    tube = make_tube(*size, clip=(0, 2), interval=(1, 2), sentence=sentence, subject=sentence[:40])
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4")
    frame = decode(tmp_path / "out.mp4")[0][0]
    assert np.abs(frame[int(0.4 * size[1]) : int(0.9 * size[1])] - 120).max() < 15
    draw.draw_picture(tube, dict(plain(tube)), tmp_path / "out.png")


def test_truth_is_drawn_in_green(tmp_path):
    tube = make_tube(interval=(0, 1))
    draw.draw_video(tube, plain(tube), tmp_path / "out.mp4", truth_xyxy={6: np.array([20.0, 40.0, 80.0, 90.0])})
    frames, _, _ = decode(tmp_path / "out.mp4")
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
    with pytest.raises(ValueError, match="no frames"):
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


def test_frames_outside_the_clip_are_not_asked_for():
    tube = make_tube(clip=(50, 60), interval=(40, 80))
    assert set(draw.picture_frame_ids(tube)) <= set(range(50, 60))


def test_writing_a_video_does_not_load_matplotlib():
    program = "import sys, stvg_jax.inference.draw.encode; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
