"""The loader: batches as a function of (seed, step)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np

from stvg_jax.core.errors import InputError, first_line
from stvg_jax.data_pipeline.annotations.problems import Problem, raise_problems
from stvg_jax.data_pipeline.annotations.records import Sample
from stvg_jax.data_pipeline.frames import model_size
from stvg_jax.data_pipeline.loading import draws
from stvg_jax.data_pipeline.loading.arrays import describe_rows, pad_texts, targets
from stvg_jax.data_pipeline.loading.batch import Batch
from stvg_jax.data_pipeline.loading.buckets import bucket_width, most_frames
from stvg_jax.data_pipeline.loading.checks import check_batches, find_problems
from stvg_jax.data_pipeline.loading.config import LoaderConfig
from stvg_jax.data_pipeline.loading.order import NO_SAMPLE, Order, evaluation_order, training_order
from stvg_jax.data_pipeline.loading.pictures import RowFiles, decode_jpeg, iterate_pictures
from stvg_jax.data_pipeline.loading.plan import RowPlan, evaluation_plan, filling_plan, training_plan
from stvg_jax.data_pipeline.loading.texts import Texts, Tokenize
from stvg_jax.data_pipeline.loading.tf_import import import_tensorflow
from stvg_jax.data_pipeline.shards import FrameStore

# Where training is not told to end. Rows are counted in 64 bits.
_NEVER = 2**40


class Loader:
    """Batches of samples, for training or for evaluation.

    Batch k is a pure function of the arguments and k: it does not matter where iteration began, and any number of hosts
    sees the same batches. Training goes through the samples in epochs of `steps_per_epoch` batches, each epoch in an
    order of its own. Evaluation has every sample in exactly one batch.

    Args:
        samples: of one split.
        store: where their frames are.
        tokenize: text to int32 [l] token ids, start and end tokens included; may raise InputError.
        config: how samples become batches.
        seed: that all draws depend on.
        training: whether to shuffle, augment and give targets, or to show each sample whole, in two interleaved passes.
        batch_size: samples in a batch over all hosts; an evaluation batch has two rows for each.
        hosts: (index of this host, their number); each gets an equal run of every batch.
        only: indices of the samples to evaluate, such as those that an interrupted evaluation lacks; None for all.

    Attributes:
        samples: as given; `Batch.sample` counts in them.
        steps_per_epoch: batches in an epoch, or in the whole evaluation.

    Raises:
        InputError: arguments that do not fit together; and all in one, every sample whose video or frames are not
            stored, whose text is too long or whose labels are missing.
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
    ) -> None:
        draws.check_seed(seed)
        check_batches(len(samples), batch_size, hosts, training, only)
        self.samples = samples
        self._store, self._config, self._seed, self._training = store, config, seed, training
        self._batch_size, self._hosts, self._only = batch_size, hosts, only
        self._passes = 1 if training else 2
        self._rows = batch_size // hosts[1] * self._passes
        self._texts = Texts(samples, tokenize, config, training=training)
        unusable = [
            Problem(samples[index].video, f"sample {samples[index].id}", "text that cannot be used", reason)
            for index, reason in self._texts.refused
        ]
        raise_problems(
            [*find_problems(samples, store, config, training=training), *unusable], "the samples that were to be loaded"
        )
        self._frames = most_frames(samples, config, training=training)
        self._widths = np.array([self._bucket(sample) for sample in samples], np.int64)
        # Two, because reading ahead needs the next epoch's while this one's is still in use.
        self._order = functools.lru_cache(maxsize=2)(self._make_order)
        self.steps_per_epoch = len(self._order(0).buckets)

    @property
    def largest_clip(self) -> tuple[int, int, int]:
        """(frames, rows, columns) that no row of a batch exceeds."""
        return self._frames, self._config.resolution, int(self._widths.max())

    def batches(self, first_step: int = 0, last_step: int | None = None) -> Iterator[Batch]:
        """Yields this host's rows of the batches from `first_step` up to but not including `last_step`.

        Args:
            last_step: None for the end of an evaluation, and for ever in training.

        Raises:
            InputError: steps that do not exist; a stored frame that is damaged or cannot be read.
        """
        limit = _NEVER if self._training else self.steps_per_epoch
        end = limit if last_step is None else last_step
        if not 0 <= first_step <= end <= limit:
            raise InputError(f"steps {first_step}:{end} are not steps of this loader; its own are 0:{limit}")
        return self._iterate(first_step, end)

    def _iterate(self, first_step: int, end: int) -> Iterator[Batch]:
        pictures = iterate_pictures(
            lambda number: self._row_files(*divmod(number, self._rows)),
            (first_step * self._rows, end * self._rows),
            rows=self._rows,
            frames=self._frames,
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
        """The batch of a step around its pictures."""
        plans = [self._plan(step, row) for row in range(self._rows)]
        texts = [self._texts(plan.sample, plan.view.flip) for plan in plans]
        # The same on all hosts, hence by the samples of all of them.
        length = self._texts.bucket(self._batch(step)[1])
        batch = Batch(frames=frames, **describe_rows(plans, self._frames), **pad_texts(texts, length))
        if self._training:
            batch |= targets(plans, self.samples, self._frames, self._config)
        else:
            batch["pass"] = np.array([plan.number for plan in plans], np.int32)
        return batch

    def _batch(self, step: int) -> tuple[int, np.ndarray, int]:
        """Of a step: its epoch, the samples of its batch over all hosts, the width that they are padded to."""
        epoch, number = divmod(step, self.steps_per_epoch)
        order = self._order(epoch)
        return epoch, order.samples[number], int(order.buckets[number])

    def _make_order(self, epoch: int) -> Order:
        if self._training:
            return training_order(self._widths, self._batch_size, self._seed, epoch)
        return evaluation_order(self._widths, self._batch_size, self._only)

    def _bucket(self, sample: Sample) -> int:
        video = self._store.videos[sample.video]
        return bucket_width(model_size(video.height, video.width, self._config.resolution)[1], self._config)

    def _plan(self, step: int, row: int) -> RowPlan:
        """What a row of this host shows."""
        epoch, samples, width = self._batch(step)
        place, number = divmod(self._hosts[0] * self._rows + row, self._passes)
        index = int(samples[place])
        if index == NO_SAMPLE:
            return filling_plan(number, (self._config.resolution, width))
        sample = self.samples[index]
        video = self._store.videos[sample.video]
        if self._training:
            return training_plan(sample, video, self._config, seed=self._seed, epoch=epoch, index=index)
        return evaluation_plan(sample, video, self._config, number, index=index)

    def _row_files(self, step: int, row: int) -> RowFiles:
        plan, width = self._plan(step, row), self._batch(step)[2]
        return RowFiles(self._read(plan), plan.view, (self._config.resolution, width))

    def _read(self, plan: RowPlan) -> list[bytes]:
        return [] if plan.sample == NO_SAMPLE else self._store.read(self.samples[plan.sample].video, plan.frame_ids)

    def _find_damage(self, step: int) -> None:
        """Raises an InputError that names the first frame of this host's batch that cannot be used, if there is one."""
        for plan in (self._plan(step, row) for row in range(self._rows)):
            for frame, jpeg in zip(plan.frame_ids, self._read(plan), strict=False):
                try:
                    decode_jpeg(jpeg)
                except import_tensorflow().errors.OpError as error:
                    raise InputError(
                        f"{self.samples[plan.sample].video}: stored frame {frame} is damaged ({first_line(error)}); "
                        "run `stvg-jax prepare frames --check`, then prepare the frames again"
                    ) from error
