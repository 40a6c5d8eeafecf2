"""TubeDETR (Yang et al., CVPR 2022): one decoder, with a query for each frame, predicts boxes and interval.

The model has no motion backbone. Its cross-modal encoder reads every k-th frame; a light branch adds the features of
all frames. The queries may be target-aware (`stvg_jax.grounding.query_config`), as in TA-STVG's study of other models;
they are made from the tokens that the decoder reads, and stand where the released model starts from zeros.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx

from stvg_jax.family import Rules
from stvg_jax.grounding.base import AppearanceConfig, AppearanceEncoder, TextReader, TubePredictor
from stvg_jax.grounding.decoder import DecoderInputs
from stvg_jax.grounding.encoder import TransformerConfig
from stvg_jax.grounding.evaluation.metrics import SAMPLED
from stvg_jax.grounding.family import grounding_family
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.grounding.losses import TubeLossConfig
from stvg_jax.grounding.protocol import SINGLE_PASS
from stvg_jax.grounding.query_config import AppearanceQueryConfig
from stvg_jax.grounding.query_generation import QueryTokens, TargetQueries, decode_chosen
from stvg_jax.grounding.task import backbone_rules
from stvg_jax.grounding.tubedetr_parts import (
    FAST_BRANCHES,
    FastBranch,
    QueryDecoder,
    SlowEncoder,
    SlowFastFeatures,
    logits_between,
    uniform,
)
from stvg_jax.grounding.types import GroundingBatch, GroundingOutput, TrueTube
from stvg_jax.nn.declare import Declared, Embed
from stvg_jax.nn.positions import time_positions

if TYPE_CHECKING:
    from stvg_jax.runtime.memory import Rows

TIME_POSITIONS = ("sine", "learned", "none")


@dataclasses.dataclass(frozen=True)
class TubeDETRConfig(AppearanceQueryConfig):
    """Every hyper-parameter of the model; the defaults are the released models of 352 pixels.

    Attributes:
        stride: k; the encoder reads frames 0, k, 2k, ..., and its output for each serves the frames up to the next.
        fast: branch that adds the features of all frames: "residual", as released; the ablations "gating", "pool"
            (mean over the cells of a frame), "transformer" (along time) and "noslow" (no encoder); "off" for none.
        along_time: whether the queries of a video attend to one another.
        time: positions of the queries over time: "sine", "learned" or "none".
        max_frames: rows of a learned table, and so the longest video.
    """

    transformer: TransformerConfig = TransformerConfig(head_dropout_rate=0.5)
    stride: int = 4
    fast: str = "residual"
    along_time: bool = True
    time: str = "sine"
    max_frames: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, known in (("fast", FAST_BRANCHES), ("time", TIME_POSITIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(known)}")
        for name in ("stride", "max_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.fast == "transformer" and self.time == "none":
            raise ValueError('fast="transformer" needs positions over time; set time="sine"')

    @property
    def joins_features(self) -> bool:
        return False


@dataclasses.dataclass(frozen=True)
class TubeDETRLossConfig(TubeLossConfig):
    """Weights of the terms; the defaults are those of every released model that starts from MDETR.

    Attributes:
        guided_attention: weight of the term of this name, which a model without attention over time lacks.
        appearance_sampling, appearance_attributes: weights of the terms of these names, of target-aware queries.
    """

    box_giou: float = 2.0
    start_end: float = 10.0
    sigma: float = 1.0
    guided_attention: float = 1.0
    appearance_sampling: float = 1.0
    appearance_attributes: float = 1.0


@dataclasses.dataclass(frozen=True)
class TubeDETRLearningRates:
    """Peak learning rates of the groups; the defaults are those of every released model that starts from MDETR.

    Attributes:
        base: everything else, including the projection of text tokens.
        image_backbone: ResNet from its second stage on; earlier layers stay as pre-trained.
        text: RoBERTa.
        target_queries: the classifiers of target-aware queries; as TA-STVG, two and a half times `base`.
    """

    base: float = 5e-5
    image_backbone: float = 1e-5
    text: float = 5e-5
    target_queries: float = 1.25e-4


def tubedetr_learning_rate_rules(config: AppearanceConfig) -> Rules:
    """Rules as in `stvg_jax.grounding.task.learning_rate_rules` (released: `main.py`)."""
    return (*backbone_rules(config), (r"roberta/.*", "text"), *config.own_groups, (r".*", "base"))


class TubeDETR(AppearanceEncoder, TextReader, TubePredictor):
    """The whole model.

    Args:
        config: see TubeDETRConfig.
        dtype: of the computation, for example bfloat16; parameters are float32 always.
    """

    def __init__(self, config: TubeDETRConfig = TubeDETRConfig(), *, dtype: Any = jnp.float32):
        super().__init__(config, dtype=dtype)
        self.config: TubeDETRConfig = config
        transformer, part = config.transformer, {"dtype": dtype}
        self._add_text_encoder(config, dtype)
        self.encoder = SlowEncoder(transformer, **part)
        if config.fast != "off":
            self.fast_branch = FastBranch(config.fast, transformer, **part)
        self.query = Embed(1, transformer.width, std=1.0, **part)
        if config.time == "learned":
            self.time_table = nnx.Param(Declared((config.max_frames, transformer.width), uniform(1.0, low=0.0)))
        self.target_queries = TargetQueries(config, {"appearance": config.appearance_words}, **part)
        self.decoder = QueryDecoder(transformer, along_time=config.along_time, **part)
        self._add_heads(transformer, dtype)

    def predict_to_train(self, batch: GroundingBatch, true_tube: TrueTube, *, rngs: nnx.Rngs | None) -> GroundingOutput:
        """Predictions for the losses, with the weights of attention over time; the true tube is used with `oracle`
        only."""
        video = self.encode_video(batch.frames, batch.frames_valid, batch.sizes, rngs=rngs)
        return self._predict(video, batch.text_ids, batch.text_valid, true_tube, rngs, second_pass=False)

    def encode_video(
        self,
        frames: jax.Array,
        frames_valid: jax.Array | None = None,
        sizes: jax.Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> SlowFastFeatures:
        """Runs the image backbone over all frames, or, without a fast branch, over the slow ones; arguments as in
        GroundingBatch."""
        stride, has_fast = self.config.stride, self.config.fast != "off"
        features = self.image_features(frames if has_fast else frames[:, ::stride], sizes)
        # Released: the backbone runs again for the fast branch, within `torch.no_grad()`.
        fast = self.appearance_projection(jax.lax.stop_gradient(features)) if has_fast else None
        return SlowFastFeatures(
            appearance=self.appearance_projection(features[:, ::stride] if has_fast else features),
            fast=fast,
            frames=jnp.zeros(frames.shape[1], bool),
            frames_valid=frames_valid,
            sizes=self.grid_sizes(sizes),
        )

    def ground(
        self,
        video: SlowFastFeatures,
        text_ids: jax.Array,
        text_valid: jax.Array | None = None,
        *,
        true_tube: TrueTube | None = None,
        rngs: nnx.Rngs | None = None,
    ) -> GroundingOutput:
        """Grounds sentences in videos whose features are known.

        Args:
            video: of `encode_video`.
            text_ids, text_valid: as in GroundingBatch.
            true_tube: of the same videos, for a model with `oracle`.
            rngs: stream `dropout`, to train; None at inference.
        """
        return dataclasses.replace(self._predict(video, text_ids, text_valid, true_tube, rngs), attention=None)

    def encode(
        self,
        video: SlowFastFeatures,
        text_ids: jax.Array,
        text_valid: jax.Array | None = None,
        *,
        rngs: nnx.Rngs | None = None,
    ) -> DecoderInputs:
        """Runs text encoder, encoder and fast branch; arguments as for `ground`. Tokens of a frame are the cells of its
        grid, in row-major order, and the text."""
        config = self.config
        b, _, h, w, d = video.appearance.shape
        n, t = h * w, len(video.frames)
        text = self.encode_text(text_ids, text_valid, rngs=rngs)
        joined = self.encoder.join(video.appearance, text, video.sizes, text_valid)
        tokens = joined.tokens if config.fast == "noslow" else self.encoder(joined, rngs=rngs)
        tokens = jnp.repeat(tokens, config.stride, axis=1)[:, :t]
        if video.fast is not None:
            fast, time = video.fast.reshape(b, t, n, d), self._time(t)
            masks = joined.grid_valid, video.frames_valid
            cells = self.fast_branch(tokens[:, :, :n], fast, time, *masks, rngs=rngs)
            tokens = jnp.concatenate([cells, tokens[:, :, n:]], axis=2)
        return DecoderInputs(self._place(t), tokens, joined.positions, joined.valid, video.frames_valid)

    def _predict(
        self,
        video: SlowFastFeatures,
        text_ids: jax.Array,
        text_valid: jax.Array | None,
        true_tube: TrueTube | None,
        rngs: nnx.Rngs | None,
        *,
        second_pass: bool | None = None,
    ) -> GroundingOutput:
        inputs = self.encode(video, text_ids, text_valid, rngs=rngs)
        _, _, h, w, _ = video.appearance.shape
        found = self.target_queries.find(QueryTokens.of_decoder(inputs, (h, w), video.sizes), true_tube, rngs=rngs)

        def actioness(states: jax.Array) -> jax.Array:
            return logits_between(self._predict_ends(states[-1:], rngs), video.frames_valid)[0]

        (states, attention, _), chosen = decode_chosen(
            found,
            self.config,
            lambda chosen: self.decoder(found.query("appearance", chosen), inputs, rngs=rngs),
            lambda decoded: actioness(decoded[0]),
            second_pass=second_pass,
        )
        start_end = self._predict_ends(states, rngs)
        output = GroundingOutput(
            boxes_cxcywh=nnx.sigmoid(self.box_head(states).astype(jnp.float32)),
            start_end_logits=start_end,
            actioness_logits=logits_between(start_end, video.frames_valid),
            attention=attention,
        )
        return found.add_to(output, chosen)

    def _place(self, length: int) -> jax.Array:
        """Positions of the queries, [length, d]."""
        place, time = self.query(jnp.zeros(length, jnp.int32)), self._time(length)
        return place if time is None else place + time

    def _time(self, length: int) -> jax.Array | None:
        """Positions over time, [length, d]; None for a model without them."""
        if self.config.time == "none":
            return None
        if self.config.time == "sine":
            return jnp.asarray(time_positions(length, self.config.transformer.width), self.dtype)
        if length > self.config.max_frames:
            raise ValueError(f"{length} frames; the learned positions are of {self.config.max_frames}")
        return self.time_table[...][:length].astype(self.dtype)


def least_bytes(config: TubeDETRConfig, rows: Rows) -> int:
    """Lower bound of the memory that these rows need: their pixels, and the larger of the stem's output for one frame
    and the tokens of all frames."""
    stem = rows.height * rows.width // 4 * config.resnet.width
    places = rows.height * rows.width // config.resnet.stride**2
    tokens = rows.rows * rows.frames * places * config.transformer.width
    return int(rows.pixels_bytes + max(stem, tokens) * rows.number_bytes)


def released_clip(rules: str | None) -> ClipConfig:
    """See `stvg_jax.family.Family`."""
    sampling = {"sampling": f"tubedetr_{rules or ClipConfig.sampling}", "frames_per_pass": 200, "sample_fps": 5.0}
    return ClipConfig(resolution=352, sizing="five_to_three", **sampling)


FAMILY = dataclasses.replace(
    grounding_family(
        TubeDETRConfig,
        TubeDETR,
        TubeDETRLossConfig,
        TubeDETRLearningRates,
        groups=tubedetr_learning_rate_rules,
        protocol=SINGLE_PASS,
        own_measures=SAMPLED,
        released_clip=released_clip,
        formats=("stvg_jax.convert.formats.tubedetr",),
    ),
    least_bytes=least_bytes,
)
