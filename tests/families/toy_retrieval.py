"""A family of another task in one module: two towers, a loss over the whole batch, data and measures of its own."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stvg_jax.convert.rules import Format, array, embedding, linear
from stvg_jax.core.errors import InputError
from stvg_jax.core.json_files import parse_json
from stvg_jax.family import Family, Report, TextSize
from stvg_jax.nn.declare import Declared, Embed, Linear, PureModule, ones
from stvg_jax.nn.layers import dropout
from stvg_jax.train.task import WholeBatch

CHANNELS = 6


@dataclasses.dataclass(frozen=True)
class ToyConfig:
    """Sizes of both towers."""

    width: int = 16
    vocab_size: int = 64
    max_tokens: int = 16
    dropout_rate: float = 0.0


@dataclasses.dataclass(frozen=True)
class ToyClip:
    """Videos are vectors here; nothing is to be said of them."""


@dataclasses.dataclass(frozen=True)
class ToyLoss:
    contrastive: float = 1.0


@dataclasses.dataclass(frozen=True)
class ToyRates:
    base: float = 3e-2


class Towers(nnx.Module):
    """Videos float [b, 6] and texts int32 [b, l] -> unit vectors [b, width]."""

    def __init__(self, config: ToyConfig, *, dtype: Any):
        self.config = config
        self.video = Linear(CHANNELS, config.width, dtype=dtype)
        self.words = Embed(config.vocab_size, config.width, std=1.0, dtype=dtype)
        self.temperature = nnx.Param(Declared((), ones))

    def __call__(self, batch: Mapping[str, jax.Array], rngs: nnx.Rngs | None = None) -> dict[str, jax.Array]:
        words = jnp.where(batch["text_valid"][..., None], self.words(batch["text_ids"]), 0).sum(1)
        video = dropout(self.video(batch["video"]), self.config.dropout_rate, rngs)
        return {name: x / jnp.linalg.norm(x, axis=-1, keepdims=True) for name, x in (("video", video), ("text", words))}


@dataclasses.dataclass(frozen=True)
class ToyTask:
    """InfoNCE over the whole batch, both ways."""

    module: PureModule
    losses: ToyLoss

    def count(self, batch):
        return (batch["sample"] >= 0).sum().astype(jnp.float32)

    def prepare(self, batch):
        return batch, batch["sample"] >= 0

    def embed(self, parameters, inputs, key):
        return self.module.apply(parameters, lambda model: model(inputs))

    def contrast(self, parameters, inputs, targets, whole: WholeBatch, counts, key):
        own, scale = whole.own(), jnp.exp(parameters["temperature"])
        losses = jnp.zeros(len(targets))
        for side, other in (("video", "text"), ("text", "video")):
            logits = jnp.where(whole.targets, scale * own[side] @ whole.embeddings[other].T, -1e9)
            log_p = jax.nn.log_softmax(logits)
            losses -= jnp.take_along_axis(log_p, whole.rows[:, None], axis=1)[:, 0] / 2
        term = jnp.where(targets, losses, 0).sum() / counts
        return self.losses.contrastive * term, ({"contrastive": term}, {})


@dataclasses.dataclass(frozen=True)
class Pair:
    """The data record: a video, which is a vector, and its sentence."""

    id: str
    video: tuple[float, ...]
    sentence: str


class PairLoader:
    """Batches of pairs in an order that depends on (seed, epoch)."""

    largest_clip = (1, 1, 1)
    sent = ("video", "text_ids", "text_valid", "sample")

    def __init__(self, pairs, tokenizer, *, training, batch_size, hosts, seed, only):
        self._pairs, self._tokenizer, self._training, self._seed = pairs, tokenizer, training, seed
        self._indices = np.arange(len(pairs)) if only is None else np.array(only)
        self._rows, self._host = batch_size // hosts[1], hosts[0]
        self._batch_size = batch_size
        whole = len(pairs) // batch_size
        self.steps_per_epoch = whole if training else -(-len(self._indices) // batch_size)

    def batches(self, first_step: int = 0, end: int | None = None) -> Iterator[dict[str, np.ndarray]]:
        end = (2**40 if self._training else self.steps_per_epoch) if end is None else end
        for step in range(first_step, end):
            epoch, number = divmod(step, self.steps_per_epoch)
            order = self._indices
            if self._training:
                order = np.random.default_rng([self._seed, epoch]).permutation(order)
            chosen = order[number * self._batch_size :][: self._batch_size]
            chosen = np.pad(chosen, (0, self._batch_size - len(chosen)), constant_values=-1)
            yield self._batch(chosen[self._host * self._rows :][: self._rows])

    def _batch(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        texts = [self._tokenizer(self._pairs[i].sentence) for i in samples]
        ids = np.stack([np.pad(text, (0, 16 - len(text))) for text in texts])
        return {
            "video": np.array([self._pairs[i].video for i in samples], np.float32),
            "text_ids": ids.astype(np.int32),
            "text_valid": np.arange(16) < np.array([len(text) for text in texts])[:, None],
            "sample": samples.astype(np.int32),
        }


class PairInputs:
    """A split of pairs.json, `config.data.pairs`."""

    def __init__(self, config: Mapping[str, Any], split: str):
        path = Path(config["data"]["pairs"])
        pairs = json.loads(path.read_text())[split]
        self.samples = [Pair(pair["id"], tuple(pair["video"]), pair["sentence"]) for pair in pairs]
        self.sentences = [pair.sentence for pair in self.samples]
        self.identity = {"samples": [pair.id for pair in self.samples]}

    def loader(self, config, clip, tokenizer, *, training, batch_size, hosts, seed=0, only=None) -> PairLoader:
        options = {"training": training, "batch_size": batch_size, "hosts": hosts, "seed": seed, "only": only}
        return PairLoader(self.samples, tokenizer, **options)

    def texts(self, config, clip) -> list[str]:
        return self.sentences


@dataclasses.dataclass(frozen=True)
class PairRecord:
    """The embeddings of a pair."""

    id: str
    video: list[float]
    text: list[float]

    def to_line(self) -> str:
        return json.dumps(dataclasses.asdict(self))


class RetrievalEvaluator:
    """R@1 of videos for texts, over the whole split."""

    unit, rows = "pair", 1

    def check(self, config, model) -> None:
        for setting, usual in (("benchmark", "none"), ("subject", "annotated")):
            if (value := getattr(config, setting)) != usual:
                raise InputError(f"config.eval.{setting} is {value!r}; pairs have none, leave it at {usual!r}")

    def change(self, inputs, config) -> None:
        return None

    def outputs(self, model, batch):
        return model(batch)

    def answers(self, batch, outputs, samples: Sequence[Pair]) -> list[PairRecord]:
        return [
            PairRecord(samples[index].id, outputs["video"][row].tolist(), outputs["text"][row].tolist())
            for row, index in enumerate(batch["sample"])
            if index >= 0
        ]

    def from_line(self, line: bytes) -> PairRecord:
        try:
            return PairRecord(**parse_json(line))
        except TypeError as error:
            raise ValueError(str(error)) from error

    def report(self, records, model, inputs, config, out: Path, *, examples: int) -> Report:
        video, text = (np.array([getattr(record, side) for record in records]) for side in ("video", "text"))
        recall = float(((text @ video.T).argmax(1) == np.arange(len(records))).mean())
        (out / "metrics.json").write_text(json.dumps({"R@1": recall}))
        return Report({"R@1": recall}, recall, f"R@1 {100 * recall:.1f}")


FORMAT = Format(
    name="towers",
    describes="two towers of another library",
    signature=(r"visual\..+", r"words\..+"),
    rules=(
        *linear("visual", "video"),
        *embedding("words", "words"),
        *array("logit_scale", "temperature"),
    ),
)


def _batch(experiment, config, clip, *, rows, frames, width, tokens) -> dict[str, jax.ShapeDtypeStruct]:
    shapes = {"video": ((rows, CHANNELS), jnp.float32), "text_ids": ((rows, tokens), jnp.int32)}
    shapes |= {"text_valid": ((rows, tokens), jnp.bool_), "sample": ((rows,), jnp.int32)}
    return {name: jax.ShapeDtypeStruct(shape, dtype) for name, (shape, dtype) in shapes.items()}


FAMILY = Family(
    config=ToyConfig,
    clip=ToyClip,
    model=Towers,
    losses=ToyLoss,
    learning_rates=ToyRates,
    groups=lambda config: ((".*", "base"),),
    task=ToyTask,
    text=lambda config: TextSize(config.vocab_size, config.max_tokens),
    fit=lambda config, clip, *, training=False: config,
    least_bytes=lambda config, rows: 0,
    batch=_batch,
    inputs=PairInputs,
    evaluator=lambda clip: RetrievalEvaluator(),
    formats=(__name__,),
)
