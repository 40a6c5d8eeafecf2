"""How much of a video the models handle at once on this machine. Results do not depend on it.

The parts of a model go over images, windows and frames in steps. The number in a step follows from a budget of bytes
and from what one of them takes, so that a small model on small pictures, for which a loop is all overhead, needs none.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, TypeVar

import jax

from stvg_jax.core.constants import MAX_ASPECT
from stvg_jax.core.errors import InputError
from stvg_jax.grounding.base import GroundingConfig
from stvg_jax.grounding.inference.clip import ClipConfig

if TYPE_CHECKING:
    from stvg_jax.runtime.memory import Rows

C = TypeVar("C", bound=GroundingConfig)

_MIB = 2**20
# On a CPU, what stays in its caches (measured on the full-size model: `benchmarks/forward.py`; 4 images, 8 windows and
# 4 frames of 420 rows). On an accelerator, what bounds memory to a few GB; for training less, as the backward pass
# keeps or makes again all that is inside of a step.
_BUDGETS = {
    "cpu": {"images": 64 * _MIB, "windows": 15 * _MIB, "frames": 52 * _MIB},
    "inference": {"images": 1024 * _MIB, "windows": 1024 * _MIB, "frames": 1024 * _MIB},
    "training": {"images": 192 * _MIB, "windows": 192 * _MIB, "frames": 192 * _MIB},
}
_PARTS = ("resnet", "swin", "roberta", "transformer")


def fit_backend(config: C, clip: ClipConfig, *, training: bool = False) -> C:
    """A model's configuration with the step sizes that suit this process's backend.

    Args:
        config: of a grounding model. Of `images_per_step`, `windows_per_step` and `frames_per_step`, those that are
            None are chosen, and those that are set stay.
        clip: whose resolution gives the rows of a frame.
        training: whether gradients are taken.

    Raises:
        InputError: for sizes of which no model can be made.
    """
    _check_sizes(config)
    budget = _BUDGETS["cpu" if jax.default_backend() == "cpu" else "training" if training else "inference"]
    resnet, swin, transformer = config.resnet, config.swin, config.transformer
    pixels = MAX_ASPECT * clip.resolution**2
    # The stem's output at half the size, a window's scores in the first stage, and the hidden channels and scores of a
    # frame's tokens, which are those of two grids and about 32 of text.
    image = 4 * pixels / 4 * resnet.width
    window = 4 * swin.heads[0] * math.prod(swin.window) ** 2
    tokens = _frame_tokens(config, pixels)
    frame = 4 * tokens * (transformer.hidden + transformer.heads * tokens)

    def chosen(setting: int | None, name: str, one: float) -> int:
        return max(1, int(budget[name] / one)) if setting is None else setting

    return dataclasses.replace(
        config,
        resnet=dataclasses.replace(resnet, images_per_step=chosen(resnet.images_per_step, "images", image)),
        swin=dataclasses.replace(swin, windows_per_step=chosen(swin.windows_per_step, "windows", window)),
        transformer=dataclasses.replace(
            transformer, frames_per_step=chosen(transformer.frames_per_step, "frames", frame)
        ),
    )


def least_bytes(config: GroundingConfig, rows: Rows) -> int:
    """Bytes that a device needs at least for these rows: their pixels, and the largest array made of one picture."""
    pixels = rows.height * rows.width
    # The stem's output at half the size, and the scores of a frame's tokens among themselves.
    stem = pixels // 4 * config.resnet.width * rows.number_bytes
    scores = config.transformer.heads * _frame_tokens(config, pixels) ** 2 * rows.number_bytes
    return int(rows.pixels_bytes + max(stem, scores))


def _frame_tokens(config: GroundingConfig, pixels: float) -> float:
    """Tokens of a frame of so many pixels, which look at each other: of two grids, and about 32 of text."""
    return 2 * pixels / 4 ** (len(config.resnet.blocks) + 1) + 32


def _check_sizes(config: GroundingConfig) -> None:
    """Raises InputError for sizes of parts that are not positive, and channels that their heads cannot share."""
    for part in _PARTS:
        for name, value in vars(getattr(config, part)).items():
            for number in value if isinstance(value, tuple) else [value]:
                # Rates and switches are not sizes.
                if type(number) is int and number < 1:
                    raise InputError(f"config.model.{part}.{name} is {value}; it must be at least 1")
    swin = config.swin
    shared = {name: (getattr(config, name).width, getattr(config, name).heads) for name in ("roberta", "transformer")}
    shared |= {f"swin, stage {i},": (swin.width * 2**i, heads) for i, heads in enumerate(swin.heads)}
    for part, (width, heads) in shared.items():
        if width % heads:
            raise InputError(f"config.model.{part} has {width} channels, which {heads} heads cannot share equally")
