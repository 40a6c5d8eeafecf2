"""TA-STVG against what the released PyTorch system computes, through the converter, in float32."""

from __future__ import annotations

import dataclasses
import json
import re

import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.convert.formats.ta_stvg import FORMAT
from tests import released
from tests.grounding import cases
from tests.grounding.batches import padded
from tests.released import GOLDENS, is_computed, manifest

# The noise of float32 against float64 is 3e-6 on these outputs.
TOLERANCE = 2e-5
# Relative to the stage's largest value.
STAGE_TOLERANCE = 1e-5


EVALUATED = "tastvg_eval_t8_96x128"
SELECTIVE = "tastvg_eval_selective_t16_96x128"


@pytest.fixture(scope="module")
def released_parameters():
    return released.parameters("tastvg", "ta_stvg")


@pytest.fixture(scope="module")
def evaluated(released_parameters):
    """(output, output without the second pass, results of parts) of one program: in its first row the case that has
    stages, in its second the selective case. The offsets of the latter are of biases after the stages."""
    loaded = [cases.load(name) for name in (EVALUATED, SELECTIVE)]

    def forward(model, batch):
        parts = cases.keep_results(model, "resnet", "swin", "roberta", "encoder")
        decode, boxes = model._decode, []

        def keep_boxes(*args, **options):
            states, found = decode(*args, **options)
            boxes.append(found)
            return states, found

        model._decode = keep_boxes
        output = model(batch)
        encoded = parts.pop("encoder")
        parts["tokens"] = jnp.concatenate([encoded.appearance, encoded.text, encoded.motion], axis=2)
        return output, dataclasses.replace(output, boxes_cxcywh=boxes[0]), parts

    batch = padded([case.batch for case in loaded], 16, 96, 128, max(len(case.ids) for case in loaded))
    return cases.run(cases.with_offsets(released_parameters, loaded[1].meta), forward, batch)


def test_stages(evaluated):
    case, (_, _, parts) = cases.load(EVALUATED), evaluated
    t, words = len(case.frames), len(case.ids)
    cells = case.golden["feat.resnet"].shape[2] * case.golden["feat.resnet"].shape[3]
    tokens = parts["tokens"][0, :t]
    text = tokens[:, cells : cells + words]
    stages = {
        "feat.resnet": parts["resnet"][:t].transpose(0, 3, 1, 2),
        "feat.vidswin": parts["swin"][0, :t].transpose(0, 3, 1, 2),
        "feat.roberta": parts["roberta"][:1, :words],
        "feat.encoded": jnp.concatenate([tokens[:, :cells], text, tokens[:, -cells:]], axis=1).transpose(1, 0, 2),
    }
    for name, ours in stages.items():
        golden = case.golden[name]
        assert ours.shape == golden.shape
        assert np.abs(ours - golden).max() <= STAGE_TOLERANCE * np.abs(golden).max(), name


@pytest.mark.slow
def test_evaluation(released_parameters):
    """Among the quick tests is that of the selective case, in which the thresholds split the frames."""
    case = cases.load(EVALUATED)
    output = cases.run(released_parameters, lambda model, batch: model(batch), case.batch)
    differences = cases.differences(output, case.golden)
    assert max(differences.values()) <= TOLERANCE, differences


def test_evaluation_of_the_selective_case(evaluated):
    output, _, _ = evaluated
    differences = cases.differences(output, cases.load(SELECTIVE).golden, row=1)
    assert max(differences.values()) <= TOLERANCE, differences


def test_selective_case_depends_on_both_selections(evaluated):
    """Guards the selective golden itself: without its second pass, or with another theta, it would not be met."""
    case, (_, without, _) = cases.load(SELECTIVE), evaluated
    assert max(cases.differences(without, case.golden, row=1).values()) > 10 * TOLERANCE
    chosen = case.golden["att_sequences"][0] > 0.7
    assert 0 < chosen.sum() < len(chosen)


@pytest.mark.slow
def test_training_forward(released_parameters):
    """Among the quick tests are both passes of the selective case, and the numbers of one (`test_ta_decoding.py`)."""
    case = cases.load("tastvg_losses_t12_96x160")
    output = cases.run(released_parameters, lambda model, batch: model(batch, second_pass=False), case.batch)
    differences = cases.differences(output, case.golden)
    assert max(differences.values()) <= TOLERANCE, differences


@pytest.mark.parametrize(
    ("names", "second_pass", "bucket"),
    [
        # Among the quick tests are those of a tiny model (`test_ta_stvg.py`).
        pytest.param([SELECTIVE], True, (19, 120, 140, 12), marks=pytest.mark.slow),
        pytest.param([EVALUATED, "tastvg_eval_t20_160x224"], True, (24, 192, 256, 20), marks=pytest.mark.slow),
        pytest.param(["tastvg_losses_t12_96x160"], False, (16, 128, 192, 24), marks=pytest.mark.slow),
    ],
)
def test_padding_changes_nothing(released_parameters, names, second_pass, bucket):
    """Every golden case in a bucket larger than itself, alone or beside a video of another length and size, equals the
    released system on that case alone and unpadded."""
    loaded = [cases.load(name) for name in names]
    parameters = cases.with_offsets(released_parameters, loaded[0].meta)
    batch = padded([case.batch for case in loaded], *bucket)
    output = cases.run(parameters, lambda model, batch: model(batch, second_pass=second_pass), batch)
    for i, case in enumerate(loaded):
        differences = cases.differences(output, case.golden, row=i)
        assert max(differences.values()) <= TOLERANCE, differences


@pytest.mark.slow
@pytest.mark.parametrize("name", [EVALUATED, SELECTIVE])
def test_bfloat16(released_parameters, name):
    """Bounds for bfloat16 computation with float32 parameters: twice what was measured over all four golden cases
    (boxes 0.0078, sampling score 0.0035, logits 0.061; no selection flips)."""
    case = cases.load(name)
    parameters = cases.with_offsets(released_parameters, case.meta)
    output = cases.run(parameters, lambda model, batch: model(batch), case.batch, dtype=jnp.bfloat16)
    differences = cases.differences(output, case.golden)
    boxes = max(v for k, v in differences.items() if k.startswith("boxes"))
    logits = max(v for k, v in differences.items() if not k.startswith("boxes"))
    assert boxes <= 0.016, differences
    assert differences["sampling/score"] <= 0.007, differences
    assert logits <= 0.12, differences


def test_dropped_tensors_are_those_that_never_act():
    """Parameters that the converter drops, apart from computed tables, had no gradient in the released system."""
    unused = set(json.loads((GOLDENS / "tastvg_unused_parameters.json").read_text()))
    dropped = {n for n in manifest() if any(re.fullmatch(pattern, n) for pattern, _ in FORMAT.dropped)}
    assert {name for name in dropped if not is_computed(name)} == unused
