"""Samples and a store in memory for the loader's tests. Every picture shows its number and which side is which."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import Sample
from stvg_jax.data_pipeline.loading.config import LoaderConfig
from stvg_jax.data_pipeline.loading.loader import Loader
from stvg_jax.data_pipeline.shards import Settings, StoredVideo
from tests.videos import numbered_picture

SIZES = ((96, 64), (64, 80), (120, 64), (96, 64), (88, 64))
SENTENCES = (
    "The man walks to the left.",
    "a dog sits",
    "the man left the room",
    "on the right the cat jumps up",
    "he is",
)
CONFIG = LoaderConfig(resolution=32, width_multiple=8, text_lengths=(8, 16, 64), appearance_words=5, motion_words=7)


def jpeg(picture: np.ndarray, quality: int = 95) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling="4:4:4")
    return buffer.getvalue()


def stored_video(width: int, height: int, frames: int, stored: tuple[int, int] | None = None) -> StoredVideo:
    """A description; `stored` is (height, width) of the stored pictures where that differs."""
    stored_height, stored_width = stored or (height, width)
    return StoredVideo(
        file="shards/made-up", bytes=0, sha256="", frame_count=frames, width=width, height=height, fps=10.0, rotation=0,
        stored_width=stored_width, stored_height=stored_height, frames=None,
        source_bytes=0, source_mtime_ns=0, source_sha256="",
    )  # fmt: skip


class MemoryStore:
    """As `FrameStore`, with numbered pictures made when they are read. `damaged` holds (video, frame) pairs."""

    def __init__(self, videos: dict[str, StoredVideo]) -> None:
        self.videos = videos
        self.settings = Settings()
        self.damaged: set[tuple[str, int]] = set()

    def read(self, video: str, frame_ids: Sequence[int] | np.ndarray) -> list[bytes]:
        about = self.videos[video]
        files = [jpeg(numbered_picture(int(i), about.stored_width, about.stored_height)) for i in frame_ids]
        return [f[:200] if (video, int(i)) in self.damaged else f for i, f in zip(frame_ids, files, strict=True)]


def make_samples(count: int = 5, frames: int = 40) -> tuple[list[Sample], MemoryStore]:
    """Samples of videos with 40, 41, ... frames in several shapes, and a store that has them."""
    samples, videos = [], {}
    for i in range(count):
        (width, height), length = SIZES[i % len(SIZES)], frames + i
        first, number = 5 + i % 7, 12 + i % 5
        samples.append(
            Sample(
                id=str(100 + i),
                video=f"{i}.mp4",
                sentence=SENTENCES[i % len(SENTENCES)],
                subject="the man",
                kind="declarative",
                category="person",
                width=width,
                height=height,
                clip=(0, length),
                tube=(first, first + number),
                boxes_xyxy=np.array([box_at(first + k) for k in range(number)], float),
                appearance_labels=(i % 5,),
                motion_labels=(i % 7, (i + 1) % 7),
            )  # fmt: skip
        )
        videos[f"{i}.mp4"] = stored_video(width, height, length)
    return samples, MemoryStore(videos)


def box_at(frame: int) -> tuple[int, int, int, int]:
    """A box that tells the frame."""
    return frame % 30, 4, frame % 30 + 20, 40


def tokenize(text: str) -> np.ndarray:
    """A token for each word, which is 10 plus its length, and for "left" 1001, for "right" 1002."""
    known = {"left": 1001, "right": 1002}
    words = [known.get(word.strip(".,"), 10 + len(word)) for word in text.split()]
    if len(words) > 30:
        raise InputError(f"{len(words)} words are too many")
    return np.array([0, *words, 2], np.int32)


def make_loader(count: int = 5, *, config: LoaderConfig = CONFIG, **options) -> Loader:
    samples, store = make_samples(count)
    return Loader(samples, store, tokenize, config, **({"training": True, "batch_size": 2} | options))
