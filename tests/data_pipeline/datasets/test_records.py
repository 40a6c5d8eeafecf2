"""The records of the datasets, and that they are all there is to know of one."""

import argparse
import ast
import dataclasses
from pathlib import Path

import pytest

from stvg_jax.commands import add_options, options_of
from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import VideoText
from stvg_jax.data_pipeline.datasets.dataset import MEASURES
from stvg_jax.data_pipeline.datasets.registry import (
    MODULES,
    all_datasets,
    benchmarks,
    get_benchmark,
    get_dataset,
)
from stvg_jax.data_pipeline.frame_rules import FRAME_RULES
from stvg_jax.data_pipeline.language.text import TEXT_RULES
from stvg_jax.data_pipeline.shards import POLICIES
from stvg_jax.grounding.inputs import DataConfig

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", MODULES)
def test_records_are_complete(name):
    dataset = get_dataset(name)
    assert dataset.name == name
    assert all("{split}" in layout for layout in dataset.layouts)
    assert dataset.stored_frames in POLICIES
    assert dataset.rules is None or (dataset.rules in FRAME_RULES and dataset.rules in TEXT_RULES)


def test_an_unknown_dataset_is_refused_with_those_that_are_known():
    for name in ("ava", ["hcstvg"], None):
        with pytest.raises(InputError, match=r"unknown dataset .*; choose one of hcstvg, vidstg, json"):
            get_dataset(name)


def test_every_option_has_a_flag_and_a_key_of_the_configuration():
    names = {name for dataset in all_datasets() for name in dataset.options}
    parser = argparse.ArgumentParser()
    add_options(parser)
    assert set(options_of(parser.parse_args([]))) == names
    assert names <= {field.name for field in dataclasses.fields(DataConfig)}


def test_published_results_are_complete():
    for name, benchmark in benchmarks().items():
        if benchmark.measures != MEASURES:
            continue
        assert {"CG-STVG", "TA-STVG"} <= {result.method for result in benchmark.results}
        for result in benchmark.results:
            assert result.source
            assert set(result.percent) == set(benchmark.samples), name
            for values in result.percent.values():
                assert len(values) == len(benchmark.measures)
                assert all(value is None or 5 < value < 70 for value in values)
                viou, at_3, at_5 = values[1:]
                assert at_5 < viou < at_3


def test_benchmarks_by_name():
    grounding = {name: found for name, found in benchmarks().items() if found.measures == MEASURES}
    assert {name: dict(found.samples) for name, found in grounding.items()} == {
        "hcstvg1": {"declarative": 1160},
        "hcstvg2": {"declarative": 2000},
        "vidstg": {"declarative": 4610, "interrogative": 5693},
    }
    assert get_benchmark("none") is None
    with pytest.raises(InputError, match="unknown benchmark 'ava'; choose one of hcstvg1, hcstvg2, vidstg, .*, none"):
        get_benchmark("ava")


@pytest.mark.parametrize(
    ("dataset", "samples", "expected"),
    [("hcstvg", 1160, "hcstvg1"), ("hcstvg", 1159, "hcstvg1"), ("hcstvg", 2000, "hcstvg2"), ("hcstvg", 1700, None),
     ("hcstvg", 10303, None), ("vidstg", 10303, "vidstg"), ("vidstg", 1160, None), ("json", 1160, None)],
)  # fmt: skip
def test_benchmarks_are_told_by_size(dataset, samples, expected):
    assert get_dataset(dataset).find_benchmark(samples) == expected


@pytest.mark.parametrize(("dataset", "frames"), [("hcstvg", 19), ("vidstg", 20), ("json", 20)])
def test_frames_that_a_video_must_have(dataset, frames):
    """By the frame rule: that of HC-STVG never takes the last one."""
    sample = VideoText(id="0", video="a.mp4", sentence="a man", clip=(0, 20))
    assert get_dataset(dataset).frames_needed(sample) == frames
    assert get_dataset(dataset).frames_needed(dataclasses.replace(sample, clip=None)) == 1


def test_nothing_else_compares_a_name_with_that_of_a_dataset():
    found = []
    for package in ("stvg_jax", "data_pipeline", "convert", "configs", "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                compared = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
                values = [value for part in compared for value in ast.walk(part) if isinstance(value, ast.Constant)]
                found += [f"{path}:{node.lineno}" for value in values if value.value in MODULES]
    assert not found
