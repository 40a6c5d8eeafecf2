"""A retrieval model of a handful of numbers, and a dataset of tiny videos for it.

`python -m tests.retrieval.toy COMMAND ...` is the command line with this family in its registry.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stvg_jax.core import checkpoint
from stvg_jax.core.registry import FAMILIES
from stvg_jax.core.tree import flatten, unflatten
from stvg_jax.family import TextSize
from stvg_jax.nn.declare import Embed, Linear, PureModule, initialize, normal
from stvg_jax.retrieval.clip import RetrievalClip
from stvg_jax.retrieval.family import retrieval_family
from stvg_jax.retrieval.types import Texts, Videos
from stvg_jax.runtime.tokenizer import write_word_tokenizer
from tests.videos import write_video

NAME = "toy_videos"
COLORS = {"red": (220, 20, 20), "green": (20, 200, 40), "blue": (30, 30, 230), "white": (240, 240, 240)}
# Video, its frames, the colour of its first and second half, and its captions.
VIDEOS = (
    ("a.mp4", 24, "red", "blue", ("Red, then blue.",)),
    ("b.mp4", 17, "green", "white", ("green then white", "white after green")),
    ("c.mp4", 30, "blue", "blue", ("blue!", "it is blue: all of it", "blue; only blue")),
    ("deep/d.mp4", 3, "white", "red", ("white and red",)),
    ("a.mp4", 24, "red", "blue", ("blue after red",)),
    ("e.mp4", 20, "green", "red", ("red after green", "green, red")),
)


@dataclasses.dataclass(frozen=True)
class ToyConfig:
    vocab_size: int = 64
    max_tokens: int = 8
    width: int = 6


@dataclasses.dataclass(frozen=True)
class Nothing:
    base: float = 0.0


class ToyModel(nnx.Module):
    """A `stvg_jax.retrieval.types.RetrievalModel`: a token and an embedding for each frame."""

    def __init__(self, config: ToyConfig, *, dtype: Any):
        self.frame = Linear(3, config.width, init=normal(1.0), dtype=dtype)
        self.words = Embed(config.vocab_size, config.width, std=1.0, dtype=dtype)
        self.memory = Linear(config.width, config.width, init=normal(1.0), dtype=dtype)

    def encode_videos(self, frames: jax.Array) -> Videos:
        tokens = jnp.tanh(self.frame(frames.mean((2, 3))))
        return Videos(tokens, _unit(tokens))

    def encode_texts(self, ids: jax.Array, valid: jax.Array) -> Texts:
        return Texts(_unit(self._text(ids, valid)))

    def similarity(self, videos: jax.Array, texts: jax.Array) -> jax.Array:
        return jnp.einsum("vqe,te->vqt", videos, texts).max(1)

    def video_memory(self, tokens: jax.Array) -> jax.Array:
        return self.memory(tokens)

    def match(self, memory: jax.Array, ids: jax.Array, valid: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(jnp.einsum("ne,pe->pn", memory, self._text(ids, valid))).mean(1)

    def _text(self, ids: jax.Array, valid: jax.Array) -> jax.Array:
        return jnp.where(valid[..., None], self.words(ids), 0).sum(1)


def _unit(x: jax.Array) -> jax.Array:
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


FAMILY = retrieval_family(
    ToyConfig,
    ToyModel,
    Nothing,
    Nothing,
    groups=lambda config: ((".*", "base"),),
    task=lambda module, losses: None,
    text=lambda config: TextSize(config.vocab_size, config.max_tokens, "bert"),
)
CLIP = RetrievalClip(frames=4, resolution=32)


def parameters() -> tuple[PureModule, dict]:
    """The model and its numbers."""
    module = PureModule(ToyModel(ToyConfig(), dtype=np.float32))
    return module, initialize(unflatten(module.declarations), seed=0)


def write_checkpoint(folder: Path) -> Path:
    """Writes the model as a checkpoint, with a tokenizer of the words of the captions."""
    with checkpoint.new_directory(folder) as partial:
        texts = [text for *_, captions in VIDEOS for text in captions]
        write_word_tokenizer(partial / checkpoint.TOKENIZER, texts, ToyConfig().vocab_size)
        sections = {"model": dataclasses.asdict(ToyConfig()), "clip": dataclasses.asdict(CLIP)}
        description = checkpoint.Description(model=NAME, config=sections, note="drawn")
        checkpoint.write(partial, flatten(parameters()[1]), description)
    return folder


def write_dataset(folder: Path) -> Path:
    """Writes the videos and their captions, in the layouts of MSVD and of MSR-VTT."""
    for name, frames, first, second, _ in VIDEOS:
        (folder / "videos" / name).parent.mkdir(parents=True, exist_ok=True)

        def draw(number: int, width: int, height: int, half=frames / 2, colors=(first, second)) -> np.ndarray:
            return np.full((height, width, 3), COLORS[colors[number >= half]], np.uint8)

        write_video(folder / "videos" / name, frames, (64, 48), draw=draw)
    entries = [{"video": Path(name).name, "caption": list(captions)} for name, *_, captions in VIDEOS]
    for name in ("cap_test.json", "retrieval_test.json"):
        (folder / name).write_text(json.dumps(entries))
    return folder


if __name__ == "__main__":
    from stvg_jax.cli import main

    FAMILIES[NAME] = "tests.retrieval.toy"
    sys.exit(main(sys.argv[1:]))
