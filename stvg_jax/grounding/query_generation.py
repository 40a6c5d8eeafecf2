"""Target-aware queries of a model: classifiers that find the target, and the queries made from what they find."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.grounding.decoder import DecoderInputs
from stvg_jax.grounding.encoder import EncodedVideo
from stvg_jax.grounding.query_config import QueryConfig
from stvg_jax.grounding.regions import region_weights
from stvg_jax.grounding.target_queries import (
    Activation,
    SpatialActivation,
    TemporalSampling,
    choose_frames,
    mean_over_chosen,
    mean_query,
    pool_query,
)
from stvg_jax.grounding.types import GroundingOutput, TrueTube
from stvg_jax.nn.masking import masked_mean, within

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class QueryTokens:
    """The encoder's tokens from which queries are made.

    Attributes:
        streams: "appearance", and "motion" where the model has it -> [b, t, n, d], tokens of the feature grid.
        text: [b, t, l, d], tokens of the text, encoded with each frame.
        grid: rows and columns of the feature grid, padding included.
        sizes: int32 [b, 2], real rows and columns, or None.
        text_valid: bool [b, l] or None.
        frames_valid: bool [b, t] or None.
    """

    streams: Mapping[str, jax.Array]
    text: jax.Array
    grid: tuple[int, int]
    sizes: jax.Array | None
    text_valid: jax.Array | None
    frames_valid: jax.Array | None

    @classmethod
    def of_both_streams(cls, encoded: EncodedVideo, grid: tuple[int, int], sizes: jax.Array | None) -> QueryTokens:
        """The tokens of a model with appearance and motion; `grid` and `sizes` as above."""
        streams = {"appearance": encoded.appearance, "motion": encoded.motion}
        return cls(streams, encoded.text, grid, sizes, encoded.text_valid, encoded.frames_valid)

    @classmethod
    def of_decoder(cls, inputs: DecoderInputs, grid: tuple[int, int], sizes: jax.Array | None) -> QueryTokens:
        """The tokens that a decoder reads, those of the grid before those of the text; `grid` and `sizes` as above."""
        n = grid[0] * grid[1]
        streams, text = {"appearance": inputs.tokens[:, :, :n]}, inputs.tokens[:, :, n:]
        text_valid = None if inputs.tokens_valid is None else inputs.tokens_valid[:, n:]
        return cls(streams, text, grid, sizes, text_valid, inputs.frames_valid)

    @property
    def grid_valid(self) -> jax.Array | None:
        """Real tokens of the grid, bool [b, n] or None."""
        return None if self.sizes is None else within(self.sizes, *self.grid).reshape(len(self.sizes), -1)

    @property
    def mean_text(self) -> jax.Array:
        """Text tokens averaged over the real frames, [b, l, d]."""
        frames = None if self.frames_valid is None else self.frames_valid[:, :, None, None]
        return masked_mean(self.text, frames, axis=1)


@dataclasses.dataclass(frozen=True)
class FoundTarget:
    """Frames and places of the target, and queries made from them.

    Attributes:
        tokens: as given to TargetQueries.
        relevance: stream -> relevance of each frame to the text, logits float32 [b, t]; empty without sampling.
        activations: stream -> Activation; empty without activation.
        true_cells: bool [b, t, n], of `find_true_cells`, for queries from the true tube; None for queries from
            classifiers.
    """

    tokens: QueryTokens
    relevance: Mapping[str, jax.Array]
    activations: Mapping[str, Activation]
    true_cells: jax.Array | None

    @property
    def score(self) -> jax.Array:
        """Mean of the streams' probabilities of relevance, float32 [b, t]; 1 without sampling."""
        if not self.relevance:
            return jnp.ones(self.tokens.text.shape[:2], jnp.float32)
        probabilities = map(jax.nn.sigmoid, self.relevance.values())
        return functools.reduce(operator.add, probabilities) / len(self.relevance)

    def query(self, stream: str, chosen: jax.Array) -> jax.Array:
        """The query of each video from a stream and chosen frames, bool [b, t], repeated for all frames: [b, t, d]."""
        tokens = self.tokens.streams[stream]
        b, t, _, d = tokens.shape
        if self.true_cells is not None:
            query = mean_query(tokens, self.true_cells)
        elif not self.relevance and not self.activations:
            query = jnp.zeros((b, d), tokens.dtype)
        else:
            weights = self.activations[stream].weights if self.activations else None
            query = pool_query(tokens, weights, chosen, self.tokens.grid_valid)
        return jnp.broadcast_to(query[:, None], (b, t, d))

    def add_to(self, output: GroundingOutput, chosen: jax.Array) -> GroundingOutput:
        """The output of a model that has decoded with these chosen frames, bool [b, t], with what was found."""
        fields = {f"{stream}_sampling_logits": logits for stream, logits in self.relevance.items()}
        if self.relevance:
            fields["sampling_score"] = self.score
        for stream, activation in self.activations.items():
            fields[f"{stream}_attribute_logits"] = mean_over_chosen(activation.word_logits, chosen)
        return dataclasses.replace(output, **fields)


