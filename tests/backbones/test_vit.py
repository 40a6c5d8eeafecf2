"""ViT against numbers of EVA's, as the released STGT runs it."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from stvg_jax.backbones.vit import ViT, ViTConfig
from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule, initialize
from tests.retrieval import cases


def vit_parameters(shapes, blocks):
    named = {
        n: s for n, s in shapes.items() if not n.startswith("visual_encoder.blocks.") or int(n.split(".")[2]) < blocks
    }
    return cases.within(cases.parameters(named, "visual_encoder."), "vit")


def states(model, frames):
    """Tokens before the first block without the class token, and after each block."""
    kept = {"patch_embed": model.embed(frames)[:, 1:] - model.positions[...][1:]}
    for i, block in enumerate(model.blocks):
        model.blocks[i] = lambda x, i=i, block=block: kept.setdefault(f"block{i}", block(x))
    return kept | {"out": model(frames)}


@dataclasses.dataclass(frozen=True)
class Model:
    """Configuration of a golden's model, what its images are drawn from, and its sizes by those of the manifest's."""

    config: ViTConfig
    drawing: dict[str, Any]
    manifest: str = "tiny"
    sizes: dict[int, int] = dataclasses.field(default_factory=dict)


MODELS = {
    "d96": Model(
        ViTConfig(width=96, blocks=3, heads=6, hidden=418),
        {"seed": 0, "videos": 2, "frames": 2, "amplitude": 3.0, "noise": 0.05},
    ),
    # Small inputs, to which the epsilon of the norms matters.
    "quiet_d64": Model(
        ViTConfig(width=64, blocks=2, heads=4, hidden=279),
        {"seed": 2, "videos": 1, "frames": 2, "amplitude": 0.02, "noise": 1 / 3000},
        sizes={96: 64, 288: 192, 418: 279},
    ),
    "d1408_2blocks": Model(
        ViTConfig(blocks=2),
        {"seed": 1, "videos": 1, "frames": 1, "amplitude": 3.0, "noise": 0.05},
        manifest="state_dict",
    ),
}


@pytest.mark.parametrize("name", ["d96", "quiet_d64", pytest.param("d1408_2blocks", marks=pytest.mark.slow)])
def test_every_block_is_the_released_one(name):
    case, model = cases.load(f"stgt_vit_{name}"), MODELS[name]
    shapes = {
        name: tuple(model.sizes.get(size, size) for size in shape)
        for name, shape in cases.shapes(model.manifest).items()
    }
    frames = cases.mosaic(**model.drawing)
    images = frames.reshape(-1, *frames.shape[2:])
    kept = cases.run(ViT(model.config), vit_parameters(shapes, model.config.blocks), states, images)
    kept["out"] = kept["out"].reshape(*frames.shape[:2], *kept["out"].shape[1:])
    case.assert_close(1e-5, **kept)


def test_images_in_steps_and_of_another_size():
    config = ViTConfig(image=8, patch=4, width=8, blocks=1, heads=2, hidden=8)
    parameters = initialize(unflatten(PureModule(ViT(config)).declarations), 0)
    images = np.random.default_rng(0).standard_normal((3, 8, 8, 3)).astype(np.float32)

    def run(config):
        return jax.jit(lambda images: PureModule(ViT(config)).apply(parameters, lambda model: model(images)))(images)

    np.testing.assert_allclose(run(config), run(dataclasses.replace(config, images_per_step=2)), atol=1e-6)
    with pytest.raises(ValueError, match=r"images are \(4, 8, 3\); they must be 8 x 8 pixels with 3 channels"):
        ViT(config)(images[:, :4])
