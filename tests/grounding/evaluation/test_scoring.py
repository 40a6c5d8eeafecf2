"""Predictions against annotations: what must fit, what the figures say, how they are shown."""

import json

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.datasets.dataset import MEASURES
from stvg_jax.data_pipeline.datasets.registry import get_benchmark
from stvg_jax.eval.records import RecordWriter, write_records
from stvg_jax.grounding.evaluation.metrics import Summary
from stvg_jax.grounding.evaluation.reading import Problems
from stvg_jax.grounding.evaluation.result_files import Results, write_results
from stvg_jax.grounding.evaluation.scoring import read_predictions, score_results, write_metrics
from stvg_jax.grounding.evaluation.table import CONVENTION, given_interval_table, results_table
from tests.grounding.evaluation.cases import make_prediction, make_sample, make_set


def results(predictions, kinds=None, broken=()):
    return Results(predictions, kinds or {}, Problems(), frozenset(broken))


SAMPLES = [make_sample("1"), make_sample("2"), make_sample("3", kind="interrogative")]
ALL = {"1": make_prediction((10, 20)), "2": make_prediction((40, 50)), "3": make_prediction((10, 20))}


def test_means_apart_by_kind():
    score = score_results(results(ALL), SAMPLES)
    assert list(score.metrics) == ["1", "2", "3"]
    assert score.groups["declarative"].samples == 2
    assert score.groups["declarative"].measures["m_vIoU"] == pytest.approx(0.45)
    assert score.groups["declarative"].measures["vIoU@0.5"] == 0.5
    assert score.groups["interrogative"].measures["m_vIoU"] == pytest.approx(0.9)
    assert score.notes == ()


def test_what_does_not_fit_is_told_at_once():
    predictions = {"1": ALL["1"], "77": ALL["1"], "x": ALL["1"], "3": ALL["3"]}
    with pytest.raises(InputError) as caught:
        score_results(results(predictions, {"3": "declarative"}), SAMPLES, what="a.json cannot be scored")
    assert str(caught.value).splitlines() == [
        "a.json cannot be scored:",
        "  samples that the annotations do not have (2): 77, x",
        "  no prediction (--missing zero or --missing skip go on without) (1): 2",
        "  another kind of sentence than in the annotations; ids may be of another file (1): 3",
    ]


def test_a_broken_prediction_is_not_called_missing_too():
    broken = results({"1": ALL["1"], "3": ALL["3"]}, broken={"2"})
    broken.problems.add("boxes that are not finite", "2")
    with pytest.raises(InputError) as caught:
        score_results(broken, SAMPLES)
    assert "no prediction" not in str(caught.value)


@pytest.mark.parametrize(
    ("missing", "mean", "samples", "how"),
    [("zero", 0.45, 2, "count as 0"), ("skip", 0.9, 1, "are left out of the means")],
)
def test_missing_predictions(missing, mean, samples, how):
    score = score_results(results({"1": ALL["1"], "3": ALL["3"]}), SAMPLES, missing=missing)
    assert score.groups["declarative"].measures["m_vIoU"] == pytest.approx(mean)
    assert score.groups["declarative"].samples == samples
    assert score.notes == (f"1 of 3 samples have no prediction and {how}.",)


def test_no_predictions_at_all():
    with pytest.raises(InputError, match="no prediction for any sample"):
        score_results(results({}), SAMPLES, missing="skip")


def test_predictions_for_entries_that_nobody_can_use_are_passed_over():
    score = score_results(results(ALL | {"9": ALL["1"]}), SAMPLES, excluded={"9"})
    assert list(score.metrics) == ["1", "2", "3"]
    assert score.notes == ("Entries of the annotations that are left out: 1.",)


def test_frames_without_boxes_are_told():
    score = score_results(results(ALL | {"1": make_prediction((10, 20), frames=range(12, 60))}), SAMPLES)
    assert score.notes == ("2 of 30 true frames have no predicted box and count as 0.",)


def test_records_and_result_files_score_alike(tmp_path):
    samples, records = make_set(5)
    write_results(tmp_path / "a.json", records, samples, apart=True)
    write_records(tmp_path / "b.jsonl", records)
    with RecordWriter(tmp_path / "c", {"checkpoint": "a"}) as writer:
        writer.append(records)
    for name in ("a.json", "b.jsonl", "c"):
        score = score_results(read_predictions(tmp_path / name), list(samples.values()))
        for record in records:
            assert score.metrics[record.id].viou == pytest.approx(record.metrics.viou, abs=1e-7)


