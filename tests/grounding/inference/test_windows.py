"""Windows of long videos: which frames they have, and that each is read once."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.frame_rules import evaluation_frame_ids
from stvg_jax.grounding.inference.trained import TrainedClip
from stvg_jax.grounding.inference.windows import Parts, Windows, check_windows, iter_windows, one_ahead, sampled_frames

TRAINED = TrainedClip(20.0, 128)


def test_windows_have_the_length_of_training_by_default():
    assert Windows.of("auto", None, TRAINED) == Windows(20.0, 10.0)
    assert Windows.of(5, 2.5, TRAINED) == Windows(5.0, 2.5)


@pytest.mark.parametrize(
    ("window", "stride", "message"),
    [
        ("all", None, r"window 'all': must be a positive number of seconds or \"auto\""),
        (0, None, "window 0: must be a positive number"),
        (True, None, "window True: must be a positive number"),
        (float("nan"), None, "window nan"),
        ("auto", "5", "stride '5': must be a positive number of seconds$"),
        (5, 6, "stride 6: must be at most the window of 5 s"),
        (30, None, "window 30: must be at most 20 s, the length of a clip of the training"),
        (0.2, None, "window 0.2, stride 0.1: must be at least 0.3125 and 0.15625 s"),
    ],
)
def test_windows_that_cannot_be(window, stride, message):
    with pytest.raises(InputError, match=message):
        Windows.of(window, stride, TRAINED)


def test_options_of_windows_alone():
    check_windows(None, None, 1)
    check_windows("auto", 5, 3)
    for options in ((None, 5, 1), (None, None, 2)):
        with pytest.raises(InputError, match="stride and top are for a search in windows"):
            check_windows(*options)
    with pytest.raises(InputError, match="top 0: must be at least 1"):
        check_windows("auto", None, 0)


@pytest.mark.parametrize("count", [1, 127, 128, 129, 191, 192, 193, 1000])
def test_windows_are_whole_and_reach_the_end(count):
    spans = Windows(20.0, 10.0).spans(count, 20 / 128, passes=2)
    assert spans[0][0] == 0
    assert spans[-1][1] == count
    assert {end - start for start, end in spans} == {min(count, 128)}
    starts = [start for start, _ in spans]
    assert all(0 < b - a <= 64 for a, b in zip(starts, starts[1:], strict=False))
    assert starts == sorted(set(starts))


def test_passes_share_the_frames_of_a_window_evenly():
    spans = Windows(1.0, 0.5).spans(100, 0.2, passes=2)
    assert {(end - start) % 2 for start, end in spans} == {0}


@pytest.mark.parametrize("fps", [16, 24, 25, 30, 60])
def test_frames_are_those_of_a_clip_of_training(fps):
    times = np.arange(3 * 20 * fps) / fps
    sampled = sampled_frames(times, 0, len(times), TRAINED.spacing_sec)
    expected = evaluation_frame_ids(20 * fps, "hcstvg")
    # The last frame of a clip is always taken, a window has one more only if its turn has come.
    assert sampled[sampled < 20 * fps][:126].tolist() == expected[:126].tolist()
    assert len(sampled) == 3 * 128
    later = sampled_frames(times, 20 * fps, len(times), TRAINED.spacing_sec)
    assert later.tolist() == [frame for frame in sampled.tolist() if frame >= 20 * fps]


def test_slow_and_pausing_videos_show_each_frame_once():
    slow = np.arange(40) / 2
    assert sampled_frames(slow, 3, 40, 0.15).tolist() == list(range(3, 40))
    pausing = np.concatenate([np.arange(10) / 10, 60 + np.arange(10) / 10])
    assert sampled_frames(pausing, 0, 20, 0.2).tolist() == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert sampled_frames(pausing, 19, 20, 0.2).tolist() == [19]
    # Of a century few times lie at a frame.
    assert sampled_frames(np.array([0.0, 1.0, 3e9]), 0, 3, 0.15).tolist() == [0, 1, 2]


def test_each_frame_is_loaded_once_and_few_are_held():
    ids, loaded = np.arange(0, 200, 2), []

    def load(wanted):
        loaded.extend(wanted.tolist())
        return wanted[:, None]

    spans = [(0, 40), (20, 60), (40, 80), (60, 100)]
    for (start, end), (frames, pixels) in zip(spans, iter_windows(spans, ids, load), strict=True):
        assert frames.tolist() == ids[start:end].tolist() == pixels[:, 0].tolist()
    assert loaded == ids.tolist()


def test_parts_of_windows_are_encoded_once():
    windows, encoded = Windows(2.0, 1.0), []
    spans = windows.spans(21, 0.5, passes=2)
    assert spans == [(0, 4), (2, 6), (4, 8), (6, 10), (8, 12), (10, 14), (12, 16), (14, 18), (16, 20), (17, 21)]
    assert windows.part(spans, joins=False) == 4
    assert (part := windows.part(spans, joins=True)) == 2
    parts = Parts(part, lambda frames, pixels: encoded.append((frames.tolist(), pixels.tolist())) or frames[0])
    frames = np.arange(100, 121)
    for start, end in spans:
        assert parts.of(start, frames[start:end], -frames[start:end]) == [100 + start, 102 + start]
    # The last window is moved back.
    assert [ids[0] for ids, _ in encoded] == [*range(100, 120, 2), 117, 119]
    assert all(pixels == [-number for number in ids] for ids, pixels in encoded)
    assert Windows(2.0, 1.5).part(Windows(2.0, 1.5).spans(100, 0.25, 2), joins=True) == 8


def test_the_next_item_is_made_meanwhile_and_errors_come_through():
    made = threading.Event()

    def items():
        yield 1
        made.set()
        yield 2
        raise InputError("damaged")

    coming = one_ahead(items())
    assert next(coming) == 1
    assert made.wait(10)
    assert next(coming) == 2
    with pytest.raises(InputError, match="damaged"):
        next(coming)
    assert list(one_ahead(iter([]))) == []
