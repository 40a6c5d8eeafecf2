"""Videos with all their captions, in batches for the evaluation of retrieval models."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations import Caption, Problem, raise_problems
from stvg_jax.data_pipeline.fixed_number import FIXED_RULES, FRAMES, choose_frames, fill_up
from stvg_jax.data_pipeline.language.captions import caption_text
from stvg_jax.data_pipeline.loading.checks import check_batches, picture_problems
from stvg_jax.data_pipeline.loading.order import NO_SAMPLE, evaluation_order
from stvg_jax.data_pipeline.loading.schema import Batch
from stvg_jax.data_pipeline.loading.text_chunks import TextChunks
from stvg_jax.data_pipeline.shards import FrameStore, StoredVideo
from stvg_jax.data_pipeline.shards.jpeg import decode
from stvg_jax.data_pipeline.size_rules import SQUARE, get_size_rule


@dataclasses.dataclass(frozen=True)
class CaptionedVideo:
    """A video and its captions.

    Attributes:
        id: number of its entry in the annotations, as text.
        video: path of the file, as in `Caption`.
        captions: the captions as they are written.
    """

    id: str
    video: str
    captions: tuple[str, ...]


def group_captions(captions: Iterable[Caption]) -> list[CaptionedVideo]:
    """The videos that captions belong to, in the order of their first captions."""
    groups: dict[int, list[Caption]] = {}
    for caption in captions:
        groups.setdefault(caption.entry, []).append(caption)
    return [
        CaptionedVideo(str(entry), group[0].video, tuple(caption.sentence for caption in group))
        for entry, group in groups.items()
    ]


@dataclasses.dataclass(frozen=True)
class ShownVideos:
    """Settings of videos as a model sees them.

    Attributes:
        frames: number of frames of a video.
        frame_rule: rule that chooses them in an evaluation, a key of `data_pipeline.fixed_number.FIXED_RULES`.
        resolution: of the model (`data_pipeline.frames.model_size`).
        sizing: name of a size rule (`data_pipeline.size_rules.RETRIEVAL_SIZE_RULES`).
    """

    frames: int = FRAMES
    frame_rule: str = "uniform"
    resolution: int = 224
    sizing: str = SQUARE

    def frame_ids(self, frame_count: int) -> np.ndarray:
        """int64 [n], the frames of a video that a model sees, strictly increasing."""
        return choose_frames(frame_count, rule=self.frame_rule, number=self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns) of a frame."""
        return get_size_rule(self.sizing).largest(self.resolution)

    def problems(self, store: FrameStore, name: str, frame_rule: str | None = None) -> Iterator[tuple[str, str]]:
        """Rule and detail of each reason why a video cannot be shown.

        `frame_rule` is that of a training; None stands for the evaluation's. A rule that draws may choose any frame.
        """
        video = store.videos.get(name)
        if video is None:
            yield "video not stored", "store its frames with `stvg-jax prepare frames`"
            return
        yield from picture_problems(video, store.settings, self.resolution, self.sizing)
        drawn = frame_rule is not None and frame_rule not in FIXED_RULES
        rule = dataclasses.replace(self, frame_rule=frame_rule or self.frame_rule)
        ids = np.arange(video.frame_count) if drawn else rule.frame_ids(video.frame_count)
        missing = ids[video.records_of(ids) < 0]
        if len(missing):
            yield (
                "frames not stored",
                f"{len(missing)} of {len(ids)} are missing, the first is {missing[0]}; store them with `stvg-jax "
                f"prepare frames --frames {'all' if drawn else 'sampled'} --family`",
            )

    def check(self, samples: Sequence[CaptionedVideo], store: FrameStore, frame_rule: str | None = None) -> None:
        """Raises InputError with all `problems` of these videos, if there are any."""
        raise_problems(
            [
                Problem(sample.video, f"entry {sample.id}", *found)
                for sample in samples
                for found in self.problems(store, sample.video, frame_rule)
            ],
            "the videos that were to be loaded",
        )

    def pictures(self, store: FrameStore, name: str, video: StoredVideo) -> np.ndarray:
        """Frames as a model sees them, uint8 [t, h, w, 3]; those of a short video end with copies of its last frame.

        Raises:
            InputError: a stored frame is damaged or cannot be read.
        """
        return self.pictures_of(store, name, self.frame_ids(video.frame_count))

    def pictures_of(self, store: FrameStore, name: str, ids: np.ndarray) -> np.ndarray:
        """As `pictures`, for chosen frames, int64 [n]."""
        shown = [self._picture(name, number, jpeg) for number, jpeg in zip(ids, store.read(name, ids), strict=True)]
        return np.stack(shown)[fill_up(np.arange(len(ids)), self.frames)]

    def _picture(self, name: str, number: int, jpeg: bytes) -> np.ndarray:
        try:
            picture = decode(jpeg)
        except InputError as error:
            raise InputError(
                f"{name}: stored frame {number}: {error}; run `stvg-jax prepare frames --check`, then prepare the "
                "frames again"
            ) from error
        if picture.shape[:2] == self.size:
            return picture
        return np.rint(255 * get_size_rule(self.sizing).resample(picture, self.size)).astype(np.uint8)


