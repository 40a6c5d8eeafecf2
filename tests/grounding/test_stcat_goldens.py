"""STCAT against what the released PyTorch system computes, through the converter, in float32."""

from __future__ import annotations

import json
import re

import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.grounding.stcat import STCATLossConfig
from stvg_jax.grounding.types import GroundingOutput
from tests import released
from tests.grounding import cases
from tests.grounding.batches import padded
from tests.released import GOLDENS, is_computed, manifest
from tests.train import golden

# The noise of float32 against float64 is 2e-6 on these outputs.
TOLERANCE = 2e-5
# Relative to the stage's largest value.
STAGE_TOLERANCE = 1e-5

EVALUATED = "stcat_eval_t8_96x128"
CLAMPED = "stcat_eval_clamped_t10_96x96"


@pytest.fixture(scope="module")
def released_parameters():
    return released.parameters("stcat", "stcat")


@pytest.fixture(scope="module")
def evaluated(released_parameters):
    """(output of each part, output of the model) for the first case, of one program: most of the time is compiling."""

    def forward(model, batch):
        anchors = []

        def keep_anchors(step):
            def call(i, queries, seen, *args, **options):
                anchors.append(seen)
                return step(i, queries, seen, *args, **options)

            return call

        parts = cases.keep_results(
            model, "resnet", "roberta", "text_projection", "encoder", "template", "temporal_decoder"
        )
        model.spatial_decoder.step = keep_anchors(model.spatial_decoder.step)
        states = []
        norm = model.spatial_decoder.norm
        model.spatial_decoder.norm = lambda x: states.append(norm(x)) or states[-1]
        output = model(batch)
        encoded, (content, anchor_logits) = parts.pop("encoder"), parts.pop("template")
        return parts | {
            "tokens": encoded.tokens,
            "frame_tokens": encoded.frame_tokens,
            "video_token": encoded.video_token,
            "content": content,
            "anchor_logits": anchor_logits,
            "anchors": jnp.stack(anchors),
            "spatial_states": jnp.stack(states),
        }, output

    return run(released_parameters, forward, cases.load(EVALUATED).batch)


def run(parameters, call, *args):
    return cases.run(parameters, call, *args, system="stcat")


def with_offsets(parameters, meta):
    offset = np.array(meta["anchor_bias_offsets"] or np.zeros(4), np.float32)
    return parameters | {"template/anchor/bias": parameters["template/anchor/bias"] + offset}


def assert_close(output, case, row=0):
    """Every output and the attention of every layer."""
    differences, t = cases.differences(output, case.golden, row=row), len(case.frames)
    for k, name in enumerate((*(f"aux{k}.weights" for k in range(5)), "weights")):
        ours = np.asarray(output.attention)[k, row, :t, :t]
        differences[f"attention/{k}"] = float(np.abs(ours - case.golden[name][0]).max())
    assert max(differences.values()) <= TOLERANCE, differences


def test_every_term_of_the_loss_from_the_released_outputs():
    case = cases.load("stcat_losses_t12_96x160")
    output = GroundingOutput(
        boxes_cxcywh=cases.layers(case, "pred_boxes")[:, None],
        start_end_logits=cases.layers(case, "pred_sted"),
        actioness_logits=cases.layers(case, "pred_actioness")[..., 0],
        attention=cases.layers(case, "weights"),
    )
    cases.assert_losses(output, case, STCATLossConfig(), 2e-6)


@pytest.mark.slow
def test_stages(evaluated):
    parts, _ = evaluated
    feats = {k.removeprefix("feat."): v for k, v in cases.load(EVALUATED).golden.items() if k.startswith("feat.")}
    pairs = {
        "resnet": (parts["resnet"], feats["resnet"].transpose(0, 2, 3, 1)),
        "roberta": (parts["roberta"], feats["roberta"]),
        "text_projection": (parts["text_projection"], feats["text"]),
        "encoder": (parts["tokens"][0], feats["encoded"].transpose(1, 0, 2)),
        "frame_tokens": (parts["frame_tokens"][0], feats["frames_cls"]),
        "video_token": (parts["video_token"], feats["videos_cls"]),
        "content": (parts["content"], feats["temporal_query"]),
        "anchor_logits": (parts["anchor_logits"][0], feats["anchor_logits"]),
        "anchors": (parts["anchors"][:, 0], feats["anchors"]),
        "spatial_states": (parts["spatial_states"][:, 0], feats["spatial_states"]),
        "temporal_states": (parts["temporal_decoder"][0][:, 0], feats["temporal_states"]),
    }
    for name, (ours, theirs) in pairs.items():
        assert ours.shape == theirs.shape, name
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=STAGE_TOLERANCE * np.abs(theirs).max(), err_msg=name)


@pytest.mark.slow
def test_evaluation_with_stages(evaluated):
    assert_close(evaluated[1], cases.load(EVALUATED))


@pytest.mark.slow
@pytest.mark.parametrize("name", [CLAMPED, "stcat_eval_vidstg_t11_128x96", "stcat_eval_t20_160x224"])
def test_evaluation(released_parameters, name):
    case = cases.load(name)
    parameters = with_offsets(released_parameters, case.meta)
    assert_close(run(parameters, lambda model, batch: model(batch), case.batch), case)


def test_the_clamped_case_has_anchors_outside_the_clamp():
    """Guards the golden itself: of others the clamp changes nothing."""
    anchors = cases.load(CLAMPED).golden["feat.anchors"][0]
    assert ((anchors < 1e-3) | (anchors > 1 - 1e-3)).any(-1).all()


@pytest.mark.slow
def test_training_forward_and_losses(released_parameters):
    case = cases.load("stcat_losses_t12_96x160")
    targets = golden.targets(case.meta, case.golden["target_boxes"])

    def forward(model, batch, targets):
        return model.predict_to_train(batch, targets.true_tube, rngs=None)

    output = run(released_parameters, forward, case.batch, targets)
    assert_close(output, case)
    cases.assert_losses(output, case, STCATLossConfig(), 1e-5)


@pytest.mark.slow
def test_padding_and_batch_change_nothing(released_parameters):
    names = [EVALUATED, "stcat_eval_vidstg_t11_128x96", "stcat_eval_t20_160x224"]
    loaded = [cases.load(name) for name in names]
    batch = padded([case.batch for case in loaded], 22, 170, 230, 16)
    output = run(released_parameters, lambda model, batch: model(batch), batch)
    for i, case in enumerate(loaded):
        assert_close(output, case, row=i)


def test_dropped_tensors_are_those_that_never_act():
    from stvg_jax.convert.formats.stcat import FORMAT

    unused = set(json.loads((GOLDENS / "stcat_unused_parameters.json").read_text())["without_gradient"])
    dropped = {n for n in manifest("stcat") if any(re.fullmatch(pattern, n) for pattern, _ in FORMAT.dropped)}
    assert {name for name in dropped if not is_computed(name)} == unused
