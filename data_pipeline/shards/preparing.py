"""Storing the frames of many videos: resumable, in several processes, with a report of failures."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import Terminal, size_text
from stvg_jax.data_pipeline.shards.entries import StoredVideo
from stvg_jax.data_pipeline.shards.folder import Manifest, StoreFolder
from stvg_jax.data_pipeline.shards.jpeg import Settings
from stvg_jax.data_pipeline.shards.making import Job, Maker, source_sha256, source_state
from stvg_jax.data_pipeline.shards.plan import Plan, make_plan
from stvg_jax.data_pipeline.shards.records import array_record
from stvg_jax.data_pipeline.shards.wanted import Frames, Wanted, ids_of
from stvg_jax.data_pipeline.shards.workers import Outcome, Step, run_jobs
from stvg_jax.data_pipeline.video import DECODERS

_LOST, _CHANGED, _MORE_FRAMES = "shard lost", "video changed", "more frames wanted"


@dataclasses.dataclass(frozen=True)
class Summary:
    """Result of a run.

    Attributes:
        stored: number of videos in the store, including those of earlier runs.
        failed: reasons of failures, by video.
        plan: estimate for the videos that were to do.
    """

    stored: int
    failed: dict[str, str]
    plan: Plan


def prepare_frames(
    wanted: Wanted,
    videos: str | os.PathLike,
    out: str | os.PathLike,
    settings: Settings | None = None,
    *,
    processes: int | None = None,
    max_failed: float = 0.0,
    decoder: str = "pyav",
    allow_partial: bool = False,
    plan_only: bool = False,
    say: Callable[[str], None] = print,
) -> Summary:
    """Stores frames for `FrameStore`. After an interruption the same call continues.

    A video that is already stored is kept, unless it lacks wanted frames, its file has changed, or its shard is missing
    or damaged: then it is stored again, with the earlier and the wanted frames.

    Args:
        wanted: frames to store, by the path of the video below `videos`.
        videos: the folder of videos.
        out: the folder of the store.
        settings: size and compression; those of an existing store must be the same.
        processes: number of videos that are decoded at the same time; None for one per CPU.
        max_failed: share of the wanted videos, 0 to 1, that may fail.
        decoder, allow_partial: as for `data_pipeline.video.open_video`.
        plan_only: estimate, and write nothing.
        say: called with lines of text about the run.

    Raises:
        InputError: too many videos failed (the others are kept, and the store counts as unfinished), the disk is full
            or too small, or the store was made with other settings or is being written by another process.
    """
    array_record()
    settings = settings or Settings()
    maker = Maker(pathlib.Path(out), settings, decoder, allow_partial)
    processes = _checked(wanted, processes, max_failed, decoder)
    folder = StoreFolder(out)
    folder.check_settings(settings)
    if not plan_only:
        folder.shards.mkdir(parents=True, exist_ok=True)
    with contextlib.nullcontext() if plan_only else folder.locked():
        run = _Run(wanted, pathlib.Path(videos), maker, folder, say)
        plan = make_plan(run.jobs, maker, processes)
        if run.jobs:
            say(plan.describe())
            plan.check_space(folder.root)
        if not plan_only:
            run.judge(max_failed)
            folder.sweep()
            folder.begin(settings, len({*wanted, *run.entries}))
            run.work(processes, plan)
            run.judge(max_failed)
            run.finish()
    return Summary(len(run.entries), run.failed, plan)


def _checked(wanted: Wanted, processes: int | None, max_failed: float, decoder: str) -> int:
    """The number of processes; the other arguments are checked.

    Raises:
        InputError: an argument cannot be used.
    """
    if processes is None:
        processes = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if processes < 1:
        raise InputError(f"{processes} processes: give at least 1")
    if not 0 <= max_failed <= 1:
        raise InputError(f"the share of failed videos {max_failed}: give a number from 0 to 1, such as 0.01")
    if decoder not in DECODERS:
        raise InputError(f"unknown decoder {decoder!r}; choose one of {', '.join(DECODERS)}")
    for video, frames in wanted.items():
        path = pathlib.PurePosixPath(video)
        if not path.name or path.is_absolute() or ".." in path.parts:
            raise InputError(f"video {video!r}: a name must be a path below the folder of videos")
        ids = None if callable(frames) else frames
        if ids is not None and (not len(ids) or ids[0] < 0 or (np.diff(ids) <= 0).any()):
            raise InputError(f"video {video}: frame ids must be at least one, from 0 on, ascending, none twice")
    return processes


class _Run:
    """The state of one run.

    Attributes:
        entries: stored videos that are kept.
        failed: reasons of failures, by video.
        jobs: videos to store.
    """

    def __init__(
        self, wanted: Wanted, videos: pathlib.Path, maker: Maker, folder: StoreFolder, say: Callable[[str], None]
    ) -> None:
        self._wanted, self._maker, self._folder, self._say = wanted, maker, folder, say
        manifest = folder.read_manifest() or Manifest(maker.settings, {}, {})
        self.entries: dict[str, StoredVideo] = manifest.videos | folder.read_journal()
        self._earlier_failed = manifest.failed
        self.failed: dict[str, str] = {}
        self.jobs: list[Job] = []
        again = collections.Counter()
        for video, frames in wanted.items():
            job = Job(video, videos / video, frames)
            entry = self.entries.get(video)
            if entry is not None:
                cause = _cause_to_redo(job, entry, folder)
                if cause is None:
                    continue
                again[cause] += 1
                # Another file has other frames by a rule, and perhaps fewer than the one before.
                if not (cause == _CHANGED and callable(frames)):
                    job = dataclasses.replace(job, frames=_both(entry, frames))
                if cause != _MORE_FRAMES:
                    del self.entries[video]
            if job.source.is_file():
                self.jobs.append(job)
            else:
                self.failed[video] = f"{job.source}: no such file"
        self._tell_state(again)

    def _tell_state(self, again: collections.Counter) -> None:
        done = len(self._wanted) - len(self.jobs) - len(self.failed)
        if done:
            self._say(f"stored already: {done:,} of {len(self._wanted):,} videos")
        for cause, count in again.items():
            self._say(f"to be stored again, {cause}: {count:,}")
        if self.failed:
            self._say(f"missing: {len(self.failed):,}, such as {next(iter(self.failed))}")
        others = [v for v, e in self.entries.items() if v not in self._wanted and not self._folder.intact(e)]
        if others:
            self._say(
                f"{len(others):,} videos of earlier runs have lost their shard, such as {others[0]}; repeat those runs"
            )

    def judge(self, max_failed: float) -> None:
        """Reports failures; raises InputError if there are too many.

        Also called before the work, when missing videos are known, which may save hours.
        """
        self._folder.write_failures(self.failed)
        if len(self.failed) > max_failed * len(self._wanted):
            raise InputError(
                f"{self._failures()}; repair them and run again (the stored videos are kept), "
                f"or allow a larger share than --max-failed {max_failed:g}"
            )

    def finish(self) -> None:
        """Writes the manifest, which makes the store a finished one."""
        if self.failed:
            self._say(f"warning: {self._failures()}")
        earlier = {video: reason for video, reason in self._earlier_failed.items() if video not in self._wanted}
        self._folder.finish(Manifest(self._maker.settings, self.entries, earlier | self.failed))

    def _failures(self) -> str:
        video, reason = next(iter(self.failed.items()))
        share = len(self.failed) / len(self._wanted)
        return (
            f"{len(self.failed):,} of {len(self._wanted):,} videos failed ({share:.2%}); {video}: {reason}; "
            f"all reasons are in {self._folder.failures}"
        )

    def work(self, processes: int, plan: Plan) -> None:
        """Does the jobs.

        Raises:
            InputError: the store cannot be written.
        """
        outcomes = run_jobs(self._maker, self.jobs, min(processes, len(self.jobs)))
        total, frames, size, videos, failed = plan.frames, 0, 0, 0, 0
        try:
            with Terminal().bar("storing frames", total, "frame") as bar, contextlib.closing(outcomes):
                for message in outcomes:
                    new = 0
                    if isinstance(message, Step):
                        new, size = message.frames, size + message.bytes
                        frames += new
                    else:
                        self._take(message)
                        videos, failed = videos + 1, failed + (message.reason is not None)
                        stored = self.entries[message.job.video].stored_count if message.reason is None else 0
                        # The best estimate so far.
                        total = max(total - plan.expected[message.job.video] + stored, frames)
                    note = f"{videos:,}/{len(self.jobs):,} videos" + (f", {failed:,} failed" if failed else "")
                    bar.update(total, f"{note}, {size_text(size)}")
                    bar(new)
        except KeyboardInterrupt:
            # The journal may be one video ahead.
            stored = len(self.entries | self._folder.read_journal())
            self._say(f"stopped; videos stored so far: {stored:,}; the same command continues")
            raise
        finally:
            self._folder.sweep()
            self._folder.write_failures(self.failed)

    def _take(self, outcome: Outcome) -> None:
        video = outcome.job.video
        if outcome.fatal:
            raise InputError(
                f"{self._folder.root}: cannot be written ({outcome.reason}); the stored videos are kept: "
                "remove the cause, and the same command continues"
            )
        if outcome.reason is None:
            self._folder.record(video, outcome.result)
            self.entries[video] = outcome.result
        else:
            self.failed[video] = outcome.reason


def _cause_to_redo(job: Job, entry: StoredVideo, folder: StoreFolder) -> str | None:
    """Reason to store a stored video again; None if there is none."""
    if not folder.intact(entry):
        return _LOST
    touched = job.source.exists() and source_state(job.source) != (entry.source_bytes, entry.source_mtime_ns)
    # A copy of the same file may have another time.
    if touched and source_sha256(job.source) != entry.source_sha256:
        return _CHANGED
    return None if entry.holds(ids_of(job.frames, entry.frame_count)) else _MORE_FRAMES


def _both(entry: StoredVideo, frames: Frames) -> Frames:
    """Frames that are stored and frames that are wanted."""
    if frames is None or entry.frame_ids is None:
        return None
    return functools.partial(_union, entry.frame_ids, frames)


def _union(ids: np.ndarray, frames: Frames, frame_count: int) -> np.ndarray:
    wanted = ids_of(frames, frame_count)
    return ids if wanted is None else np.union1d(ids, wanted)
