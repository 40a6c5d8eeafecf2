"""Estimate of the space and time that storing frames takes, from a short trial on some of the videos."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
import time
from collections.abc import Iterator, Sequence

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import duration_text, size_text
from stvg_jax.data_pipeline.shards.making import Job, Maker, wanted_ids
from stvg_jax.data_pipeline.shards.wanted import ids_of
from stvg_jax.data_pipeline.video import open_video

_TRIAL_VIDEOS = 6
_TRIAL_FRAMES = 8
_TRIAL_SEC = 15.0
# Factor for the bytes of ArrayRecord; its files are whole blocks of 64 kB.
_OVERHEAD = 1.004
_SHARD_BYTES = 1 << 16
# A part stays free, because the estimate may be too low.
_MARGIN = 1.05
# Frames of a video that has all frames that a rule may want.
_LONG_VIDEO = 100_000


@dataclasses.dataclass(frozen=True)
class Plan:
    """Estimate for a run. `bytes`, `seconds` and `bytes_per_frame` are None if no video could be tried.

    Attributes:
        expected: numbers of frames to store, by video.
        bytes: space on the disk.
        seconds: time with the given number of processes.
        bytes_per_frame: mean size of a JPEG.
        free_bytes: free space on the disk of the store.
    """

    expected: dict[str, int]
    bytes: float | None
    seconds: float | None
    bytes_per_frame: float | None
    free_bytes: int

    @property
    def frames(self) -> int:
        """Number of frames to store, of all videos."""
        return sum(self.expected.values())

    def describe(self) -> str:
        """A line of text about the estimate."""
        what = f"to store: videos {len(self.expected):,}, frames {self.frames:,}"
        free = f"{size_text(self.free_bytes)} free"
        if self.bytes is None or self.seconds is None or self.bytes_per_frame is None:
            return f"{what}; no estimate, because none of the videos tried can be read; {free}"
        return (
            f"{what}; about {size_text(self.bytes)} ({self.bytes_per_frame / 1000:.1f} kB per frame) and "
            f"{duration_text(self.seconds)}; {free}"
        )

    def check_space(self, root: pathlib.Path) -> None:
        """Raises InputError if the disk has too little free space."""
        if self.bytes is not None and self.bytes * _MARGIN > self.free_bytes:
            raise InputError(
                f"{root}: about {size_text(self.bytes)} are needed and {size_text(self.free_bytes)} are free; "
                "make room, choose another --out, or store less: --frames sampled, a lower --height or --quality"
            )


@dataclasses.dataclass(frozen=True)
class _Trial:
    """Figures of a video: frames to store, frames in it, bytes of its file and of a JPEG, times in seconds."""

    wanted: int
    frame_count: int
    source_bytes: int
    jpeg_bytes: float
    opening: float
    per_frame: float


def make_plan(jobs: Sequence[Job], maker: Maker, processes: int) -> Plan:
    """Makes an estimate from a trial on a few videos, spread over the list. It takes some seconds."""
    trials = list(_trials(jobs, maker))
    expected = _expected_frames(jobs, trials)
    size = seconds = per_frame = None
    if trials:
        frames, weights = sum(expected.values()), [t.wanted for t in trials]
        per_frame = float(np.average([t.jpeg_bytes for t in trials], weights=weights))
        size = frames * per_frame * _OVERHEAD + len(jobs) * _SHARD_BYTES
        work = frames * np.average([t.per_frame for t in trials], weights=weights)
        seconds = float(work + len(jobs) * np.mean([t.opening for t in trials])) / processes
    return Plan(expected, size, seconds, per_frame, _free_bytes(maker.root))


def _expected_frames(jobs: Sequence[Job], trials: Sequence[_Trial]) -> dict[str, int]:
    """Numbers of frames that the jobs will store; for all frames of a video, estimated from the size of its file."""
    size = sum(t.source_bytes for t in trials) or 1
    frames = sum(t.frame_count for t in trials)

    def expected(job: Job) -> int:
        ids = ids_of(job.frames, _LONG_VIDEO)
        return job.source.stat().st_size * frames // size if ids is None else len(ids)

    return {job.video: expected(job) for job in jobs}


def _free_bytes(path: pathlib.Path) -> int:
    """Free space on the disk that holds a folder, which may not exist yet."""
    return shutil.disk_usage(next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())).free


def _trials(jobs: Sequence[Job], maker: Maker) -> Iterator[_Trial]:
    end = time.monotonic() + _TRIAL_SEC
    places = np.unique(np.linspace(0, len(jobs) - 1, _TRIAL_VIDEOS).astype(int)) if jobs else ()
    for place in places:
        # Problems of a video are reported when its turn comes.
        try:
            yield _try(jobs[place], maker)
        except InputError:
            continue
        if time.monotonic() > end:
            return


def _try(job: Job, maker: Maker) -> _Trial:
    start = time.monotonic()
    with open_video(job.source, maker.decoder, maker.allow_partial) as reader:
        ids = wanted_ids(job, reader.info)
        spread = ids[np.unique(np.linspace(0, len(ids) - 1, _TRIAL_FRAMES).astype(int))]
        middle = max(len(ids) // 2 - _TRIAL_FRAMES, 0)
        row = ids[middle : middle + 2 * _TRIAL_FRAMES]
        opening = time.monotonic() - start
        sizes = [len(maker.settings.stored(picture)) for _, picture in reader.iter_selected(spread)]
        # Times are of neighbouring frames, as in a run; the first one needs a seek and is not counted.
        times = []
        for _, picture in reader.iter_selected(row):
            maker.settings.stored(picture)
            times.append(time.monotonic())
        per_frame = (times[-1] - times[0]) / max(len(times) - 1, 1)
        return _Trial(
            len(ids), reader.info.frame_count, job.source.stat().st_size, float(np.mean(sizes)), opening, per_frame
        )
