"""Figures about a run that has not begun."""

from __future__ import annotations

import argparse
import dataclasses

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh

from stvg_jax.commands import inspect
from stvg_jax.core.errors import InputError
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.grounding.inputs import batch_shapes
from stvg_jax.grounding.ta_stvg import TASTVGConfig
from stvg_jax.nn.remat import remat_call
from stvg_jax.train import inspection
from stvg_jax.train.optim import OptimConfig, make_optimizer
from stvg_jax.train.sharding import ShardingRules
from stvg_jax.train.state import state_shapes, state_shardings

GROUPS = {"body/up": "base", "body/down": "base", "stem/kernel": "frozen"}
SHAPES = {path: jax.ShapeDtypeStruct((32, 32), jnp.float32) for path in GROUPS}
OPTIMIZER = make_optimizer(OptimConfig(), GROUPS, lambda step: {"base": 1.0})
STATE = state_shapes(SHAPES, GROUPS, OPTIMIZER)
MESH = AbstractMesh((1, 4), ("data", "fsdp"))
LYING = state_shardings(STATE, MESH, ShardingRules((("stem/.*", 1),)))
MB = 32 * 32 * 4


@dataclasses.dataclass(frozen=True)
class Products:
    """Each parameter is a matrix that a row is multiplied with once, so FLOPs can be counted by hand."""

    def count(self, batch):
        return batch["x"].shape[0]

    def prepare(self, batch):
        return batch["x"], None

    def loss(self, parameters, inputs, targets, counts, key):
        x = inputs @ parameters["stem"]["kernel"]
        x = remat_call(lambda x: (x @ parameters["body"]["up"]) @ parameters["body"]["down"], x)
        return x.sum() / counts, ({}, {})


