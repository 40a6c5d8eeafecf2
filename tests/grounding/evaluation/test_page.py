"""The report page: the cases it shows, and what is in it."""

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from stvg_jax.core.errors import InputError
from stvg_jax.grounding.evaluation.metrics import SampleMetrics
from stvg_jax.grounding.evaluation.page import choose_cases, choose_frames, length_table, write_page
from stvg_jax.grounding.evaluation.scoring import score
from stvg_jax.grounding.evaluation.table import CONVENTION, results_table
from tests.grounding.evaluation.cases import HEIGHT, WIDTH, Record, make_frames, make_prediction, make_sample, make_set

VOID = {"meta", "br"}


class Structure(HTMLParser):
    """Checks that elements are closed in order, and collects them."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.elements, self.text = [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag, name=None):
        return [attrs for found, attrs in self.elements if found == tag and name in (None, attrs.get("class"))]


def page_of(tmp_path, samples, records, frames=make_frames, **options) -> str:
    path = tmp_path / "page.html"
    write_page(path, records, samples, frames, **{"title": "a page"} | options)
    return path.read_text()


def test_page(tmp_path):
    samples, records = make_set(12)
    means = score({r.id: r.prediction.filled() for r in records}, list(samples.values()))
    steps = []
    page = page_of(
        tmp_path, samples, records, title="VidSTG", about=["checkpoint ta_vidstg"], notes=["a note"], count=2,
        tables=[results_table(means.groups, "vidstg", "this run")], step=lambda: steps.append(1),
    )  # fmt: skip
    structure = Structure(page)
    text = " ".join(" ".join(structure.text).split())
    assert len(structure.all("article")) == len(steps) == 6
    for wanted in ("checkpoint ta_vidstg", "a note", "TA-STVG (ICLR 2025)", "this run", "Best", "Median", "Worst"):
        assert wanted in text
    best, worst = records[0], records[-1]
    assert f"{best.metrics.viou:.3f} vIoU" in text
    assert f"sample {worst.id} · interrogative · videos/11.mp4, 320×180" in text
    assert f"predicted {best.prediction.interval[0]}–{best.prediction.interval[1] - 1}" in text
    assert structure.all("mark")
    # Nothing is loaded from anywhere, and the browser is told so before it reads any text.
    policy, *others = structure.all("meta")[1:]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"].startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert "http-equiv" not in "".join(others[0])
    assert not structure.all("script")
    assert not structure.all("link")
    assert all(attrs["href"].startswith("data:image/jpeg;base64,") for attrs in structure.all("image"))


def test_pictures_and_boxes(tmp_path):
    """Pictures of another size than the annotation's are stretched to it, so boxes stay in its pixels."""
    sample = make_sample("0", (10, 20), (100, 50, 140, 110))
    record = Record.of(sample, make_prediction((10, 20), (90, 40, 130, 100), range(0, 60, 5)))
    asked = []

    def frames(video, ids):
        asked.append((video, ids))
        return make_frames(video, ids)

    structure = Structure(page_of(tmp_path, {"0": sample}, [record], frames))
    assert asked == [("videos/0.mp4", [10, 15, 20])]
    images = structure.all("image")
    assert len(images) == 3
    for attrs, expected in zip(images, make_frames("", [10, 15, 20]), strict=True):
        assert (attrs["width"], attrs["height"], attrs["preserveaspectratio"]) == (str(WIDTH), str(HEIGHT), "none")
        picture = Image.open(io.BytesIO(base64.b64decode(attrs["href"].split(",")[1])))
        assert np.abs(np.asarray(picture, int) - expected).mean() < 4
    boxes = [attrs for attrs in structure.all("rect") if "rx" not in attrs and "<" not in attrs["class"]]
    named = [(a["class"], [float(a[k]) for k in ("x", "y", "width", "height")]) for a in boxes if a["class"] != "bar"]
    predicted, true = [90.0, 40.0, 40.0, 60.0], [100.0, 50.0, 40.0, 60.0]
    shown = [box for box in named if box[0] != "rim"][:6]
    assert shown[:4] == [("predicted", predicted), ("true", true)] * 2
    assert shown[4] == ("unclaimed", predicted)


