"""Step sizes: the numbers of images, windows and frames that a model processes at once. Results do not depend on them.

A step is as large as a budget of memory allows, by the size of the largest array of one image, window or frame. So a
small model on small pictures, for which a loop would only cost time, takes everything in one step.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, TypeVar

import jax

from stvg_jax.core.constants import MAX_ASPECT
from stvg_jax.core.errors import InputError
from stvg_jax.grounding.base import AppearanceConfig, GroundingConfig
from stvg_jax.grounding.inference.clip import ClipConfig

if TYPE_CHECKING:
    from stvg_jax.runtime.memory import Rows

C = TypeVar("C", bound=AppearanceConfig)

_MIB = 2**20
# On a CPU, sizes that stay in its caches (measured on the full-size model with `benchmarks/forward.py`: 4 images, 8
# windows and 4 frames of 420 rows). On an accelerator, sizes that bound memory to a few GB; smaller ones for training,
# whose backward pass keeps or recomputes everything inside a step.
_BUDGETS = {
    "cpu": {"images": 64 * _MIB, "windows": 15 * _MIB, "frames": 52 * _MIB},
    "inference": {"images": 1024 * _MIB, "windows": 1024 * _MIB, "frames": 1024 * _MIB},
    "training": {"images": 192 * _MIB, "windows": 192 * _MIB, "frames": 192 * _MIB},
}


def fit_backend(config: C, clip: ClipConfig, *, training: bool = False) -> C:
    """A model's configuration with step sizes for the backend of this process.

    Args:
        config: of a grounding model. `images_per_step`, `windows_per_step` and `frames_per_step` are chosen where they
            are None, and kept where they are set.
        clip: its resolution is the number of rows of a frame.
        training: whether gradients are computed.

    Raises:
        InputError: sizes that no model can have.
    """
    _check_sizes(config)
    budget = _BUDGETS["cpu" if jax.default_backend() == "cpu" else "training" if training else "inference"]
    resnet, transformer = config.resnet, config.transformer
    pixels = MAX_ASPECT * clip.resolution**2
    # The stem's output at half the size, and the hidden channels and attention scores of a frame's tokens.
    image = 4 * pixels / 4 * resnet.width
    tokens = _frame_tokens(config, pixels)
    frame = 4 * tokens * (transformer.hidden + transformer.heads * tokens)

    def chosen(setting: int | None, name: str, one: float) -> int:
        return max(1, int(budget[name] / one)) if setting is None else setting

    fitted = dataclasses.replace(
        config,
        resnet=dataclasses.replace(resnet, images_per_step=chosen(resnet.images_per_step, "images", image)),
        transformer=dataclasses.replace(
            transformer, frames_per_step=chosen(transformer.frames_per_step, "frames", frame)
        ),
    )
    if not isinstance(fitted, GroundingConfig):
        return fitted
    # The attention scores of a window in the first stage.
    swin = fitted.swin
    window = 4 * swin.heads[0] * math.prod(swin.window) ** 2
    swin = dataclasses.replace(swin, windows_per_step=chosen(swin.windows_per_step, "windows", window))
    return dataclasses.replace(fitted, swin=swin)


def least_bytes(config: AppearanceConfig, rows: Rows) -> int:
    """Lower bound of the memory that these rows need: their pixels, and the largest array of one frame."""
    pixels = rows.height * rows.width
    # The stem's output at half the size, and the attention scores of a frame's tokens.
    stem = pixels // 4 * config.resnet.width * rows.number_bytes
    scores = config.transformer.heads * _frame_tokens(config, pixels) ** 2 * rows.number_bytes
    return int(rows.pixels_bytes + max(stem, scores))


def _frame_tokens(config: AppearanceConfig, pixels: float) -> float:
    """Tokens of a frame of this many pixels: those of one grid for each backbone, and about 32 of text."""
    grids = 2 if isinstance(config, GroundingConfig) else 1
    return grids * pixels / 4 ** (len(config.resnet.blocks) + 1) + 32


def _check_sizes(config: AppearanceConfig) -> None:
    """Raises InputError for sizes that are not positive, and for channels that heads cannot share equally."""
    swin = config.swin if isinstance(config, GroundingConfig) else None
    for part in ("resnet", *([] if swin is None else ["swin"]), "roberta", "transformer"):
        for name, value in vars(getattr(config, part)).items():
            for number in value if isinstance(value, tuple) else [value]:
                # Rates and switches are not sizes.
                if type(number) is int and number < 1:
                    raise InputError(f"config.model.{part}.{name} is {value}; it must be at least 1")
    shared = {name: (getattr(config, name).width, getattr(config, name).heads) for name in ("roberta", "transformer")}
    if swin is not None:
        shared |= {f"swin, stage {i},": (swin.width * 2**i, heads) for i, heads in enumerate(swin.heads)}
    for part, (width, heads) in shared.items():
        if width % heads:
            raise InputError(f"config.model.{part} has {width} channels, which {heads} heads cannot share equally")
