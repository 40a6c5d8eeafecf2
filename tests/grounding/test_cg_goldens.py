"""CG-STVG against what the released PyTorch system computes, through the converter, in float32."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from stvg_jax.grounding.cg_stvg import CGSTVGLossConfig
from stvg_jax.grounding.instance_context import ContextConfig
from stvg_jax.grounding.types import GroundingOutput
from tests import released
from tests.grounding import cases
from tests.grounding.batches import padded
from tests.released import GOLDENS, is_computed, manifest
from tests.train import golden

TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def released_parameters():
    return released.parameters("cgstvg", "cg_stvg")


def run(parameters, call, *args, **context):
    changes = {"context": dataclasses.asdict(ContextConfig(**context))}
    return cases.run(parameters, call, *args, system="cg_stvg", **changes)


def assert_close(differences):
    assert max(differences.values()) <= TOLERANCE, differences


def test_every_term_of_the_loss_from_the_released_outputs():
    case = cases.load("cgstvg_losses_t12_96x160")
    output = GroundingOutput(
        boxes_cxcywh=cases.layers(case, "pred_boxes")[:, None],
        start_end_logits=cases.layers(case, "pred_sted"),
        actioness_logits=cases.layers(case, "pred_actioness")[..., 0],
        confidences=cases.layers(case, "boxes_conf")[:, None],
    )
    cases.assert_losses(output, case, CGSTVGLossConfig(), 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cgstvg_eval_t8_96x128", "cgstvg_eval_selective_t16_96x128"])
def test_evaluation(released_parameters, name):
    case = cases.load(name)
    parameters = cases.with_offsets(released_parameters, case.meta)
    assert_close(cases.differences(run(parameters, lambda model, batch: model(batch), case.batch), case.golden))


@pytest.mark.slow
def test_training_forward_and_losses(released_parameters):
    case = cases.load("cgstvg_losses_t12_96x160")
    targets = golden.targets(case.meta, case.golden["target_boxes"])

    def forward(model, batch, targets):
        return model.predict_to_train(batch, targets.true_tube, rngs=None)

    output = run(released_parameters, forward, case.batch, targets)
    assert_close(cases.differences(output, case.golden))
    cases.assert_losses(output, case, CGSTVGLossConfig(), TOLERANCE)


@pytest.mark.slow
def test_frames_that_the_truth_chooses(released_parameters):
    """At the released threshold the truth chooses no frame of the case above. At a lower one it chooses 2 or 3 in each
    layer but one; these numbers are the released decoder's, on the encoder's output of this library."""
    case = cases.load("cgstvg_losses_t12_96x160")
    with np.load(GOLDENS / "cgstvg_truth_t12_96x160.npz") as file:
        chosen = {name: file[name] for name in file.files}
    tube = golden.targets(case.meta, case.golden["target_boxes"]).true_tube

    def forward(model, batch, tube):
        return model.predict_to_train(batch, tube, rngs=None)

    threshold = float(chosen["truth_threshold"])
    output = run(released_parameters, forward, case.batch, tube, truth_threshold=threshold).row(0)
    for name in ("boxes_cxcywh", "confidences"):
        np.testing.assert_allclose(getattr(output, name), chosen[name], rtol=0, atol=TOLERANCE, err_msg=name)
    assert np.abs(output.boxes_cxcywh[-1] - case.golden["pred_boxes"]).max() > 1000 * TOLERANCE


@pytest.mark.slow
def test_the_selective_case_depends_on_both_thresholds(released_parameters):
    """Guards the golden itself: with another selection it would not be met."""
    case = cases.load("cgstvg_eval_selective_t16_96x128")
    parameters = cases.with_offsets(released_parameters, case.meta)
    for refine in ("none", "temporal", "spatial"):
        output = run(parameters, lambda model, batch: model(batch), case.batch, refine="both", **_loosened(refine))
        differences = cases.differences(output, case.golden)
        assert max(v for k, v in differences.items() if k.startswith("boxes")) > 10 * TOLERANCE, refine


def _loosened(refine: str) -> dict[str, float]:
    """Thresholds of which only those of this refinement stop anything."""
    thresholds = {"temporal": "temporal_threshold", "spatial": "spatial_threshold"}
    return {name: -100.0 for kind, name in thresholds.items() if kind != refine}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "bucket"),
    [
        (["cgstvg_eval_selective_t16_96x128"], (19, 120, 170, 12)),
        (["cgstvg_eval_t8_96x128", "cgstvg_eval_t8_96x128"], (11, 128, 192, 16)),
    ],
)
def test_padding_changes_nothing(released_parameters, names, bucket):
    loaded = [cases.load(name) for name in names]
    parameters = cases.with_offsets(released_parameters, loaded[0].meta)
    output = run(parameters, lambda model, batch: model(batch), padded([case.batch for case in loaded], *bucket))
    for i, case in enumerate(loaded):
        assert_close(cases.differences(output, case.golden, row=i))


def test_dropped_tensors_are_those_that_never_act():
    from stvg_jax.convert.formats.cg_stvg import FORMAT

    unused = set(json.loads((GOLDENS / "cgstvg_unused_parameters.json").read_text()))
    dropped = {n for n in manifest("cgstvg") if any(re.fullmatch(pattern, n) for pattern, _ in FORMAT.dropped)}
    assert {name for name in dropped if not is_computed(name)} == unused