def test_equal_intervals_are_not_told_apart_without_a_reason(tmp_path):
    """The published tIoU of an exact answer is below 1."""
    sample = make_sample("0", (10, 20), (100, 50, 140, 110))
    exact = Record.of(sample, make_prediction((10, 20), (90, 40, 130, 100), range(0, 60, 5)))
    page = page_of(tmp_path, {"0": sample}, [exact])
    assert "0.900</b> tIoU" in page
    assert page.count("equal intervals; the measures leave out the truth's last frame") == 1
    assert "true 10–19" in page
    assert "predicted 10–19" in page
    assert "the first and the last, both included" in page
    assert CONVENTION.replace("'", "&#x27;") in page
    other = Record.of(sample, make_prediction((10, 19), (90, 40, 130, 100), range(0, 60, 5)))
    assert "equal intervals" not in page_of(tmp_path, {"0": sample}, [other])


def test_large_pictures_are_made_small(tmp_path):
    samples, records = make_set(1)
    structure = Structure(page_of(tmp_path, samples, records, lambda v, i: make_frames(v, i, 720, 1280)))
    for attrs in structure.all("image"):
        assert max(Image.open(io.BytesIO(base64.b64decode(attrs["href"].split(",")[1]))).size) <= 420


def test_texts_from_a_dataset_are_escaped(tmp_path):
    nasty = {"sentence": "a <script>alert(1)</script> & 'man' \" walks", "subject": "<script>alert(1)</script>"}
    sample = make_sample("<i>", **nasty, video='"><img src=x>.mp4')
    record = Record.of(sample, make_prediction())
    page = page_of(tmp_path, {"<i>": sample}, [record], title="<title>", about=["<about>"], notes=["<note>"])
    structure = Structure(page)
    assert not {"script", "img", "about", "note"} & {tag for tag, _ in structure.elements}
    assert "<script>alert(1)</script>" in "".join(structure.text)
    assert '"><img src=x>.mp4' in "".join(structure.text)


def test_frames_that_cannot_be_read_cost_their_pictures_only(tmp_path):
    def frames(video, ids):
        raise InputError(f"{video} has no frame <{ids[0]}>")

    samples, records = make_set(3)
    page = page_of(tmp_path, samples, records, frames)
    assert len(Structure(page).all("article")) == 3
    assert "No pictures: videos/0.mp4 has no frame &lt;" in page


def test_records_without_scores(tmp_path):
    sample = make_sample("0")
    page = page_of(tmp_path, {"0": sample}, [Record.of(sample, make_prediction())])
    assert "<polyline" not in page
    assert "<polyline" in page_of(tmp_path, *make_set(1))


def test_best_median_and_worst():
    _, records = make_set(31)
    ranked = sorted(records, key=lambda r: -r.metrics.viou)
    cases = choose_cases(records[::-1], 3)
    assert cases["best"] == ranked[:3]
    assert [r.metrics.viou for r in cases["median"]] == [r.metrics.viou for r in ranked[14:17]]
    worst = [r.metrics for r in cases["worst"]]
    assert [m.viou for m in worst] == [0, 0, 0]
    assert worst[0].tiou == min(m.metrics.tiou for m in records)


@pytest.mark.parametrize(("count", "expected"), [(1, [1]), (2, [2]), (3, [1, 1, 1]), (8, [2, 2, 2]), (9, [3, 3, 3])])
def test_few_records_are_shown_once(count, expected):
    cases = choose_cases(make_set(count)[1], 3)
    assert [len(group) for group in cases.values()] == expected
    shown = [record.id for group in cases.values() for record in group]
    assert len(set(shown)) == len(shown)


def test_frames_shown_are_sampled_ones_over_both_intervals():
    sample = make_sample("0", (10, 20))
    record = Record.of(sample, make_prediction((40, 50), frames=range(0, 60, 3)))
    chosen = choose_frames(record, 6)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == 6
    assert set(chosen) <= set(record.prediction.frames.tolist())
    assert chosen[0] in range(10, 20)
    assert chosen[-1] in range(40, 50)
    assert choose_frames(Record.of(sample, make_prediction(frames=[30])), 6) == [30]


def test_lengths():
    samples, records = make_set(40)
    table = length_table(records)
    assert sum(int(row[1]) for row in table.rows) == 40
    bounds = [tuple(map(int, re.findall(r"\d+", row[0]))) for row in table.rows]
    lengths = [s.tube[1] - s.tube[0] for s in samples.values()]
    assert bounds[0][0] == min(lengths)
    assert bounds[-1][-1] == max(lengths)
    assert all(a[-1] < b[0] for a, b in zip(bounds, bounds[1:], strict=False))


def test_lengths_that_are_all_the_same():
    record = make_set(1)[1][0]
    (row,) = length_table([record] * 5).rows
    assert row[1] == "5"


