"""Pairs of a video and one of its captions, in batches for the training of retrieval models."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.fixed_number import choose_frames
from stvg_jax.data_pipeline.language.captions import caption_text
from stvg_jax.data_pipeline.language.directions import swap_directions
from stvg_jax.data_pipeline.loading.captioned import CaptionedVideo, ShownVideos
from stvg_jax.data_pipeline.loading.checks import check_batches
from stvg_jax.data_pipeline.loading.clip_changes import ClipChanges
from stvg_jax.data_pipeline.loading.order import CLIP, check_seed, generator, training_order
from stvg_jax.data_pipeline.loading.schema import Batch
from stvg_jax.data_pipeline.shards import FrameStore


@dataclasses.dataclass(frozen=True)
class PairSettings(ClipChanges):
    """Section `loader` of an experiment with pairs.

    Attributes:
        mirror_words: whether "left" and "right" change places in the caption of a mirrored clip; False as released.
        threads: threads that read and decode; 0 for one per core.
    """

    mirror_words: bool = False
    threads: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.threads < 0:
            raise InputError(f"threads={self.threads} must not be negative")


class CaptionPairLoader:
    """Batches of pairs for training: a function of (seed, step), the same for any number of hosts.

    A row is a pair: `frames` uint8 [t, h, w, 3], `text_ids` int32 and `text_valid` bool [tokens], and, int32, `sample`,
    the index of the video, and `caption`, that of the caption among the video's. An epoch shows every pair once, in
    another order than other epochs, but for fewer than `batch_size` that are left over.

    Args:
        samples: the videos, each with its captions.
        store: their frames.
        tokenize: text to int32 [l] token ids, start and end tokens included.
        shown: settings of the videos.
        frame_rule: rule that chooses frames, a key of `data_pipeline.fixed_number.RULES`.
        settings: changes of clips.
        tokens: length to which texts are padded, at least that of the longest.
        seed: seed of all draws.
        batch_size, hosts: as for `data_pipeline.loading.loader.Loader`.
        threads: threads that read and decode.
        features: float16 [samples, ...], features of each video, which rows have as `features` instead of frames; None
            for frames.

    Attributes:
        pairs: int32 [n, 2], indices of a sample and of one of its captions.
        steps_per_epoch: batches in an epoch.
        sent: names of the arrays that go to the devices.

    Raises:
        InputError: arguments do not fit together, or frames are not stored; one message lists all such videos.
    """

    sent: tuple[str, ...] = ("frames", "text_ids", "text_valid", "sample")

    def __init__(
        self,
        samples: Sequence[CaptionedVideo],
        store: FrameStore,
        tokenize: Callable[[str], np.ndarray],
        shown: ShownVideos,
        *,
        frame_rule: str,
        settings: PairSettings,
        tokens: int,
        seed: int,
        batch_size: int,
        hosts: tuple[int, int] = (0, 1),
        threads: int = 1,
        features: np.ndarray | None = None,
    ) -> None:
        check_seed(seed)
        self.pairs = np.array([(i, k) for i, sample in enumerate(samples) for k in range(len(sample.captions))])
        check_batches(len(self.pairs), batch_size, hosts, True, None)
        self._samples, self._store, self._tokenize, self._tokens = samples, store, tokenize, tokens
        self._shown, self._rule, self._settings = shown, frame_rule, settings
        shown.check(samples, store, frame_rule)
        self._seed, self._threads, self._features = seed, threads, features
        if features is not None:
            self.sent = ("features", *self.sent[1:])
        rows = batch_size // hosts[1]
        self._batch_size, self._own = batch_size, slice(hosts[0] * rows, (hosts[0] + 1) * rows)
        self.steps_per_epoch = len(self.pairs) // batch_size

    @property
    def largest_clip(self) -> tuple[int, int, int]:
        """(frames, rows, columns) of every row of a batch."""
        return self._shown.frames, *self._shown.size

    def batches(self, first_step: int = 0, end: int | None = None) -> Iterator[Batch]:
        """Yields this host's rows of the batches from `first_step` to `end` - 1, without end where that is None.

        Raises:
            InputError: a stored frame is damaged or cannot be read.
        """
        step, epoch, order = first_step, -1, np.zeros((0, 0), np.int32)
        with ThreadPoolExecutor(self._threads) as pool:
            while end is None or step < end:
                if epoch != step // self.steps_per_epoch:
                    epoch = step // self.steps_per_epoch
                    alike = np.zeros(len(self.pairs), np.int64)
                    order = training_order(alike, self._batch_size, self._seed, epoch).samples
                pairs = order[step % self.steps_per_epoch, self._own]
                rows = list(pool.map(lambda pair, epoch=epoch: self._row(epoch, int(pair)), pairs))
                yield {name: np.stack([row[name] for row in rows]) for name in rows[0]}
                step += 1

    def _row(self, epoch: int, pair: int) -> dict[str, np.ndarray]:
        index, caption = self.pairs[pair]
        sample, rng = self._samples[index], generator(self._seed, epoch, CLIP, pair)
        text = caption_text(sample.captions[caption])
        if self._features is None:
            video = self._store.videos[sample.video]
            ids = choose_frames(video.frame_count, rule=self._rule, number=self._shown.frames, rng=rng)
            changes = self._settings.draw(rng)
            if changes.flip and self._settings.mirror_words:
                text = swap_directions(text)
            shown = {"frames": changes(self._shown.pictures_of(self._store, sample.video, ids))}
        else:
            shown = {"features": self._features[index]}
        tokens = self._tokenize(text)
        return {
            **shown,
            "text_ids": np.pad(tokens, (0, self._tokens - len(tokens))).astype(np.int32),
            "text_valid": np.arange(self._tokens) < len(tokens),
            "sample": np.array(index, np.int32),
            "caption": np.array(caption, np.int32),
        }
