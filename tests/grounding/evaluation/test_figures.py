"""Figures of the report page: where things are drawn."""

import re

import numpy as np
import pytest

from stvg_jax.grounding.evaluation.figures import frame_figure, histogram, timeline
from stvg_jax.grounding.evaluation.records import Record
from stvg_jax.grounding.inference.tube import FrameScores
from tests.grounding.evaluation.cases import make_frames, make_prediction, make_sample
from tests.grounding.evaluation.test_page import Structure


def answer(tube=(10, 20), interval=(40, 45), frames=range(50), scores=None) -> Record:
    return Record.of(make_sample(tube=tube), make_prediction(interval, frames=frames), scores)


def ticks(record: Record) -> list[tuple[str, str, str]]:
    """(place, anchor, number) of the numbers below a timeline."""
    return re.findall(r'<text x="([\d.]+)%" y="17" text-anchor="(\w+)">(\d+)</text>', timeline(record, []))


def test_both_intervals_are_bars_over_the_sampled_part():
    figure = Structure(timeline(answer(), [10, 25]))
    (true,), (predicted,) = figure.all("rect", "true"), figure.all("rect", "predicted")
    assert (true["x"], true["width"]) == ("20.00%", "20.00%")
    assert (predicted["x"], predicted["width"]) == ("80.00%", "10.00%")
    # Bars are as high as their tracks and lie on them; the row is as high as both margins and the bar.
    assert {(bar["y"], bar["height"], bar["rx"]) for bar in (true, predicted)} == {("2", "12", "2")}
    tracks = figure.all("rect", "track")
    assert [(t["width"], t["y"], t["height"]) for t in tracks] == [("100%", "2", "12")] * 2
    assert [row["height"] for row in figure.all("svg")] == ["16", "16", "20"]
    assert [line["x1"] for line in figure.all("line", "shown")] == ["20.00%", "50.00%"]
    assert [line["x2"] for line in figure.all("line", "shown")] == ["20.00%", "50.00%"]
    assert [text for text in figure.text if "–" in text] == ["true 10–19", "predicted 40–44"]


def test_a_timeline_holds_intervals_beyond_the_sampled_part():
    """From frame 5, where the prediction begins, up to 25, where the truth ends; 12 to 19 are sampled."""
    figure = Structure(timeline(answer((15, 25), (5, 10), range(12, 20)), [12]))
    (true,), (predicted,) = figure.all("rect", "true"), figure.all("rect", "predicted")
    assert (true["x"], true["width"]) == ("50.00%", "50.00%")
    assert (predicted["x"], predicted["width"]) == ("0.00%", "25.00%")
    assert [line["x1"] for line in figure.all("line", "shown")] == ["35.00%"]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (range(50), [0, 10, 20, 30, 40, 49]),
        # 100 would touch the last number.
        (range(5, 105), [5, 20, 40, 60, 80, 104]),
        # 10 would touch the first one; 8 steps of 10 are not too many.
        (range(9, 90), [9, 20, 30, 40, 50, 60, 70, 80, 89]),
        # 14 numbers of the same width would just fit: 10 frames of 130 are enough, 1 of 14 is not.
        (range(131), [0, 20, 40, 60, 80, 100, 120, 130]),
        (range(1, 16), [1, 4, 6, 8, 10, 12, 15]),
        (range(8), [0, 1, 2, 3, 4, 5, 6, 7]),
        (range(3), [0, 1, 2]),
        (range(1000), [0, 200, 400, 600, 800, 999]),
    ],
)
def test_ticks_are_both_ends_and_round_numbers_between(frames, expected):
    record = answer((frames[0], frames[1]), (frames[0], frames[-1] + 1), frames)
    found = ticks(record)
    assert [int(number) for _, _, number in found] == expected
    assert [anchor for _, anchor, _ in found] == ["start", *["middle"] * (len(found) - 2), "end"]
    width = len(frames)
    assert [float(place) for place, _, _ in found] == pytest.approx(
        [100 * (f - frames[0]) / width for f in expected], abs=0.01
    )


def test_a_timeline_of_one_frame():
    record = answer((7, 8), (7, 8), [7])
    assert ticks(record) == [("0.00", "start", "7")]
    (bar,) = Structure(timeline(record, [7])).all("rect", "true")
    assert (bar["x"], bar["width"]) == ("0.00%", "100.00%")


def test_scores_are_curves_with_a_legend_in_their_colours():
    half = np.array([0, 0.5, 1, 0.25], np.float32)
    scores = FrameScores(np.arange(4), half, half[::-1], half, half, np.zeros(4, int))
    figure = Structure(timeline(answer((1, 2), (1, 2), range(4), scores), []))
    curves = {name: figure.all("polyline", name)[0]["points"] for name in ("sampling", "actioness")}
    assert curves["sampling"] == "0.00,98.00 25.00,50.00 50.00,2.00 75.00,74.00"
    assert curves["actioness"] == "0.00,74.00 25.00,2.00 50.00,50.00 75.00,98.00"
    # The names are elements, not text that looks like some.
    assert len(figure.all("span", "actioness")) == len(figure.all("span", "sampling")) == 1
    assert {"actioness", "sampling score"} <= set(figure.text)
    assert [row["height"] for row in figure.all("svg") if "aria-hidden" in row] == ["16", "16", "48", "20"]
    (plot,) = [svg for svg in figure.all("svg") if "viewbox" in svg]
    assert (plot["viewbox"], plot["preserveaspectratio"], plot["height"]) == ("0 0 100 100", "none", "48")


