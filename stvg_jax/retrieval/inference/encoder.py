"""`VideoTextEncoder`: a loaded retrieval model that turns clips and sentences into embeddings."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from stvg_jax.core.arguments import check_text
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.pixels import normalize_as_clip
from stvg_jax.core.tree import unflatten
from stvg_jax.models.loading import LoadedModel, load_model
from stvg_jax.models.names import BUILTIN_RETRIEVAL, find_checkpoint
from stvg_jax.retrieval.clip import RetrievalClip
from stvg_jax.retrieval.types import RetrievalModel
from stvg_jax.runtime.compilation import Program


class VideoTextEncoder:
    """A loaded retrieval model. Make one with `VideoTextEncoder.load`.

    Args:
        model: a loaded checkpoint.
        rows: clips that are encoded at once. The number does not change a result: they are computed one after another.

    Raises:
        InputError: the model does not compare videos with texts.
    """

    def __init__(self, model: LoadedModel, rows: int = 4):
        if not isinstance(model.clip, RetrievalClip):
            raise InputError(
                f"a {model.description.model} does not compare videos with sentences; give the checkpoint of a "
                "retrieval model, such as one made by `stvg-jax convert` from a file of STGT"
            )
        module = model.module
        self.clip: RetrievalClip = model.clip
        self.rows = rows
        self._model = model
        self._videos = Program(
            "video encoder", lambda p, frames: module.apply(p, lambda m: _encode_clips(m, frames)), model.identity
        )
        self._texts = Program(
            "text encoder", lambda p, *a: module.apply(p, lambda m: m.encode_texts(*a).embeddings), model.identity
        )

    @classmethod
    def load(
        cls, checkpoint: str | os.PathLike[str] = BUILTIN_RETRIEVAL, *, dtype: str = "float32"
    ) -> VideoTextEncoder:
        """Loads a checkpoint of a retrieval model.

        Args:
            checkpoint: its folder or name; by default the built-in one, which knows only generated videos of shapes.
            dtype: of the computation, "float32" or "bfloat16".

        Raises:
            InputError: it is not one, or is damaged.
        """
        return cls(load_model(find_checkpoint(checkpoint), dtype=dtype))

    @functools.cached_property
    def parameters(self) -> dict[Any, Any]:
        """Nested arrays on the device."""
        return jax.device_put(unflatten(dict(self._model.read_parameters())))

    @property
    def identity(self) -> dict[str, Any]:
        """JSON values that decide the embeddings: the model and checksums of its parameters."""
        return self._model.content

    @functools.cached_property
    def embedding_shape(self) -> tuple[int, int]:
        """(q, e) of the embeddings of a clip."""
        shown = self.clip.shown
        clip = jax.ShapeDtypeStruct((1, shown.frames, *shown.size, 3), np.uint8)
        declared, module = unflatten(self._model.module.declarations), self._model.module
        _, q, e = jax.eval_shape(
            lambda p, frames: module.apply(p, lambda m: _encode_clips(m, frames)), declared, clip
        ).shape
        return q, e

    def checked_against(self, identity: Mapping[str, Any], index: Path) -> VideoTextEncoder:
        """This model, if it has made an index with this identity.

        Raises:
            InputError: another one has.
        """
        if json.loads(json.dumps(self.identity)) != identity:
            raise InputError(
                f"{index} was made by another checkpoint than this one; embeddings of two models cannot be compared. "
                "Give the checkpoint that made it, or make the index anew"
            )
        return self

    def encode_clips(self, frames: np.ndarray) -> np.ndarray:
        """Embeddings of clips, float32 [n, q, e].

        Args:
            frames: uint8 [n, t, h, w, 3], n at most `rows`.
        """
        padded = np.pad(frames, ((0, self.rows - len(frames)), *((0, 0),) * (frames.ndim - 1)))
        return np.asarray(self._videos(self.parameters, padded))[: len(frames)]

    def encode_sentences(self, sentences: Sequence[str]) -> np.ndarray:
        """Embeddings of sentences, float32 [n, e].

        Raises:
            InputError: a sentence is empty, too long or not text; or an embedding is not finite.
        """
        from stvg_jax.data_pipeline.language.captions import caption_text

        tokenizer = self._model.tokenizer
        results = []
        for sentence in sentences:
            text = caption_text(check_text("sentence", sentence))
            if not any(map(str.isalnum, text)):
                raise InputError(f"sentence {quoted(sentence, 60)} has no word; describe what is to be found")
            ids = tokenizer.cut(text)
            valid = np.arange(tokenizer.max_tokens) < len(ids)
            padded = np.pad(ids, (0, tokenizer.max_tokens - len(ids)))
            results.append(np.asarray(self._texts(self.parameters, padded[None], valid[None]))[0])
        return finite(np.stack(results))


def _encode_clips(model: RetrievalModel, frames: jax.Array) -> jax.Array:
    def clip(frames: jax.Array) -> jax.Array:
        shown = normalize_as_clip(frames)
        return model.encode_videos(shown[None]).embeddings[0]

    return jax.lax.map(clip, frames)


def finite(embeddings: np.ndarray) -> np.ndarray:
    """`embeddings`, any shape; raises InputError unless they are finite."""
    if not np.isfinite(embeddings).all():
        raise InputError("an embedding is not finite: the model's parameters are bad, or bfloat16 is too coarse for it")
    return embeddings
