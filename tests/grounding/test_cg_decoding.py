"""CG-STVG from the features of a video on, on a tiny model without its backbones: numbers, padding, guidance.

That the numbers are right is told by the slow tests against the released system, which take the whole model.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from stvg_jax.grounding.decoder import Context, attend_to_context
from stvg_jax.grounding.instance_context import ContextConfig
from stvg_jax.grounding.types import GroundingBatch, TrueTube, VideoFeatures
from tests.tiny import apply, tiny

B, T, H, W, L, WIDTH = 2, 6, 3, 4, 5, 32
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


VIDEO = VideoFeatures(normal(B, T, H, W, WIDTH), normal(B, T, H, W, WIDTH), None, None)
IDS = RNG.integers(4, 64, (B, L)).astype(np.int32)
BOXES = np.concatenate([RNG.uniform(0.3, 0.7, (B, T, 2)), RNG.uniform(0.2, 0.5, (B, T, 2))], -1).astype(np.float32)
TRUTH = TrueTube((np.arange(T) > 0) & (np.arange(T) < 5) & np.ones((B, 1), bool), BOXES)
# Between the scores of the frames: some of each video give context to the second stage, and some do not.
SPLITTING = {"temporal_threshold": -0.9, "spatial_threshold": 1.0, "truth_threshold": 0.0}


def padded(video: VideoFeatures, ids: np.ndarray):
    """The same in a larger bucket, beside loud noise: features, ids and which of them are real."""
    t, h, w, l = T + 2, H + 1, W + 2, L + 3
    maps = []
    for name in ("appearance", "motion"):
        noise = 5 * np.random.default_rng(1).standard_normal((B, t, h, w, WIDTH)).astype(np.float32)
        noise[:, :T, :H, :W] = getattr(video, name)
        maps.append(noise)
    text = np.random.default_rng(2).integers(4, 64, (B, l)).astype(np.int32)
    text[:, :L] = ids
    frames_valid = np.tile(np.arange(t) < T, (B, 1))
    sizes = np.tile(np.array([H, W], np.int32), (B, 1))
    return VideoFeatures(*maps, frames_valid, sizes), text, np.tile(np.arange(l) < L, (B, 1))


def model(**context):
    module, parameters = tiny(system="cg_stvg", context=dataclasses.asdict(ContextConfig(**SPLITTING, **context)))
    # Fresh biases are zero, and four ReLUs of the anchor head can all be dead by chance.
    parameters["anchor_head"]["dense"]["bias"] += 1
    return module, parameters


def numbers(output) -> dict[str, np.ndarray]:
    """For each decoder layer and video, a weighted sum over its frames."""
    found = {}
    for name in ("boxes_cxcywh", "start_end_logits", "actioness_logits", "confidences"):
        values = np.asarray(getattr(output, name))[:, :, :T].reshape(2, B, -1)
        found[name] = values @ np.cos(np.arange(values.shape[-1]))
    return found


def assert_numbers(output, expected):
    for name, values in numbers(output).items():
        np.testing.assert_allclose(values, expected[name], atol=5e-5, err_msg=name)


RELEASED = {
    "boxes_cxcywh": [[-0.56497, -0.26085], [-0.21326, -0.24709]],
    "start_end_logits": [[-0.53375, -0.19687], [-1.53581, 0.06964]],
    "actioness_logits": [[-1.11533, 0.33349], [-0.69553, 1.07761]],
    "confidences": [[0.09701, -1.01131], [0.05646, -0.5765]],
}
# Here the states of the first layer judge, and the second temporal layer is guided too.
BOTH_DECODERS = {
    "boxes_cxcywh": [[-0.56497, -0.26085], [-0.19218, -0.22965]],
    "start_end_logits": [[-0.53375, -0.19687], [-0.89725, 0.44236]],
    "actioness_logits": [[-1.11533, 0.33349], [0.26411, 0.74232]],
    "confidences": [[0.04042, -0.6389], [-0.00601, -0.63901]],
}
TRAINING = RELEASED | {
    "boxes_cxcywh": [[-0.56497, -0.26085], [-0.17366, -0.27054]],
    "confidences": [[0.09701, -1.01131], [-0.00832, -0.97067]],
}


def test_released_decoding():
    module, parameters = model()
    output = apply(module, parameters, lambda m, *a: m.ground(*a), VIDEO, IDS)
    assert_numbers(output, RELEASED)
    padding = apply(module, parameters, lambda m, *a: m.ground(*a), *padded(VIDEO, IDS))
    assert_numbers(padding, RELEASED)


def test_both_decoders_guided_by_exact_boxes():
    module, parameters = model(guide_temporal=True, pooling="roi_align")
    assert_numbers(apply(module, parameters, lambda m, *a: m.ground(*a), *padded(VIDEO, IDS)), BOTH_DECODERS)


def train(m, video, ids, truth=None):
    """Predictions for the losses, and their change when the head of the boxes adds a little to each number."""
    head, added = m.box_head, [None]
    m.encode_video = lambda *args, **options: video
    m.box_head = lambda queries: head(queries) + added[0]

    def answer(shift):
        added[0] = shift
        return m.predict_to_train(GroundingBatch(jnp.zeros((B, T, 64, 64, 3)), ids), truth, rngs=None)

    return jax.jvp(answer, (jnp.zeros(4),), (jnp.ones(4),))


def assert_no_layer_learns_from_another(output, changes):
    """A layer's boxes are given to the next, and to the context, as they are."""
    boxes = output.boxes_cxcywh
    np.testing.assert_allclose(changes.boxes_cxcywh, boxes * (1 - boxes), atol=1e-6)
    others = [getattr(changes, name) for name in ("start_end_logits", "actioness_logits", "confidences")]
    assert not any(np.any(change) for change in others if change is not None)


def test_the_truth_chooses_the_context_in_training():
    output, changes = apply(*model(), train, VIDEO, IDS, TRUTH)
    assert_numbers(output, TRAINING)
    assert_no_layer_learns_from_another(output, changes)


def test_queries_without_context_stay_as_they_are():
    def attend(m, queries, context):
        attention = None if m is None else m.spatial_decoder.layers[1].context_attn
        return attend_to_context(attention, queries, context, None)

    module, parameters = model()
    queries, tokens = normal(B, T, WIDTH), normal(B, 3, WIDTH)
    valid = np.array([[True, False, True], [False, False, False]])
    guided = np.asarray(apply(module, parameters, attend, queries, Context(tokens, valid)))
    np.testing.assert_array_equal(guided[1], queries[1])
    assert np.abs(guided[0] - queries[0]).max() > 0.1
    # What is not chosen acts nowhere.
    louder = np.where(valid[..., None], tokens, 9 * tokens)
    np.testing.assert_allclose(apply(module, parameters, attend, queries, Context(louder, valid)), guided, atol=1e-6)
    assert attend(None, queries, None) is queries