def test_a_failed_page_leaves_nothing(tmp_path):
    samples, records = make_set(1)
    with pytest.raises(KeyError):
        page_of(tmp_path, {}, records)
    assert list(tmp_path.iterdir()) == []
    assert samples


def record_of(length: int, viou: float = 0.5) -> Record:
    record = Record.of(make_sample(tube=(10, 10 + length)), make_prediction())
    return dataclasses.replace(record, metrics=SampleMetrics(viou / 2, viou, viou * 1.5))


def test_means_by_length_of_the_tube():
    """Nine lengths: the bounds of four groups are at the third, fifth, seventh and last of them."""
    records = [record_of(length, viou=length / 100) for length in (1, 2, 3, 4, 5, 6, 7, 8, 9)]
    table = length_table(records[::-1])
    assert table.columns == ("", "samples", "m_tIoU", "m_vIoU", "gt_m_vIoU")
    assert table.rows == (
        ("1 to 3 frames", "3", "1.0", "2.0", "3.0"),
        ("4 to 5 frames", "2", "2.2", "4.5", "6.8"),
        ("6 to 7 frames", "2", "3.2", "6.5", "9.8"),
        ("8 to 9 frames", "2", "4.2", "8.5", "12.8"),
    )
    assert table.ours == 0


def test_lengths_that_many_share_make_fewer_groups():
    records = [record_of(length) for length in (5, 5, 5, 5, 5, 5, 5, 9)]
    assert [row[:2] for row in length_table(records).rows] == [("5 frames", "7"), ("9 frames", "1")]


@pytest.mark.parametrize(
    ("sentence", "subject", "shown"),
    [
        ("The man sees the man", "the man", "<mark>The man</mark> sees the man"),
        ("a manual, a man", "man", "a manual, a <mark>man</mark>"),
        ("a (b) c", "(b)", "a <mark>(b)</mark> c"),
        ("one & two", "two", "one &amp; <mark>two</mark>"),
        ("nobody", "the man", "nobody"),
        ("nobody", " ", "nobody"),
    ],
)
def test_the_subject_is_marked_where_it_first_stands(tmp_path, sentence, subject, shown):
    sample = make_sample("0", sentence=sentence, subject=subject)
    page = page_of(tmp_path, {"0": sample}, [Record.of(sample, make_prediction())])
    assert f'<p class="sentence">{shown}</p>' in page


def test_cases_are_told_with_their_measures_and_facts(tmp_path):
    sample = make_sample("0")
    record = dataclasses.replace(Record.of(sample, make_prediction()), metrics=SampleMetrics(0.25, 0.125, 0.5))
    page = page_of(tmp_path, {"0": sample}, [record], count=1, shown=2)
    assert "<b>0.125</b> vIoU</span><span><b>0.250</b> tIoU</span><span><b>0.500</b> gt_vIoU<" in page
    assert page.count("<image ") == 2
    means = re.findall(r'aria-label="histogram of samples by (\w+), mean ([\d.]+)"', page)
    assert means == [("tIoU", "0.250"), ("vIoU", "0.125"), ("gt_vIoU", "0.500")]
    # The tables of the evaluation come before that of lengths, and both before the cases.
    parts = ("By length", "histogram of samples by tIoU", "In the pictures below", "Best")
    assert sorted(parts, key=page.index) == list(parts)


def test_cases_alike_in_vision_are_ranked_by_time_then_boxes_then_id():
    measures = {"a": (0.5, 0.4, 0.1), "b": (0.5, 0.4, 0.2), "c": (0.5, 0.6, 0.0), "10": (0, 0, 0), "9": (0, 0, 0)}
    records = [
        dataclasses.replace(record_of(5), id=id, metrics=SampleMetrics(tiou, viou, gt_viou))
        for id, (viou, tiou, gt_viou) in measures.items()
    ]
    cases = choose_cases(records, 1)
    assert {name: [r.id for r in group] for name, group in cases.items()} == {
        "best": ["c"],
        "median": ["a"],
        "worst": ["10"],
    }


def test_frames_are_spread_from_the_first_start_to_the_last_end():
    """Four of frames 10 to 49: in the middles of quarters, at 14.5, 24.5, 34.5 and 44.5, and the first of equals."""
    record = Record.of(make_sample("0", (10, 20)), make_prediction((40, 50)))
    assert choose_frames(record, 4) == [14, 24, 34, 44]
    assert choose_frames(Record.of(make_sample("0", (40, 50)), make_prediction((10, 20))), 4) == [14, 24, 34, 44]
    assert choose_frames(Record.of(make_sample("0", (3, 8)), make_prediction((3, 8))), 1) == [5]