@pytest.mark.parametrize(("name", "message"), [("a.json", "do not exist"), ("", "has no records")])
def test_nothing_to_read(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        read_predictions(tmp_path / name)


def test_metrics_file(tmp_path):
    score = score_results(results(ALL), SAMPLES)
    write_metrics(tmp_path / "metrics.json", score, dataset="vidstg")
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["schema"] == "stvg_jax.metrics/1"
    assert content["dataset"] == "vidstg"
    assert content["results"]["declarative"] == {"samples": 2} | score.groups["declarative"].measures
    assert list(content["results"]) == ["declarative", "interrogative"]


def summary(samples, value):
    names = (*MEASURES, "gt_m_vIoU", "gt_vIoU@0.3", "gt_vIoU@0.5")
    return Summary(samples, {name: value + k / 100 for k, name in enumerate(names)})


def test_table_in_the_papers_layout():
    groups = {"declarative": summary(4610, 0.5), "interrogative": summary(5693, 0.25)}
    assert results_table(groups, "vidstg", "this run").text().splitlines() == [
        "VidSTG, test",
        "                      Declarative                         Interrogative",
        "                      m_tIoU  m_vIoU  vIoU@0.3  vIoU@0.5  m_tIoU  m_vIoU  vIoU@0.3  vIoU@0.5",
        "--------------------------------------------------------------------------------------------",
        "TubeDETR (CVPR 2022)    48.1    30.4      42.5      28.2    46.9    25.7      35.7      23.2",
        "STCAT (NeurIPS 2022)    50.8    33.1      46.2      32.6    49.7    28.2      39.2      26.6",
        "CSDVL (CVPR 2023)          -    33.7      47.2      32.8       -    28.5      39.9      26.2",
        "CG-STVG (CVPR 2024)     51.4    34.0      47.7      33.1    49.9    29.0      40.5      27.5",
        "TA-STVG (ICLR 2025)     51.7    34.4      48.2      33.5    50.2    29.5      41.5      28.0",
        "--------------------------------------------------------------------------------------------",
        "this run                50.0    51.0      52.0      53.0    25.0    26.0      27.0      28.0",
        "tIoU and vIoU are the published measures, which leave out the truth's last frame: an exact answer of n frames "
        "has (n - 1) / n.",
    ]
    assert given_interval_table(groups).text().splitlines()[-2:] == [
        "declarative      4,610    54.0      55.0      56.0",
        "interrogative    5,693    29.0      30.0      31.0",
    ]


def test_table_of_one_kind_and_markdown():
    table = results_table({"declarative": summary(1158, 0.5)}, "hcstvg1", "mine | best")
    assert table.notes == ("Declarative: 1,158 of the benchmark's 1,160 samples.", CONVENTION)
    lines = table.markdown().splitlines()
    assert lines[2] == "|  | m_tIoU | m_vIoU | vIoU@0.3 | vIoU@0.5 |"
    assert lines[-5] == r"| **mine \| best** | **50.0** | **51.0** | **52.0** | **53.0** |"


def test_table_of_a_dataset_without_published_figures():
    table = results_table({"declarative": summary(7, 0.5)}, None, "mine", "my dataset")
    assert table.title == "my dataset"
    assert len(table.rows) == 1


def test_half_of_a_benchmark():
    """VidSTG with declarative sentences only."""
    table = results_table({"declarative": summary(4610, 0.5)}, "vidstg", "mine")
    assert table.rows[-1][5:] == ("-",) * 4
    assert table.notes == ("Interrogative: 0 of the benchmark's 5,693 samples.", CONVENTION)


@pytest.mark.parametrize(
    ("benchmark", "expected"),
    [
        (
            "hcstvg1",
            [
                "HC-STVG v1, test",
                "                      m_tIoU  m_vIoU  vIoU@0.3  vIoU@0.5",
                "--------------------------------------------------------",
                "TubeDETR (CVPR 2022)    43.7    32.4      49.8      23.5",
                "STCAT (NeurIPS 2022)    49.4    35.1      57.7      30.1",
                "CSDVL (CVPR 2023)          -    36.9      62.2      34.8",
                "CG-STVG (CVPR 2024)     52.8    38.4      61.5      36.3",
                "TA-STVG (ICLR 2025)     53.0    39.1      63.1      36.8",
                "--------------------------------------------------------",
            ],
        ),
        (
            "hcstvg2",
            [
                "HC-STVG v2, validation (its test annotations are not public)",
                "                      m_tIoU  m_vIoU  vIoU@0.3  vIoU@0.5",
                "--------------------------------------------------------",
                "TubeDETR (CVPR 2022)       -    36.4      58.8      30.6",
                "CSDVL (CVPR 2023)       58.1    38.7      65.5      33.8",
                "CG-STVG (CVPR 2024)     60.0    39.5      64.5      36.3",
                "TA-STVG (ICLR 2025)     60.4    40.2      65.8      36.7",
                "--------------------------------------------------------",
            ],
        ),
    ],
)
def test_published_figures_of_hcstvg(benchmark, expected):
    groups = {"declarative": summary(get_benchmark(benchmark).samples["declarative"], 0.5)}
    table = results_table(groups, benchmark, "mine")
    assert table.text().splitlines()[:-2] == expected
    assert table.notes == (CONVENTION,)
