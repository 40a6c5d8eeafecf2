"""TubeDETR against what the released PyTorch system computes, through the converter, in float32."""

from __future__ import annotations

import json
from typing import Any

import jax
import numpy as np
import pytest

from stvg_jax.convert.formats import known_formats
from stvg_jax.core.registry import default_config
from stvg_jax.grounding.tubedetr import TubeDETRLossConfig
from stvg_jax.grounding.types import GroundingOutput
from tests import released
from tests.grounding import cases
from tests.grounding.batches import padded
from tests.released import GOLDENS, is_computed, manifest, state_dict, weight

# The noise of float32 against float64 is 3e-6 on these outputs.
TOLERANCE = 2e-5
# Relative to the stage's largest value.
STAGE_TOLERANCE = 1e-5
EVALUATED = "tubedetr_eval_k2_t8_96x128"
LOSSES = "tubedetr_losses_k2_t12_96x160"
OTHERS = [
    "tubedetr_eval_k4_t21_160x224",
    "tubedetr_eval_k5_t13_96x128",
    "tubedetr_eval_k1_t7_128x96",
    "tubedetr_eval_k3_slow_t10_96x128",
    "tubedetr_eval_k0_slow_t6_96x96",
    "tubedetr_eval_gating_k2_t9_64x96",
    "tubedetr_eval_pool_k2_t9_64x96",
    "tubedetr_eval_transformer_k2_t9_64x96",
    "tubedetr_eval_noslow_k2_t9_64x96",
    "tubedetr_eval_ablated_k2_t9_64x96",
    "tubedetr_eval_learned_time_k2_t9_64x96",
]


def settings(meta: dict[str, Any]) -> dict[str, Any]:
    """A case's switches, as this library has them."""
    time = "none" if meta["no_time_embed"] else "learned" if meta["learn_time_embed"] else "sine"
    return {
        # The release without any stride is that of one without a fast branch.
        "stride": meta["stride"] or 1,
        "fast": (meta["fast_mode"] or "residual") if meta["fast"] else "off",
        "along_time": not meta["no_tsa"],
        "time": time,
    }


def parameters_of(meta: dict[str, Any]) -> dict[str, np.ndarray]:
    """The stand-in for a released checkpoint with a case's switches, through the converter."""
    tensors, difference = state_dict("tubedetr"), meta.get("state_dict_difference", {"+": {}, "-": []})
    if not meta["fast"]:
        difference["-"] += [name for name in tensors if name.startswith("transformer.fast_")]
    tensors = {name: value for name, value in tensors.items() if name not in difference["-"]}
    for name, shape in difference["+"].items():
        tensors[name] = np.zeros(shape, np.float32) if is_computed(name) else weight(name, tuple(shape))
    config = {"name": "tubedetr", "model": default_config("tubedetr") | settings(meta)}
    return released.converted(tensors, "tubedetr", config)


def forward(model, batch):
    """(stages, output, weights of reading) of one program."""
    parts = cases.keep_results(model, "resnet", "roberta", "text_projection", "encoder", "decoder", "encode")
    output = model.predict_to_train(batch, None, rngs=None)
    reading, memory = parts.pop("decoder")[2], parts.pop("encode").tokens
    return parts | {"memory": memory}, output, reading


def run(parameters, meta, call, *args):
    return jax.device_get(cases.run(parameters, call, *args, system="tubedetr", **settings(meta)))


def differences(
    output: GroundingOutput, expected: dict[str, np.ndarray], row: int = 0, reading=None
) -> dict[str, float]:
    """Largest absolute difference of every output, each decoder layer apart; frames beyond the golden are padding."""
    t, layers = len(expected["pred_boxes"]), len(output.boxes_cxcywh)
    pairs = {}
    for k in range(layers):
        name = "" if k == layers - 1 else f"aux{k}."
        pairs[f"boxes/{k}"] = (output.boxes_cxcywh[k, row, :t], expected[f"{name}pred_boxes"])
        pairs[f"start_end/{k}"] = (output.start_end_logits[k, row, :t], expected[f"{name}pred_sted"][0])
        if "weights" in expected:
            pairs[f"attention/{k}"] = (output.attention[k, row, :t, :t], expected[f"{name}weights"][0])
        if "ca_weights" in expected and reading is not None:
            pairs[f"reading/{k}"] = (reading[k, row], expected[f"{name}ca_weights"][:, 0])
    for name, (ours, theirs) in pairs.items():
        assert ours.shape == theirs.shape, name
    return {name: float(np.abs(ours - theirs).max()) for name, (ours, theirs) in pairs.items()}


