"""CG-STVG's switches, its batching and its training, on a tiny model."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.core.config import load_config_file
from stvg_jax.core.registry import make_model
from stvg_jax.core.tree import flatten, unflatten
from stvg_jax.grounding.cg_stvg import CGSTVGLossConfig
from stvg_jax.grounding.instance_context import ContextConfig
from stvg_jax.grounding.targets import GroundingTargets
from stvg_jax.grounding.task import GroundingTask
from stvg_jax.nn.declare import PureModule, initialize
from stvg_jax.train.optim import assign_uses
from tests.grounding.batches import make_batch, padded
from tests.grounding.rows import learn
from tests.tiny import apply, shallow, tiny, tiny_model_config


def tiny_cg(changes=None, **context):
    return tiny(system="cg_stvg", context=dataclasses.asdict(ContextConfig(**context)), **(changes or {}))


def forward(model, batch):
    return model(batch)


ABLATION = {
    "released": ({}, {"context_attn", "mlp", "confidence"}),
    "baseline": ({"generate": False}, set()),
    "generation alone": ({"refine": "none"}, {"context_attn", "mlp"}),
    "temporal": ({"refine": "temporal"}, {"context_attn", "mlp"}),
    "spatial": ({"refine": "spatial"}, {"context_attn", "mlp", "confidence"}),
    "sum": ({"refine": "sum"}, {"context_attn", "mlp", "confidence"}),
    "product": ({"refine": "product"}, {"context_attn", "mlp", "confidence"}),
    "both decoders": ({"guide_temporal": True}, {"context_attn", "mlp", "confidence", "temporal"}),
    "exact boxes": ({"pooling": "roi_align"}, {"context_attn", "mlp", "confidence"}),
}
PARTS = {
    "context_attn": r"spatial_decoder/layers/[1-9]/context_attn/.*",
    "mlp": r"instance_context/(appearance|motion)_mlp/.*",
    "confidence": r"instance_context/(appearance|motion)_confidence/.*",
    "temporal": r"temporal_decoder/layers/[1-9]/context_attn/.*",
}


@pytest.mark.parametrize("name", ABLATION)
def test_every_switch_has_the_parts_it_uses_and_no_more(name):
    context, parts = ABLATION[name]
    overrides = [f"--config.model.context.{key}={value}" for key, value in context.items()]
    config = load_config_file(Path("cg_stvg_hcstvg1"), overrides=overrides)
    full = PureModule(make_model("cg_stvg", config["model"], np.float32)).declarations
    own = [path for path in full if re.fullmatch(".*context.*", path)]
    assert {part for part, pattern in PARTS.items() if any(re.fullmatch(pattern, path) for path in own)} == parts
    assert all(any(re.fullmatch(PARTS[part], path) for part in parts) for path in own)
    module, parameters = tiny_cg(shallow("cg_stvg"), **context)
    outputs = jax.eval_shape(lambda p, b: module.apply(p, lambda m: m(b)), parameters, make_batch())
    assert outputs.boxes_cxcywh.shape == (2, 1, 9, 4)
    assert (outputs.confidences is not None) == ("confidence" in parts)


def rows(output, row, frames):
    one = output.row(row)
    names = ("boxes_cxcywh", "start_end_logits", "actioness_logits", "confidences")
    return {name: getattr(one, name)[:, :frames] for name in names}


def assert_same(ours, theirs):
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-5, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("context", [{}, {"guide_temporal": True, "pooling": "roi_align"}])
def test_batch_and_bucket_change_nothing(context):
    shapes = [(17, 161, 224, 11), (9, 70, 100, 6), (1, 33, 64, 3)]
    batches = [make_batch(*shape, seed=i) for i, shape in enumerate(shapes)]
    # Thresholds between the scores of the first video's frames.
    scores = apply(*tiny_cg(**context), forward, batches[0]).row(0)
    actioness = np.sort(scores.actioness_logits[0 if context else -1])
    confidence = np.sort(scores.confidences[0])
    splitting = {
        "temporal_threshold": float(actioness[3:5].mean()),
        "spatial_threshold": float(confidence[8:10].mean()),
    }
    module, parameters = tiny_cg(**splitting, **context)
    together = apply(module, parameters, forward, padded(batches, 18, 170, 230, 12))
    for i, batch in enumerate(batches):
        frames = batch.frames.shape[1]
        alone = rows(apply(module, parameters, forward, batch), 0, frames)
        assert_same(rows(together, i, frames), alone)


@pytest.mark.slow
def test_a_video_without_context_goes_unguided():
    """Of two videos in a batch one has context, and the other has what the baseline gives."""
    batch = make_batch(b=2)
    module, parameters = tiny_cg(refine="spatial", spatial_threshold=1.0)
    guided = apply(module, parameters, forward, batch)
    bars = jnp.max(guided.confidences[0], axis=1)
    order = np.argsort(bars)
    between = float(bars.mean())
    assert bars[order[0]] < between < bars[order[1]]
    module, _ = tiny_cg(refine="spatial", spatial_threshold=between)
    output = apply(module, parameters, forward, batch)
    base, _ = tiny_cg(generate=False)
    kept = unflatten({path: value for path, value in flatten(parameters).items() if path in base.declarations})
    plain = apply(base, kept, forward, batch)
    np.testing.assert_allclose(output.boxes_cxcywh[:, order[0]], plain.boxes_cxcywh[:, order[0]], atol=1e-6)
    assert np.abs(output.boxes_cxcywh[1, order[1]] - plain.boxes_cxcywh[1, order[1]]).max() > 1e-4
    np.testing.assert_array_equal(output.boxes_cxcywh[0], plain.boxes_cxcywh[0])


def make_targets(batch):
    b, t = batch.frames.shape[:2]
    in_tube = np.tile((np.arange(t) >= 2) & (np.arange(t) < t - 2), (b, 1))
    boxes = np.tile(np.array([0.4, 0.6, 0.3, 0.2], np.float32), (b, t, 1))
    nothing = np.zeros((b, 0), np.float32)
    return GroundingTargets(in_tube, boxes, nothing, nothing)


@pytest.mark.parametrize(
    ("context", "layers", "expected"),
    [
        pytest.param({"truth_threshold": -1.0}, 3, {"context": 1, "context_1": 1, "context_2": 1}, id="all frames"),
        *(
            pytest.param(*case, id=name, marks=pytest.mark.slow)
            for name, case in {
                "no frame": ({"truth_threshold": 1.0}, 3, {"context": 0, "context_1": 0, "context_2": 0}),
                "unrefined": ({"refine": "none", "guide_temporal": True}, 2, {"context": 1, "context_1": 1}),
                "no stage to guide": ({"refine": "none"}, 1, {"context": 0}),
                "baseline": ({"generate": False}, 2, {}),
            }.items()
        ),
    ],
)
def test_uses_count_real_rows_for_which_a_stage_chose_frames(context, layers, expected):
    """Of two rows the second only fills up the batch, although nothing of it is padded."""
    batch = make_batch(t=8, h=32, w=32, b=2)
    targets = dataclasses.replace(make_targets(batch), rows_valid=np.array([True, False]))
    config = tiny_model_config(system="cg_stvg") | shallow("cg_stvg")
    config["context"] = dataclasses.asdict(ContextConfig(**context))
    config["transformer"] |= {"decoder_layers": layers}
    model = make_model("cg_stvg", config, np.float32)
    module = PureModule(model)
    loss = jax.jit(GroundingTask(module, CGSTVGLossConfig()).loss)
    _, (_, uses) = loss(initialize(unflatten(module.declarations), seed=0), batch, targets)
    assert {use: int(rows) for use, rows in uses.items()} == expected
    assert {*assign_uses(module.declarations, model.config.uses).values()} == {*expected}


@pytest.mark.slow
def test_training_on_one_batch_and_every_parameter_acts():
    module, parameters = tiny_cg(truth_threshold=-1.0)
    # Fresh biases are zero, and four ReLUs of the anchor head can all be dead by chance.
    parameters["anchor_head"]["dense"]["bias"] += 1
    batch = make_batch(t=8, h=96, w=96, b=2)
    targets = make_targets(batch)
    history, gradients = learn(GroundingTask(module, CGSTVGLossConfig()), parameters, batch, targets, steps=30)
    losses = [float(loss) for loss, _ in history]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.5 * losses[0]
    # Context itself gets a gradient, through what it changed in the boxes after it.
    own = {path: g for path, g in flatten(gradients).items() if "context" in path and not path.endswith("key/bias")}
    assert len(own) > 20
    assert not [path for path, gradient in own.items() if not np.abs(gradient).max() > 0]
