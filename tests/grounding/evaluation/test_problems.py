"""Messages about problems of predictions, and the file with all of them."""

from pathlib import Path
from typing import Any

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.eval.config import EvalConfig
from stvg_jax.grounding.base import AppearanceConfig
from stvg_jax.grounding.cg_stvg import CGSTVGConfig
from stvg_jax.grounding.evaluation.evaluator import GroundingEvaluator
from stvg_jax.grounding.evaluation.reading import Problems
from stvg_jax.grounding.protocol import TWO_PASSES
from stvg_jax.grounding.stcat import STCATConfig
from stvg_jax.grounding.ta_stvg import TASTVGConfig
from stvg_jax.grounding.tubedetr import TubeDETRConfig


def told(counts: dict[str, int]) -> list[str]:
    problems = Problems()
    for rule, count in counts.items():
        for k in range(count):
            problems.add(rule, f"{k}")
    with pytest.raises(InputError) as caught:
        problems.raise_all("a.json is wrong")
    return str(caught.value).splitlines()


def test_twelve_cases_of_a_rule_are_told():
    twelve = ", ".join(map(str, range(12)))
    assert told({"late": 12}) == ["a.json is wrong:", f"  late (12): {twelve}"]


def test_more_are_in_a_file_with_all_of_them():
    twelve = ", ".join(map(str, range(12)))
    first, late, early, file = told({"late": 1014, "early": 1})
    assert (first, early) == ("a.json is wrong:", "  early (1): 0")
    assert late == f"  late (1,014): {twelve}, and 1,002 more"
    path = Path(file.removeprefix("all of them: "))
    every = ", ".join(map(str, range(1014)))
    assert path.read_text().splitlines() == [first, f"  late (1,014): {every}", early]
    path.unlink()


def test_nothing_wrong():
    Problems().raise_all("a.json is wrong")


def check(model: AppearanceConfig | None = None, **settings: Any) -> None:
    GroundingEvaluator(TWO_PASSES).check(EvalConfig(**settings), model or TASTVGConfig())


def test_settings_of_an_evaluation():
    config = EvalConfig()
    assert (config.split, config.samples_per_device, config.dtype) == ("test", 1, "float32")
    assert (config.pictures, config.benchmark) == (3, "none")
    assert EvalConfig(pictures=0).pictures == 0
    for benchmark in ("hcstvg1", "hcstvg2", "vidstg", "none"):
        check(benchmark=benchmark)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"samples_per_device": 0}, "samples_per_device=0 must be at least 1"),
        ({"pictures": -1}, "pictures=-1 must be at least 0"),
    ],
)
def test_settings_that_make_no_sense(setting, message):
    with pytest.raises(ValueError, match=message):
        EvalConfig(**setting)


def test_a_benchmark_that_nobody_knows():
    with pytest.raises(InputError, match="unknown benchmark 'hcstvg'; choose one of hcstvg1, hcstvg2, vidstg, "):
        check(benchmark="hcstvg")


def test_subjects_that_no_model_or_this_model_does_not_read():
    for subject in ("annotated", "found", "wrong", "none"):
        check(subject=subject)
    check(TubeDETRConfig())
    check(CGSTVGConfig(subject=True), subject="none")
    with pytest.raises(
        InputError, match=r"config\.eval\.subject: unknown subject rule 'mine'; choose one of annotated, "
    ):
        check(subject="mine")
    for model in (TubeDETRConfig(), STCATConfig(), CGSTVGConfig()):
        with pytest.raises(InputError, match="config.eval.subject is 'none', but this model reads the sentence alone"):
            check(model, subject="none")
