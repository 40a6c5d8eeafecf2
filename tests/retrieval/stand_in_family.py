"""The record of STGT with stand-ins for its data and training, under which the converter finds the model."""

from __future__ import annotations

import dataclasses
from typing import Any

from stvg_jax.family import Family, TextSize
from stvg_jax.retrieval.losses import STGTLossConfig
from stvg_jax.retrieval.stgt import STGT, STGTConfig


@dataclasses.dataclass(frozen=True)
class Clip:
    """Nothing is to be said of clips here."""


@dataclasses.dataclass(frozen=True)
class Rates:
    base: float = 2.5e-5


def _none(*_: Any, **__: Any) -> Any:
    return None


FAMILY = Family(
    config=STGTConfig,
    clip=Clip,
    model=STGT,
    losses=STGTLossConfig,
    learning_rates=Rates,
    groups=lambda config: (("vit/.*", "frozen"), (".*", "base")),
    task=_none,
    text=lambda config: TextSize(config.qformer.vocab_size, config.max_tokens),
    fit=lambda config, clip, *, training=False: config,
    least_bytes=lambda config, rows: 0,
    batch=_none,
    inputs=_none,
    formats=("stvg_jax.convert.formats.stgt",),
)
