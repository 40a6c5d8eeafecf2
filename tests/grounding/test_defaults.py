"""Settings that nobody gives: those of the released HC-STVG v1 models, and of the two starts for them."""

from __future__ import annotations

import dataclasses

import pytest

from stvg_jax.core.config import build
from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import FAMILIES, build_config, default_config, get_family, make_model

TRANSFORMER = {
    "width": 256,
    "heads": 8,
    "hidden": 2048,
    "encoder_layers": 6,
    "decoder_layers": 6,
    "dropout_rate": 0.1,
    "head_dropout_rate": 0.3,
    "placed_tokens": False,
    "frames_per_step": None,
}
OWN = {
    "ta_stvg": {
        "frozen_backbones": True,
        "queries": "both",
        "appearance_words": 15,
        "motion_words": 60,
        "sampling_threshold": 0.7,
        "second_pass": True,
        "actioness_threshold": 0.5,
        "oracle": False,
    },
    "cg_stvg": {
        "frozen_backbones": True,
        "context": {
            "generate": True,
            "refine": "both",
            "temporal_threshold": 0.5,
            "spatial_threshold": 0.8,
            "joint_threshold": 0.5,
            "truth_threshold": 0.8,
            "pooling": "cells",
            "guide_temporal": False,
        },
        "subject": False,
    },
    "pointing": {"frozen_backbones": True, "subject": True},
    "image_pointing": {"frozen_backbones": True, "subject": False},
    "region_recognition": {"frozen_backbones": False, "appearance_words": 15, "motion_words": 60},
}
COMMON_LOSSES = {"box_l1": 5.0, "box_giou": 4.0, "actioness": 2.0, "outside_weight": 0.3, "sigma": 2.0}
LOSSES = {
    "ta_stvg": COMMON_LOSSES
    | {"start_end": 12.0, "motion_sampling": 1.0, "appearance_sampling": 1.0}
    | {"motion_attributes": 1.0, "appearance_attributes": 1.0},
    "cg_stvg": COMMON_LOSSES | {"start_end": 10.0, "confidence": 1.0},
    "pointing": {"appearance_pointing": 1.0, "motion_pointing": 1.0},
    "image_pointing": {"appearance_pointing": 1.0},
    "region_recognition": {"appearance_words": 10.0, "motion_words": 10.0},
}
RATES = {
    "ta_stvg": {
        "base": 2e-4,
        "image_backbone": 1e-6,
        "text": 5e-5,
        "temporal_decoder": 2e-4,
        "target_queries": 5e-4,
    },
    "cg_stvg": {"base": 3e-4, "image_backbone": 2e-5, "text": 5e-5, "temporal_decoder": 1e-4},
    "pointing": {"base": 1e-3, "image_backbone": 1e-4, "text": 1e-3},
    "image_pointing": {"base": 1e-3, "image_backbone": 1e-4, "text": 1e-3},
    "region_recognition": {"base": 1e-3, "image_backbone": 1e-3},
}
READS_SUBJECT = dict.fromkeys(OWN, True) | {"cg_stvg": False, "image_pointing": False}
WORDS = dict.fromkeys(OWN, (0, 0)) | {"ta_stvg": (15, 60), "region_recognition": (15, 60)}


@pytest.mark.parametrize("name", OWN)
def test_defaults(name):
    config = default_config(name)
    assert config["transformer"] == TRANSFORMER
    assert {key: value for key, value in config.items() if key not in ("resnet", "swin", "roberta", "transformer")} == (
        OWN[name]
    )
    family = get_family(name)
    assert dataclasses.asdict(family.losses()) == LOSSES[name]
    assert dataclasses.asdict(family.learning_rates()) == RATES[name]
    built = build(family.config, config, "config.model")
    assert built.reads_subject == READS_SUBJECT[name]
    assert built.words == WORDS[name]
    # Of the parts of one model alone, those of the target-aware queries have a learning rate of their own.
    assert [group for _, group in built.own_groups] == (["target_queries"] if name == "ta_stvg" else [])


def test_the_models_and_those_that_give_tubes():
    grounding = [name for name, module in FAMILIES.items() if module.startswith("stvg_jax.grounding.")]
    assert {name: get_family(name).evaluator is not None for name in grounding} == {
        "ta_stvg": True,
        "cg_stvg": True,
        "tubedetr": True,
        "stcat": True,
        "region_recognition": False,
        "pointing": False,
        "image_pointing": False,
    }


def test_whole_configurations_keep_what_is_given():
    config = dataclasses.asdict(build_config("cg_stvg", {"subject": True, "context": {"refine": "sum"}}))
    assert config["subject"]
    assert config["context"] == OWN["cg_stvg"]["context"] | {"refine": "sum"}
    assert config["transformer"] == TRANSFORMER
    assert build(get_family("cg_stvg").config, config, "config.model").reads_subject
    assert not build(get_family("pointing").config, {"subject": False}, "config.model").reads_subject


@pytest.mark.parametrize("call", [get_family, default_config, lambda name: make_model(name, {}, "float32")])
def test_unknown_models_are_named_beside_the_known(call):
    with pytest.raises(InputError, match="'dino' is unknown; this version has ta_stvg, cg_stvg, tubedetr, stcat, "):
        call("dino")


@pytest.mark.parametrize("name", sorted(set(OWN) - {"image_pointing"}))
def test_backbones_with_features_of_other_sizes_are_refused(name):
    resnet = default_config(name)["resnet"] | {"blocks": (3, 4, 6)}
    with pytest.raises(InputError, match="features of resnet lie 16 pixels apart, those of swin 32"):
        make_model(name, {"resnet": resnet}, "float32")
