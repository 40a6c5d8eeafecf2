"""Dropout of the models in training, compared with the layers of the released systems."""

from __future__ import annotations

import collections
import dataclasses

import jax
import pytest

from stvg_jax.grounding.instance_context import ContextConfig
from stvg_jax.nn.keys import DropoutKeys
from tests.grounding.rows import WORDS, make_rows
from tests.tiny import tiny, tiny_model_config

LAYERS = 2
# Each part by its own share of values that are left out, so that it shows who draws.
TRANSFORMER, HEADS, TEXT, VIDEO = 0.11, 0.21, 0.33, 0.5
# A self-attention or cross-attention leaves out weights and results; a feed-forward part hidden values and results.
ATTENTION, FEED_FORWARD, BLOCK = 2, 2, 3
# RoBERTa drops embeddings, and in its one layer weights and both results. Of the five blocks of the motion backbone,
# the first keeps everything and the last as little as VIDEO says.
BACKBONES = {TEXT: 4, VIDEO / 4: 2, VIDEO / 2: 2, 3 * VIDEO / 4: 2, VIDEO: 2}
# Both heads of the temporal decoder have two layers, and dropout after each.
TIMES = 2 * 2


def draws(system: str, **overrides) -> dict[float, int]:
    """Number of dropout masks drawn in a step of training, by their rate."""
    config = tiny_model_config(system=system)
    rates = {
        "transformer": config["transformer"]
        | {"dropout_rate": TRANSFORMER, "head_dropout_rate": HEADS, "encoder_layers": LAYERS, "decoder_layers": LAYERS},
        "roberta": config["roberta"] | {"dropout_rate": TEXT, "layers": 1},
    }
    if "swin" in config:
        rates["swin"] = config["swin"] | {"drop_path": VIDEO}
    module, parameters = tiny(system=system, **rates, **overrides)
    batch, targets = make_rows(t=4, h=64, w=64)
    counted, bernoulli = collections.Counter(), jax.random.bernoulli

    def count(key, probability, shape):
        counted[round(1 - probability, 6)] += 1
        return bernoulli(key, probability, shape)

    def train(parameters):
        rngs = DropoutKeys(jax.random.key(0))
        return module.apply(parameters, lambda model: model.predict_to_train(batch, targets.true_tube, rngs=rngs))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.random, "bernoulli", count)
        jax.eval_shape(train, parameters)
    return dict(counted)


ENCODER = LAYERS * (ATTENTION + FEED_FORWARD)
# One for the projected text, one for the first guess of the boxes.
BOTH_DECODERS = 1 + 1 + 2 * LAYERS * (2 * ATTENTION + FEED_FORWARD)


def test_ta_stvg():
    """The classifiers of both streams, of frames and of places, are two blocks each."""
    drawn = draws("ta_stvg")
    assert drawn == BACKBONES | {TRANSFORMER: ENCODER + BOTH_DECODERS + 4 * 2 * BLOCK, HEADS: TIMES}


@pytest.mark.parametrize(("context", "guided"), [({}, 1), ({"guide_temporal": True}, 2)])
def test_cg_stvg(context, guided):
    """All layers of a guided decoder but the first have a block more; each stage judges its boxes by two heads."""
    drawn = draws("cg_stvg", context=dataclasses.asdict(ContextConfig(**context)))
    transformer = ENCODER + BOTH_DECODERS + guided * (LAYERS - 1) * BLOCK
    assert drawn == BACKBONES | {TRANSFORMER: transformer, HEADS: TIMES + LAYERS * 2 * 2}


def test_stcat():
    """The encoder has a layer over time for each within frames; nothing guesses boxes and nothing sees motion."""
    assert draws("stcat") == {TRANSFORMER: 2 * ENCODER + BOTH_DECODERS - 1, HEADS: TIMES, TEXT: BACKBONES[TEXT]}


def test_pointing():
    """The encoder and the projected text."""
    assert draws("pointing") == BACKBONES | {TRANSFORMER: ENCODER + 1}


def test_image_pointing():
    """Likewise; nothing sees motion."""
    assert draws("image_pointing") == {TRANSFORMER: ENCODER + 1, TEXT: BACKBONES[TEXT]}


def test_region_recognition():
    words = {"appearance_words": WORDS[0], "motion_words": WORDS[1]}
    drawn = draws("region_recognition", frozen_backbones=False, **words)
    assert drawn == {rate: count for rate, count in BACKBONES.items() if rate != TEXT}
