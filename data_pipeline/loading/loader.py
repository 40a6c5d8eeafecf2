"""The loader: batches as a function of (seed, step)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.passes import InterleavedPasses
from stvg_jax.data_pipeline.annotations.problems import Problem, raise_problems
from stvg_jax.data_pipeline.annotations.records import Sample
from stvg_jax.data_pipeline.frames import model_size
from stvg_jax.data_pipeline.loading.checks import check_batches, find_problems
from stvg_jax.data_pipeline.loading.config import LoaderConfig, bucket_size
from stvg_jax.data_pipeline.loading.order import NO_SAMPLE, Order, check_seed, evaluation_order, training_order
from stvg_jax.data_pipeline.loading.pictures import RowFiles, decode_jpeg, import_tensorflow, iterate_pictures
from stvg_jax.data_pipeline.loading.plan import (
    Passes,
    RowPlan,
    evaluation_plan,
    filling_plan,
    most_frames,
    row_arrays,
    row_labels,
    row_tube,
    training_plan,
)
from stvg_jax.data_pipeline.loading.schema import GROUNDING_BATCH, Batch
from stvg_jax.data_pipeline.loading.texts import Texts, Tokenize
from stvg_jax.data_pipeline.shards import FrameStore
from stvg_jax.data_pipeline.size_rules import get_size_rule

# End of a training that has none. Rows are counted in 64 bits.
_NEVER = 2**40


class Loader:
    """Batches of samples, for training or for evaluation.

    Batch k is a pure function of the arguments and k: it does not depend on where iteration began or on the number of
    hosts. Training goes through the samples in epochs of `steps_per_epoch` batches, each epoch in another order. In an
    evaluation every sample is in exactly one batch.

    Args:
        samples: samples of a split.
        store: their frames.
        tokenize: text to int32 [l] token ids, start and end tokens included; may raise InputError.
        config: settings.
        seed: seed of all draws.
        training: whether to shuffle, augment and give targets; an evaluation shows each sample whole.
        batch_size: samples in a batch over all hosts; an evaluation batch has a row for each pass over each of them.
        hosts: (index of this host, their number); each gets an equal run of every batch.
        only: indices of the samples to evaluate, such as those that an interrupted evaluation lacks; None for all.
        passes: passes of an evaluation; None for the two interleaved ones of the released systems.

    Attributes:
        samples: the samples; `sample` of a batch holds indices into them.
        steps_per_epoch: batches in an epoch, or in the whole evaluation.
        sent: names of the arrays of a batch that go to the devices.

    Raises:
        InputError: arguments do not fit together; or samples whose video or frames are not stored, whose text is too
            long or whose labels are missing. One message lists all such samples.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        store: FrameStore,
        tokenize: Tokenize,
        config: LoaderConfig,
        *,
        seed: int = 0,
        training: bool,
        batch_size: int,
        hosts: tuple[int, int] = (0, 1),
        only: Sequence[int] | None = None,
        passes: Passes | None = None,
    ) -> None:
        check_seed(seed)
        check_batches(len(samples), batch_size, hosts, training, only)
        self.samples = samples
        self.sent = GROUNDING_BATCH.names(training=training, truth=config.reads_tube, sent=True)
        self._store, self._config, self._seed, self._training = store, config, seed, training
        self._batch_size, self._hosts, self._only = batch_size, hosts, only
        self._passes = None if training else passes or InterleavedPasses()
        self._rows_per_sample = self._passes.rows if self._passes else 1
        self._rows = batch_size // hosts[1] * self._rows_per_sample
        self._texts = Texts(samples, tokenize, config, training=training)
        unusable = [
            Problem(samples[index].video, f"sample {samples[index].id}", "text that cannot be used", reason)
            for index, reason in self._texts.refused
        ]
        raise_problems(
            [*find_problems(samples, store, config, self._passes), *unusable], "the samples that were to be loaded"
        )
        self._frames = most_frames(samples, store.videos, config, self._passes)
        self._sizes = np.array([self._bucket(sample) for sample in samples], np.int64).reshape(-1, 2)
        self._buckets = np.unique(self._sizes, axis=0, return_inverse=True)[1].reshape(-1)
        # Two, because reading ahead needs the order of the next epoch while this one is in use.
        self._order = functools.lru_cache(maxsize=2)(self._make_order)
        self.steps_per_epoch = len(self._order(0).buckets)

    @property
    def largest_clip(self) -> tuple[int, int, int]:
        """(frames, rows, columns) that no row of a batch exceeds."""
        rows, columns = self._sizes.max(0)
        return self._frames, int(rows), int(columns)

    def batches(self, first_step: int = 0, end: int | None = None) -> Iterator[Batch]:
        """Yields this host's rows of the batches from `first_step` to `end` - 1.

        Args:
            end: None for the end of an evaluation; a training has none.

        Raises:
            InputError: steps that do not exist; a stored frame that is damaged or cannot be read.
        """
        limit = _NEVER if self._training else self.steps_per_epoch
        end = limit if end is None else end
        if not 0 <= first_step <= end <= limit:
            raise InputError(f"steps {first_step}:{end} are not steps of this loader; its own are 0:{limit}")
        return self._iterate(first_step, end)

    def _iterate(self, first_step: int, end: int) -> Iterator[Batch]:
        pictures = iterate_pictures(
            lambda number: self._row_files(*divmod(number, self._rows)),
            (first_step * self._rows, end * self._rows),
            rows=self._rows,
            frames=self._frames,
            antialias=get_size_rule(self._config.sizing).antialias,
            threads=self._config.thread_count,
            prefetch=self._config.prefetch,
        )
        for step in range(first_step, end):
            try:
                frames = next(pictures)
            except import_tensorflow().errors.OpError:
                self._find_damage(step)
                raise
            yield self._complete(step, frames)

    def _complete(self, step: int, frames: np.ndarray) -> Batch:
        """The batch of a step, given its pictures."""
        # The text length must be the same on all hosts, so it depends on the samples of all of them.
        sizes = {
            "t": self._frames,
            "l": self._texts.bucket(self._batch(step)[1]),
            "appearance_words": self._config.appearance_words,
            "motion_words": self._config.motion_words,
        }
        rows = [self._row_arrays(self._plan(step, row)) for row in range(self._rows)]
        return {"frames": frames} | GROUNDING_BATCH.pack(rows, sizes)

    def _row_arrays(self, plan: RowPlan) -> dict[str, Any]:
        row = row_arrays(plan, self._texts(plan.sample, plan.view.flip))
        if self._training:
            sample = self.samples[plan.sample]
            return row | row_tube(plan, sample) | row_labels(sample, self._config)
        row |= {"pass": plan.pass_index}
        if not self._config.reads_tube:
            return row
        return row | row_tube(plan, None if plan.sample == NO_SAMPLE else self.samples[plan.sample])

    def _batch(self, step: int) -> tuple[int, np.ndarray, tuple[int, int]]:
        """Epoch of a step, samples of its batch over all hosts, and the (rows, columns) to which they are padded."""
        epoch, number = divmod(step, self.steps_per_epoch)
        samples = self._order(epoch).samples[number]
        rows, columns = self._sizes[samples[samples != NO_SAMPLE]].max(0)
        return epoch, samples, (int(rows), int(columns))

    def _make_order(self, epoch: int) -> Order:
        if self._training:
            return training_order(self._buckets, self._batch_size, self._seed, epoch)
        return evaluation_order(self._buckets, self._batch_size, self._only)

    def _bucket(self, sample: Sample) -> tuple[int, int]:
        video, config = self._store.videos[sample.video], self._config
        return bucket_size(model_size(video.height, video.width, config.resolution, config.sizing), config)

    def _plan(self, step: int, row: int) -> RowPlan:
        """The plan of a row of this host."""
        epoch, samples, padded = self._batch(step)
        place, pass_index = divmod(self._hosts[0] * self._rows + row, self._rows_per_sample)
        index = int(samples[place])
        if index == NO_SAMPLE:
            return filling_plan(pass_index, padded)
        sample = self.samples[index]
        video = self._store.videos[sample.video]
        if self._passes is None:
            return training_plan(sample, video, self._config, seed=self._seed, epoch=epoch, index=index)
        return evaluation_plan(sample, video, self._config, self._passes, pass_index, index=index)

    def _row_files(self, step: int, row: int) -> RowFiles:
        plan, padded = self._plan(step, row), self._batch(step)[2]
        return RowFiles(self._read(plan), plan.view, padded)

    def _read(self, plan: RowPlan) -> list[bytes]:
        return [] if plan.sample == NO_SAMPLE else self._store.read(self.samples[plan.sample].video, plan.frame_ids)

    def _find_damage(self, step: int) -> None:
        """Raises an InputError that names the first damaged frame of this host's batch, if there is one."""
        for plan in (self._plan(step, row) for row in range(self._rows)):
            for frame, jpeg in zip(plan.frame_ids, self._read(plan), strict=False):
                try:
                    decode_jpeg(jpeg)
                except import_tensorflow().errors.OpError as error:
                    raise InputError(
                        f"{self.samples[plan.sample].video}: stored frame {frame} is damaged ({first_line(error)}); "
                        "run `stvg-jax prepare frames --check`, then prepare the frames again"
                    ) from error
