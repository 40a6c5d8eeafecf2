"""The shapes dataset as files: videos, annotations in HC-STVG's format, and a manifest that says what is there."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.shapes.encode import write_video
from stvg_jax.data_pipeline.shapes.example import Example, Settings, check_kind, make_example
from stvg_jax.data_pipeline.shapes.journal import JOURNAL, MANIFEST, Journal, read_journal, read_manifest, write_text
from stvg_jax.data_pipeline.shapes.vocabulary import APPEARANCE_LABELS, MOTION_LABELS, VERSION
from stvg_jax.data_pipeline.shapes.wording import WORDS
from stvg_jax.data_pipeline.shards.workers import Step, run_jobs

SPLITS = ("train", "val", "test")
VIDEOS = "v1_video"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a dataset is to hold: videos per split, one sentence each.

    Attributes:
        train, val, test: how many videos.
        seed: another one gives other videos.
        settings: of every video.
        kind: of all scenes and sentences, a key of `plots.PLOTS`; None for all kinds.

    Raises:
        InputError: a negative count or seed, none at all, or an unknown kind.
    """

    train: int = 4000
    val: int = 200
    test: int = 400
    seed: int = 0
    settings: Settings = dataclasses.field(default_factory=Settings)
    kind: str | None = None

    def __post_init__(self):
        counts = self.counts()
        if min(counts.values()) < 0 or not any(counts.values()):
            raise InputError(f"{counts}: the splits need zero or more videos, and one in all at least")
        if self.seed < 0:
            raise InputError(f"seed {self.seed}: must be zero or more")
        check_kind(self.kind)

    def counts(self) -> dict[str, int]:
        return {split: getattr(self, split) for split in SPLITS}

    def describe(self) -> dict[str, Any]:
        """What makes two datasets the same, for JSON."""
        settings = dataclasses.asdict(self.settings)
        return {"version": VERSION, "seed": self.seed, **settings, "kind": self.kind, "videos": self.counts()}


def prepare_shapes(
    out: str | os.PathLike[str],
    plan: Plan | None = None,
    *,
    processes: int = 1,
    meter: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Makes the dataset in folder `out`, or what is missing of it, and returns its manifest.

    It can be stopped at any moment; the same call continues. Every file is whole or not there.

    Args:
        plan: the default dataset when None.
        processes: how many work at the same time; the result does not depend on it.
        meter: called as meter(done, total) when a video is finished; nobody is told when None.

    Raises:
        InputError: `out` holds something else, or a video cannot be written.
    """
    plan, out = plan or Plan(), Path(out)
    manifest = read_manifest(out, plan.describe())
    records = {} if manifest else read_journal(out, plan.describe())
    (out / VIDEOS).mkdir(parents=True, exist_ok=True)
    names = {video_name(split, i): (split, i) for split, count in plan.counts().items() for i in range(count)}
    there = {path.name for path in (out / VIDEOS).iterdir()}
    records = {name: record for name, record in records.items() if name in there}
    todo = [name for name in names if name not in (there if manifest else records)]
    jobs = [(str(out), plan, *names[name]) for name in todo]
    with contextlib.ExitStack() as stack:
        journal = None if manifest else stack.enter_context(Journal(out, plan.describe(), records))
        for done, (name, record) in enumerate(_made(jobs, processes), start=len(names) - len(todo) + 1):
            if journal:
                journal.add(name, record)
                records[name] = record
            if meter is not None:
                meter(done, len(names))
    if manifest is None:
        manifest = plan.describe() | {"splits": _write_annotations(out, plan, records)}
        write_text(out / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    (out / JOURNAL).unlink(missing_ok=True)
    return manifest


def video_name(split: str, index: int) -> str:
    """File name of a video."""
    return f"{split}_{index:06d}.mp4"


def annotation(example: Example) -> dict[str, Any]:
    """An entry of HC-STVG's annotation file, for the first sentence; `kind` is added to it."""
    stage, grounding = example.scene.stage, example.groundings[0]
    x1, y1, x2, y2 = grounding.boxes_xyxy.T
    boxes = zip(x1, y1, x2 - x1, y2 - y1, strict=True)
    return {
        "bbox": [[round(float(value), 2) for value in box] for box in boxes],
        "st_frame": grounding.start_frame + 1,
        "st_time": round(grounding.start_frame / example.fps, 3),
        "ed_time": round(grounding.end_frame / example.fps, 3),
        "caption": grounding.sentence,
        "width": stage.width,
        "height": stage.height,
        "img_num": stage.frame_count,
        "sub": grounding.subject,
        "adj_index_list": list(grounding.appearance_labels),
        "verb_index_list": list(grounding.motion_labels),
        "kind": grounding.kind,
    }


def _make(job: tuple[str, Plan, str, int], progress: Callable[[int, int], None]) -> tuple[str, dict]:
    """Writes one video and returns its name and record."""
    out, plan, split, index = job
    example = make_example(plan.seed, plan.settings, split=split, index=index, kind=plan.kind)
    name = video_name(split, index)
    frames = example.frames()
    write_video(Path(out) / VIDEOS / name, frames, example.fps)
    digests = {"scene": example.scene.digest(), "frames": hashlib.sha256(frames.tobytes()).hexdigest()}
    return name, digests | {"annotation": annotation(example)}


def _made(jobs: list, processes: int) -> Iterator[tuple[str, dict]]:
    if processes <= 1 or len(jobs) < 2:
        yield from (_make(job, lambda frames, size: None) for job in jobs)
        return
    for outcome in run_jobs(_make, jobs, min(processes, len(jobs))):
        if isinstance(outcome, Step):
            continue
        if outcome.reason is not None:
            raise InputError(f"video {video_name(*outcome.job[2:])} could not be made: {outcome.reason}")
        yield outcome.result


def _write_annotations(out: Path, plan: Plan, records: Mapping[str, dict]) -> dict[str, dict]:
    """Writes annotations and vocabulary; returns each split's part of the manifest."""
    (out / "annos").mkdir(exist_ok=True)
    scenes = {record["scene"] for record in records.values()}
    if len(scenes) != len(records):
        raise RuntimeError("two videos show the same scene")
    splits = {}
    for split, count in plan.counts().items():
        names = [video_name(split, i) for i in range(count)]
        lines = [f"{json.dumps(name)}: {json.dumps(records[name]['annotation'])}" for name in names]
        write_text(out / "annos" / f"{split}.json", "{\n" + ",\n".join(lines) + "\n}\n")
        splits[split] = {
            key + "_sha256": hashlib.sha256("".join(records[name][key] for name in names).encode()).hexdigest()
            for key in ("scene", "frames")
        }
    words = {"appearance": APPEARANCE_LABELS, "motion": MOTION_LABELS, "words": WORDS}
    write_text(out / "annos" / "vocabulary.json", json.dumps({"version": VERSION} | words, indent=1) + "\n")
    return splits
