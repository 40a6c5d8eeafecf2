import av
import numpy as np
import pytest

from stvg_jax.inference.demo_video import COLOURS, write_demo_video


def decode(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(stream)]
        return frames, stream.average_rate


def seen_box(frame, colour, near):
    """Box around the pixels of `colour` within ten pixels of the box `near`."""
    x1, y1, x2, y2 = (int(v) for v in near)
    window = np.zeros(frame.shape[:2], bool)
    window[max(y1 - 10, 0) : y2 + 10, max(x1 - 10, 0) : x2 + 10] = True
    rows, columns = np.nonzero(window & (np.abs(frame - colour).max(axis=2) < 60))
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_truth_surrounds_what_is_seen(tmp_path, seed):
    scene = write_demo_video(tmp_path / "demo.mp4", seed=seed, seconds=6)
    frames, rate = decode(scene.path)
    assert len(frames) == scene.frame_count == 60
    assert rate == scene.fps
    assert frames[0].shape == (scene.height, scene.width, 3)
    for target in scene.targets:
        colour = COLOURS[target.subject.split()[2]]
        assert target.sentence.startswith(target.subject)
        assert 0 < target.start_frame < target.end_frame < scene.frame_count
        assert set(range(target.start_frame, target.end_frame)) <= set(target.boxes_xyxy)
        for number, box in target.boxes_xyxy.items():
            assert box.dtype == np.float32
            assert (box[:2] >= 0).all()
            assert (box[2:] <= (scene.width, scene.height)).all()
            np.testing.assert_allclose(seen_box(frames[number], colour, box), box, atol=2)


@pytest.mark.parametrize("seed", range(20))
def test_the_movement_is_the_interval(tmp_path, seed):
    scene = write_demo_video(tmp_path / "demo.mp4", seed=seed, width=96, height=64, seconds=4)
    square, circle = scene.targets
    for target, axis, sign in ((square, 0, -1), (circle, 1, 1)):
        frames = sorted(target.boxes_xyxy)
        track = {k: sign * target.boxes_xyxy[k][axis] for k in frames}
        before = [track[k] for k in frames if k <= target.start_frame]
        after = [track[k] for k in frames if k >= target.end_frame]
        assert len(set(before)) == len(set(after)) == 1
        assert after[0] - before[0] > 15
        moving = [track[k] for k in range(target.start_frame, target.end_frame)]
        assert moving == sorted(moving)
    assert len(square.boxes_xyxy) < scene.frame_count
    assert not any(square.boxes_xyxy[k][2] > circle.boxes_xyxy[k][0] for k in square.boxes_xyxy), (
        "the two targets never touch"
    )


def test_same_seed_same_video(tmp_path):
    scenes = [write_demo_video(tmp_path / name, seed=s, seconds=2) for name, s in (("a", 3), ("b", 3), ("c", 4))]
    pixels = [np.stack(decode(scene.path)[0]) for scene in scenes]
    np.testing.assert_array_equal(pixels[0], pixels[1])
    assert not np.array_equal(pixels[0], pixels[2])
    assert scenes[0].targets[0].sentence == scenes[1].targets[0].sentence


def test_too_small_a_scene(tmp_path):
    with pytest.raises(ValueError, match="at least"):
        write_demo_video(tmp_path / "demo.mp4", width=32)
    with pytest.raises(ValueError, match="at least"):
        write_demo_video(tmp_path / "demo.mp4", seconds=1)
    assert list(tmp_path.iterdir()) == []