class CaptionedLoader:
    """Batches of videos with their captions; every video is in exactly one batch.

    A row is a video: `frames` uint8 [t, h, w, 3], its texts as `TextChunks` packs them, and `sample`, int32, its index,
    or -1 for a row that fills up the last batch, with black frames and no text.

    Args:
        samples: the videos.
        store: their frames.
        tokenize: text to int32 [l] token ids, start and end tokens included.
        shown: settings of the videos.
        tokens: length to which texts are padded, at least that of the longest.
        batch_size, hosts, only: as for `data_pipeline.loading.loader.Loader`.
        threads: threads that read and decode.

    Attributes:
        steps_per_epoch: number of batches.
        sent: names of the arrays that go to the devices.

    Raises:
        InputError: arguments do not fit together, or frames are not stored; one message lists all such videos.
    """

    sent = ("frames", *TextChunks.names)

    def __init__(
        self,
        samples: Sequence[CaptionedVideo],
        store: FrameStore,
        tokenize: Callable[[str], np.ndarray],
        shown: ShownVideos,
        *,
        tokens: int,
        batch_size: int,
        hosts: tuple[int, int] = (0, 1),
        only: Sequence[int] | None = None,
        threads: int = 1,
    ) -> None:
        check_batches(len(samples), batch_size, hosts, False, only)
        shown.check(samples, store)
        self._samples, self._store, self._shown, self._tokenize = samples, store, shown, tokenize
        self._chunks = TextChunks.for_counts([len(sample.captions) for sample in samples], tokens)
        self._batches = evaluation_order(np.zeros(len(samples), np.int64), batch_size, only).samples
        rows = batch_size // hosts[1]
        self._own = slice(hosts[0] * rows, (hosts[0] + 1) * rows)
        self._threads = threads
        self.steps_per_epoch = len(self._batches)

    @property
    def largest_clip(self) -> tuple[int, int, int]:
        """(frames, rows, columns) of every row of a batch."""
        return self._shown.frames, *self._shown.size

    def batches(self, first_step: int = 0, end: int | None = None) -> Iterator[Batch]:
        """Yields this host's rows of the batches from `first_step` to `end` - 1.

        Raises:
            InputError: a stored frame is damaged or cannot be read.
        """
        with ThreadPoolExecutor(self._threads) as pool:
            for samples in self._batches[first_step:end, self._own]:
                frames = np.stack(list(pool.map(self._frames, samples)))
                texts = [self._texts(sample) for sample in samples]
                yield {"frames": frames, **self._chunks.pack(texts), "sample": samples}

    def _frames(self, sample: int) -> np.ndarray:
        if sample == NO_SAMPLE:
            return np.zeros((*self.largest_clip, 3), np.uint8)
        name = self._samples[sample].video
        return self._shown.pictures(self._store, name, self._store.videos[name])

    def _texts(self, sample: int) -> list[np.ndarray]:
        captions = () if sample == NO_SAMPLE else self._samples[sample].captions
        return [self._tokenize(caption_text(caption)) for caption in captions]