class TargetQueries(nnx.Module):
    """Classifiers that target-aware queries need, one of each kind for each stream.

    Args:
        config: of the model.
        words: stream -> size of its attribute vocabulary.
        dtype: of the computation.
    """

    def __init__(self, config: QueryConfig, words: Mapping[str, int], *, dtype: Any):
        width, heads = config.transformer.width, config.transformer.heads
        common = {"dropout_rate": config.transformer.dropout_rate, "dtype": dtype}
        self.config = config
        self.streams = tuple(words)
        for stream, count in words.items():
            if config.samples:
                setattr(self, f"{stream}_sampling", TemporalSampling(width, heads, **common))
            if config.activates:
                setattr(self, f"{stream}_activation", SpatialActivation(width, heads, count, **common))

    def find(
        self, tokens: QueryTokens, true_tube: TrueTube | None = None, *, rngs: nnx.Rngs | None = None
    ) -> FoundTarget:
        """Finds the target in every frame.

        Args:
            tokens: of the encoder.
            true_tube: of the same videos; used with `oracle` only.
            rngs: stream `dropout`, to train.

        Raises:
            ValueError: a model with `oracle` is not given the true tube.
        """
        if self.config.oracle and true_tube is None:
            raise ValueError("this model makes its queries from the true tube (oracle=True); give true_tube")
        return FoundTarget(
            tokens,
            relevance=self.sample(tokens, rngs=rngs) if self.config.samples else {},
            activations=self.activate(tokens, rngs=rngs) if self.config.activates else {},
            true_cells=find_true_cells(true_tube, tokens) if self.config.oracle and true_tube else None,
        )

    def sample(self, tokens: QueryTokens, *, rngs: nnx.Rngs | None = None) -> dict[str, jax.Array]:
        """The relevance of every frame to the text, stream -> logits float32 [b, t]."""
        text = jax.lax.stop_gradient(tokens.mean_text)
        cells = tokens.grid_valid
        places = None if cells is None else cells[:, None, :, None]
        relevance = {}
        # Motion is first: the order decides which random numbers dropout draws.
        for stream in reversed(self.streams):
            pooled = masked_mean(jax.lax.stop_gradient(tokens.streams[stream]), places, axis=2)
            classifier = getattr(self, f"{stream}_sampling")
            relevance[stream] = classifier(pooled, text, tokens.text_valid, rngs=rngs)
        return relevance

    def activate(self, tokens: QueryTokens, *, rngs: nnx.Rngs | None = None) -> dict[str, Activation]:
        """The places of the subject in every frame, by stream."""
        subject = jax.lax.stop_gradient(tokens.mean_text[:, 0])
        activations = {}
        for stream in self.streams:
            cells = jax.lax.stop_gradient(tokens.streams[stream])
            classifier = getattr(self, f"{stream}_activation")
            activations[stream] = classifier(cells, subject, tokens.grid_valid, rngs=rngs)
        return activations


def decode_chosen(
    found: FoundTarget,
    config: QueryConfig,
    decode: Callable[[jax.Array], T],
    actioness: Callable[[T], jax.Array],
    *,
    second_pass: bool | None,
) -> tuple[T, jax.Array]:
    """Decodes with the queries of relevant frames, then perhaps with those of the frames that the answer points to.

    Args:
        found: of TargetQueries.
        config: of the model.
        decode: chosen frames bool [b, t] -> result of the decoders.
        actioness: result of `decode` -> logits float32 [b, t].
        second_pass: overrides the setting of the configuration.

    Returns:
        The last result of `decode`, and the frames that it was given.
    """
    threshold = config.sampling_threshold if found.relevance else 0.0
    chosen = choose_frames(found.score, threshold, found.tokens.frames_valid)
    decoded = decode(chosen)
    # Queries from the true tube do not depend on the chosen frames.
    if (config.second_pass if second_pass is None else second_pass) and found.true_cells is None:
        probability = jax.nn.sigmoid(actioness(decoded))
        chosen = choose_frames(probability, config.actioness_threshold, found.tokens.frames_valid)
        decoded = decode(chosen)
    return decoded, chosen


def find_true_cells(true_tube: TrueTube, tokens: QueryTokens) -> jax.Array:
    """Cells of the feature grid inside the true box, in the frames of the true tube.

    Args:
        true_tube: of the same videos.
        tokens: their tokens.

    Returns:
        bool [b, t, n], with at least one cell in each frame of the tube (`region_weights`). For a video without a frame
        in the tube, as in a pass between whose frames a short tube lies, all real cells.
    """
    inside = region_weights("cells", true_tube.finite_boxes, tokens.grid, tokens.sizes) > 0
    real = jnp.ones_like(inside)
    if tokens.grid_valid is not None:
        real &= tokens.grid_valid[:, None]
    if tokens.frames_valid is not None:
        real &= tokens.frames_valid[..., None]
    cells = inside & true_tube.in_tube[..., None] & real
    return jnp.where(cells.any((1, 2), keepdims=True), cells, real)
