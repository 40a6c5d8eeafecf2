import dataclasses

import av
import numpy as np
import pytest

from stvg_jax.data_pipeline.shapes.example import Settings, make_example
from stvg_jax.data_pipeline.shapes.scene import RADII, Background, track
from stvg_jax.data_pipeline.shapes.video import draw_frames, write_enlarged, write_video
from stvg_jax.data_pipeline.shapes.vocabulary import COLOURS, SHAPES
from tests.data_pipeline.shapes.scenes import PLAIN, STAGE, scene, thing

RGB = {name: np.array(rgb) for name, rgb in COLOURS.items()}


def coloured(frame):
    """(x1, y1, x2, y2) around everything that is not background."""
    ys, xs = np.nonzero((np.abs(frame.astype(int) - PLAIN.dark) > 24).any(-1))
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


@pytest.mark.parametrize("shape", SHAPES)
def test_boxes_fit_what_is_drawn(shape):
    """Moved, grown and turned by any angle."""
    verbs = [("right", 5, 15), ("grow", 20, 30), ("spin", 35, 60)]
    t = thing(f"small red {shape}", 40.3, 50.8, *(d for d in verbs if d[0] != "spin" or shape != "circle"))
    frames, boxes = draw_frames(scene(t)), track(t, 64).boxes_xyxy()
    for i in range(0, 64, 3):
        np.testing.assert_allclose(coloured(frames[i]), boxes[i], atol=1.1)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_has_its_colour_inside_and_the_background_outside(shape):
    frame = draw_frames(scene(thing(f"big yellow {shape}", 80, 50)))[0]
    assert frame.shape == (100, 160, 3) and frame.dtype == np.uint8
    np.testing.assert_array_equal(frame[50, 80], RGB["yellow"])
    np.testing.assert_array_equal(frame[2, 2], PLAIN.dark)


def test_areas_tell_the_shapes_apart():
    def area(shape):
        frame = draw_frames(scene(thing(f"big white {shape}", 80, 50)))[0]
        return (frame[..., 0] - 50.0).sum() / (RGB["white"][0] - 50.0)

    radius = 100 * RADII["big"]
    np.testing.assert_allclose(area("circle"), np.pi * radius**2, rtol=0.01)
    np.testing.assert_allclose(area("square"), (2 * 0.89 * radius) ** 2, rtol=0.01)
    np.testing.assert_allclose(area("triangle"), 0.75 * 3**0.5 * (1.25 * radius) ** 2, rtol=0.01)
    np.testing.assert_allclose(area("star"), 1.1226 * (1.25 * radius) ** 2, rtol=0.02)


def test_actions_are_seen_from_their_first_frame_to_their_last():
    t = thing("small red square", 80, 50, ("up", 10, 20), ("turn blue", 30, 40), ("blink", 50, 60))
    frames = draw_frames(scene(t)).astype(int)
    changes = np.flatnonzero(np.abs(np.diff(frames, axis=0)).reshape(63, -1).sum(1)) + 1
    np.testing.assert_array_equal(changes, [*range(10, 20), *range(30, 40), *range(50, 60)])
    np.testing.assert_array_equal(frames[5, 50, 80], RGB["red"])
    np.testing.assert_array_equal(frames[45, 20, 80], RGB["blue"])
    np.testing.assert_array_equal(frames[63, 20, 80], RGB["blue"])
    assert frames[50:60, 20, 80, 2].min() < 110  # nearly gone


def test_a_thing_is_drawn_while_it_is_there():
    frames = draw_frames(scene(thing("small red circle", 80, 50, visible=(12, 30))))
    there = (frames[:, 50, 80] == RGB["red"]).all(-1)
    np.testing.assert_array_equal(np.flatnonzero(there), range(12, 30))


@pytest.mark.parametrize("kind", ["plain", "gradient", "clouds", "stripes"])
def test_backgrounds_are_dim_and_follow_their_seed(kind):
    def draw(seed):
        background = Background(kind, (40, 44, 48), (90, 88, 84), 4.0, seed)
        return draw_frames(
            dataclasses.replace(scene(thing("small red circle", 80, 50, visible=(9, 10))), background=background)
        )[0]

    first = draw(1)
    assert first.min() >= 30 and first.max() <= 100
    np.testing.assert_array_equal(first, draw(1))
    assert (first != draw(2)).any()
    assert STAGE.width > STAGE.height and np.ptp(first.astype(int)) > (40 if kind != "plain" else 4)


def test_an_enlarged_video_shows_the_same(tmp_path):
    """Halved again, pictures are those of the small video, as closely as coding keeps them."""
    example = make_example(3, Settings(height=48, frames=32))
    write_video(tmp_path / "small.mp4", example.frames(), 10)
    write_enlarged(tmp_path / "large.mp4", example.frames(), 10, 4)
    (small, _), (large, rate) = (_decode(tmp_path / name) for name in ("small.mp4", "large.mp4"))
    n, height, width, _ = small.shape
    assert (large.shape, rate) == ((n, 4 * height, 4 * width, 3), 10)
    means = large.reshape(n, height, 4, width, 4, 3).mean((2, 4))
    assert np.abs(means - small).mean() < 2.5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.mp4", "small.mp4"]


def _decode(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return np.stack(pictures).astype(float), stream.average_rate