def test_parameters_by_part_and_by_sharding():
    rows = inspection.parameters_by_part(STATE, LYING, GROUPS)
    assert [(row.name, row.arrays, row.elements, row.bytes_per_device) for row in rows] == [
        (("body", "base"), 2, 2048, 2 * MB),
        (("stem", "frozen"), 1, 1024, MB // 4),
    ]
    rows = inspection.parameters_by_sharding(STATE, LYING, GROUPS)
    assert [(row.name, row.elements) for row in rows] == [(("on every device",), 2048), (("axis 1 over fsdp",), 1024)]


def test_tables_of_parameters():
    rows = inspection.parameters_by_part(STATE, LYING, GROUPS, levels=2)
    lines = inspection.parameter_lines(("part", "group"), rows)
    assert [line.split()[:4] for line in lines[1:]] == [
        ["body/up", "base", "1", "1,024"],
        ["body/down", "base", "1", "1,024"],
        ["stem/kernel", "frozen", "1", "1,024"],
        ["all", "3", "3,072", "0.0"],
    ]
    lines = inspection.every_parameter(SHAPES, GROUPS)
    assert [line.split() for line in lines] == [
        ["path", "group", "shape", "parameters"],
        ["body/up", "base", "[32,", "32]", "1,024"],
        ["body/down", "base", "[32,", "32]", "1,024"],
        ["stem/kernel", "frozen", "[32,", "32]", "1,024"],
        ["all", "base", "2,048"],
        ["all", "frozen", "1,024"],
        ["all", "3,072"],
    ]


def test_bytes_of_the_state():
    # The optimiser counts its steps twice, in 4 bytes each.
    expected = {"trained": 2 * MB, "frozen": MB // 4, "optimizer": 4 * MB + 8, "average": 2 * MB, "gradients": 2 * MB}
    assert inspection.state_bytes(STATE, LYING) == expected


def test_flops_are_those_of_the_products():
    batch = {"x": jax.ShapeDtypeStruct((3, 32), jnp.float32)}
    flops = inspection.step_flops(Products(), STATE, batch, "layers")
    product = 3 * 2 * 32 * 32
    # Three products forward; backward two gradients of matrices and one of the state between them.
    assert flops.forward == pytest.approx(3 * product, rel=0.05)
    assert flops.training == pytest.approx(6 * product, rel=0.1)
    # The first product of the layer is made again; its second is not needed for any gradient.
    assert flops.training + 0.5 * product < flops.computed < flops.training + 2.5 * product


def test_a_batch_has_the_shapes_that_the_loader_makes():
    config, clip = TASTVGConfig(appearance_words=3, motion_words=4), ClipConfig(resolution=96)
    batch = batch_shapes({}, config, clip, rows=2, frames=5, width=128, tokens=7)
    assert {name: leaf.shape for name, leaf in batch.items()} == {
        "frames": (2, 5, 96, 128, 3),
        "frames_valid": (2, 5),
        "sizes": (2, 2),
        "text_ids": (2, 7),
        "text_valid": (2, 7),
        "sample": (2,),
        "in_tube": (2, 5),
        "boxes_cxcywh": (2, 5, 4),
        "appearance_labels": (2, 3),
        "motion_labels": (2, 4),
    }
    assert batch["frames"].dtype == jnp.uint8


CONFIG = """
import ml_collections

from tests.tiny import thin, tiny_model_config, two_stages

def get_config(arg=""):
    clip = {"sampling": "hcstvg", "resolution": 64}
    model = tiny_model_config() | thin() | two_stages() | {"queries": "zero", "second_pass": False}
    train = {"remat": "none"}
    return ml_collections.ConfigDict({"name": "ta_stvg", "model": model, "clip": clip, "train": train})
"""


def run(tmp_path, *options: str, config: str = CONFIG) -> None:
    (tmp_path / "tiny.py").write_text(config)
    parser = argparse.ArgumentParser()
    inspect.add_arguments(parser)
    args = parser.parse_args([str(tmp_path / "tiny.py"), *options])
    args.overrides = []
    inspect.run(args)


@pytest.mark.parametrize(("window", "frames"), [pytest.param(0, 64, marks=pytest.mark.slow), (1, 1)])
def test_without_options_a_batch_is_the_usual_one(window, frames, tmp_path, capsys):
    """64 frames of 20 seconds, or the window; as many columns as the loader makes of 64 rows of a wide video."""
    run(
        tmp_path,
        "--batch-size",
        "1",
        config=CONFIG.replace('"train": train', f'"train": train, "loader": {{"window": {window}}}'),
    )
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["frames", "uint8[1,", f"{frames},", "64,", "89,", "3]"] in [line[:-1] for line in lines]


def test_the_command_prints_every_table(tmp_path, capsys):
    run(tmp_path, "--devices", "8", "--fsdp", "4", "--batch-size", "16", "--frames", "2", "--width", "96")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][-5:] == ["data", "2", "x", "fsdp", "4"]
    frames = 16 * 2 * 64 * 96 * 3
    assert ["frames", "uint8[16,", "2,", "64,", "96,", "3]", f"{frames / 8 / 1e6:,.3f}"] in lines
    parts = {tuple(line[:2]) for line in lines if len(line) == 5}
    assert {("swin", "frozen"), ("resnet", "image_backbone"), ("roberta", "text"), ("encoder", "base")} <= parts
    forward = next(float(line[-2].replace(",", "")) for line in lines if line and line[0] == "forward")
    training = next(float(line[-2].replace(",", "")) for line in lines if line[:1] == ["training"])
    assert 0 < forward < training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--devices", "6", "--fsdp", "4"], "--devices is 6; it must be a multiple of fsdp=4"),
        (["--devices", "8", "--batch-size", "12"], "the batch size is 12; it must be a multiple of 8 devices"),
        (["--frames", "0"], "--frames is 0; it must be at least 1"),
        (["--devices", "32", "--compile"], "--compile needs 32 devices here, there are 1"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        run(tmp_path, *options)