@pytest.mark.parametrize(
    ("frame", "boxes", "said"),
    [
        (15, ["rim", "predicted", "true"], "frame 15, true and predicted"),
        (12, ["rim", "unclaimed", "true"], "frame 12, true"),
        (20, ["rim", "predicted"], "frame 20, predicted"),
        (25, ["rim", "unclaimed"], "frame 25, in neither interval"),
        (10, ["rim", "unclaimed", "true"], "frame 10, true"),
    ],
)
def test_a_frame_shows_the_boxes_it_has_and_says_which(frame, boxes, said):
    record = answer((10, 20), (15, 25), range(30))
    figure = Structure(frame_figure(record, make_sample(tube=(10, 20)), frame, make_frames("", [frame])[0]))
    assert [rect["class"] for rect in figure.all("rect")] == boxes
    (svg,) = figure.all("svg")
    assert (svg["aria-label"], svg["viewbox"]) == (said, "0 0 320 180")
    marks = [name for name in ("true", "predicted") if name in boxes]
    assert [dot["class"] for dot in figure.all("i")] == marks
    assert "".join(figure.text).strip() == str(frame)


def test_each_frame_has_its_own_boxes():
    moving = np.array([[k, 2 * k, k + 10, 2 * k + 20] for k in range(30)], np.float64)
    sample = make_sample(tube=(10, 20), box=moving[10:20] + 3)
    record = Record.of(sample, make_prediction((10, 20), moving[::2], range(0, 30, 2)))
    figure = Structure(frame_figure(record, sample, 14, make_frames("", [14])[0]))
    places = [[float(rect[k]) for k in ("x", "y", "width", "height")] for rect in figure.all("rect")]
    assert places == [[14, 28, 10, 20], [14, 28, 10, 20], [17, 31, 10, 20]]


def test_a_box_turned_inside_out_has_no_size():
    record = Record.of(make_sample(), make_prediction(box=(140, 110, 100, 50)))
    rim, predicted, _ = Structure(frame_figure(record, make_sample(), 12, make_frames("", [12])[0])).all("rect")
    assert (predicted["width"], predicted["height"]) == (rim["width"], rim["height"]) == ("0.0", "0.0")


def test_histogram():
    """Four samples in bins of 0.05: two in the second, one in the last and one above 1, which counts there too."""
    figure = Structure(histogram([0.05, 0.06, 0.97, 1.2], "<spread>"))
    bars = figure.all("rect", "bar")
    assert len(bars) == 20
    counts = [0, 2, *[0] * 17, 2]
    assert [bar["height"] for bar in bars] == ["110.0" if count else "0.0" for count in counts]
    assert [bar["y"] for bar in bars] == ["14.0" if count else "124.0" for count in counts]
    assert [bar["x"] for bar in bars[:3]] == ["1.0", "21.0", "41.0"]
    assert {bar["width"] for bar in bars} == {"18.0"}
    assert "0.05 to 0.10: 2 samples" in figure.text
    assert "0.95 to 1.00: 2 samples" in figure.text
    (mean,) = figure.all("line", "mean")
    assert (mean["x1"], mean["x2"], mean["y1"], mean["y2"]) == ("228.0", "228.0", "0", "124")
    (axis,) = figure.all("line", "axis")
    assert (axis["x1"], axis["x2"], axis["y1"], axis["y2"]) == ("0", "400", "124", "124")
    *numbers, label = figure.all("text")
    assert [(text["x"], text["y"]) for text in numbers] == [(x, "138") for x in ("0", "100", "200", "300", "400")]
    assert [text for text in figure.text if re.fullmatch(r"[\d.]+", text)] == ["0", "0.25", "0.5", "0.75", "1"]
    # Left of the line, where there is room.
    assert (label["x"], label["y"], label["text-anchor"]) == ("224.0", "10", "end")
    assert "mean 0.570" in figure.text
    assert "<spread>" in figure.text
    (svg,) = figure.all("svg")
    assert svg["viewbox"] == "-12 0 424 142"


def test_bars_are_as_high_as_their_share_of_the_tallest():
    figure = Structure(histogram([0.01, 0.02, 0.03, 0.04, 0.11], "few"))
    assert [bar["height"] for bar in figure.all("rect", "bar")][:3] == ["110.0", "0.0", "27.5"]
    assert [bar["y"] for bar in figure.all("rect", "bar")][:3] == ["14.0", "124.0", "96.5"]
    label = figure.all("text")[-1]
    assert (label["x"], label["text-anchor"]) == ("20.8", "start")


def test_one_sample_makes_one_bar():
    bars = Structure(histogram([0.5], "one")).all("rect", "bar")
    assert [k for k, bar in enumerate(bars) if bar["height"] != "0.0"] == [10]
    assert Structure(histogram([0.5], "one")).all("text")[-1]["text-anchor"] == "end"