def assert_close(found: dict[str, float]) -> None:
    assert max(found.values()) <= TOLERANCE, found


@pytest.fixture(scope="module")
def evaluated():
    """(stages, output, weights of reading) of the case that has stages."""
    case = cases.load(EVALUATED)
    return run(parameters_of(case.meta), case.meta, forward, case.batch)


def test_stages(evaluated):
    case, (parts, _, _) = cases.load(EVALUATED), evaluated
    stages = {
        "feat.resnet": parts["resnet"].transpose(0, 3, 1, 2),
        "feat.roberta": parts["roberta"],
        "feat.text": parts["text_projection"],
        "feat.encoded": parts["encoder"][0].transpose(1, 0, 2),
        "feat.memory": parts["memory"][0].transpose(1, 0, 2),
    }
    for name, ours in stages.items():
        expected = case.golden[name]
        assert ours.shape == expected.shape
        assert np.abs(ours - expected).max() <= STAGE_TOLERANCE * np.abs(expected).max(), name


def test_evaluation(evaluated):
    _, output, reading = evaluated
    assert_close(differences(output, cases.load(EVALUATED).golden, reading=reading))


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_evaluation_with_other_strides_and_switches(name):
    case = cases.load(name)
    _, output, reading = run(parameters_of(case.meta), case.meta, forward, case.batch)
    assert_close(differences(output, case.golden, reading=reading))
    assert (output.attention is None) == case.meta["no_tsa"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "bucket"),
    [
        # The last slow frame of the video is followed by a slow frame of padding.
        (["tubedetr_eval_k5_t13_96x128"], (23, 128, 192, 16)),
        (["tubedetr_eval_k2_t8_96x128", LOSSES], (15, 128, 192, 16)),
        # Of the fast branches, those that look along time or over all places.
        (["tubedetr_eval_transformer_k2_t9_64x96"], (12, 96, 128, 12)),
        (["tubedetr_eval_pool_k2_t9_64x96"], (12, 96, 128, 12)),
        (["tubedetr_eval_k3_slow_t10_96x128"], (14, 128, 160, 12)),
    ],
)
def test_padding_changes_nothing(names, bucket):
    """Golden cases in a bucket larger than themselves, alone or beside a video of another length and size."""
    loaded = [cases.load(name) for name in names]
    meta = loaded[0].meta
    _, output, _ = run(parameters_of(meta), meta, forward, padded([case.batch for case in loaded], *bucket))
    for i, case in enumerate(loaded):
        assert_close(differences(output, case.golden, row=i))


def test_every_term_of_the_loss_from_the_released_outputs():
    case = cases.load(LOSSES)
    output = GroundingOutput(
        boxes_cxcywh=cases.layers(case, "pred_boxes")[:, None],
        start_end_logits=cases.layers(case, "pred_sted"),
        actioness_logits=np.zeros((6, 1, case.meta["T"]), np.float32),
        attention=cases.layers(case, "weights"),
    )
    cases.assert_losses(output, case, TubeDETRLossConfig(), 1e-6)


@pytest.mark.slow
def test_training_forward_and_losses():
    case = cases.load(LOSSES)
    _, output, reading = run(parameters_of(case.meta), case.meta, forward, case.batch)
    assert_close(differences(output, case.golden, reading=reading))
    cases.assert_losses(output, case, TubeDETRLossConfig(), 1e-5)


def test_dropped_tensors_are_those_that_never_act():
    """The converter drops computed tables and just those tensors that received no gradient in the released system."""
    unused = json.loads((GOLDENS / "tubedetr_unused_parameters.json").read_text())["without_gradient"]
    fmt = known_formats()["tubedetr"]
    dropped = {name for name in manifest("tubedetr") if fmt.reason_to_drop(name)}
    assert {name for name in dropped if not is_computed(name)} == set(unused)
