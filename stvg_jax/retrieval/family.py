"""Parts of the record of a family (`stvg_jax.family.Family`) that all retrieval models share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from flax import nnx

from stvg_jax.core.errors import InputError
from stvg_jax.family import Evaluator, Family, Inputs, Rules, TextSize
from stvg_jax.retrieval.clip import RetrievalClip
from stvg_jax.runtime.memory import Rows

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.loading.needs import NeededFrames


def usual_clip(rules: str | None, **settings: Any) -> RetrievalClip:
    """Clips of the released models, with these settings; see `Family.released_clip`.

    Raises:
        ValueError: for a dataset of grounding.
    """
    if rules is not None:
        raise ValueError(f"retrieval models see whole videos; there are none for clips by the rules {rules!r}")
    return RetrievalClip(**settings)


def retrieval_family(
    config: type,
    model: Callable[..., nnx.Module],
    losses: type,
    learning_rates: type,
    *,
    groups: Callable[[Any], Rules],
    task: Callable[..., Any],
    text: Callable[[Any], TextSize],
    picture: Callable[[Any], int] | None = None,
    least_bytes: Callable[[Any, Rows], int] = lambda config, rows: rows.pixels_bytes,
    released_clip: Callable[[str | None], RetrievalClip] = usual_clip,
    formats: tuple[str, ...] = (),
) -> Family:
    """A family of models that score pairs of a video and a text; arguments as in `Family`.

    Args:
        model: a function that makes a `stvg_jax.retrieval.types.RetrievalModel`.
        picture: pixels of a side of the pictures that a model takes; None if it takes any.
    """

    def fit(config: Any, clip: RetrievalClip, *, training: bool = False) -> Any:
        """The configuration as it is."""
        side = clip.resolution if picture is None else picture(config)
        if picture is not None and clip.shown.size != (side, side):
            raise InputError(
                f"config.clip shows {clip.resolution} pixels by the size rule {clip.sizing}, but the model takes "
                f"squares of {side}; set config.clip.resolution={side} and config.clip.sizing=square"
            )
        return config

    return Family(
        config=config,
        clip=RetrievalClip,
        released_clip=released_clip,
        needed_frames=_needed_frames,
        model=model,
        losses=losses,
        learning_rates=learning_rates,
        groups=groups,
        task=task,
        text=text,
        fit=fit,
        least_bytes=least_bytes,
        batch=batch_shapes,
        inputs=_inputs,
        evaluator=_evaluator,
        formats=formats,
    )


def batch_shapes(
    experiment: Mapping[str, Any],
    config: Any,
    clip: RetrievalClip,
    *,
    rows: int,
    frames: int | None,
    width: int | None,
    tokens: int,
) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of a training batch, whose rows are a video and one of its captions.

    Args:
        experiment, config: not used.
        clip: of the model.
        rows: number of videos.
        frames: of each video; None for those of the clip.
        width: columns of a frame; None for those of the clip.
        tokens: of each text.
    """
    height, columns = clip.shown.size
    shapes = {
        "frames": (
            (clip.frames if frames is None else frames, height, columns if width is None else width, 3),
            np.uint8,
        ),
        "text_ids": ((tokens,), np.int32),
        "text_valid": ((tokens,), np.bool_),
        "sample": ((), np.int32),
    }
    return {name: jax.ShapeDtypeStruct((rows, *shape), dtype) for name, (shape, dtype) in shapes.items()}


def _needed_frames(clip: RetrievalClip) -> NeededFrames:
    return clip.needed_frames


def _inputs(config: Mapping[str, Any], split: str) -> Inputs:
    from stvg_jax.retrieval.inputs import RetrievalInputs

    return RetrievalInputs(config, split)


def _evaluator(clip: RetrievalClip) -> Evaluator:
    from stvg_jax.retrieval.evaluation.evaluator import RetrievalEvaluator

    return RetrievalEvaluator()
