"""The shapes dataset as files: videos, annotations in HC-STVG's format, and a manifest."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.files import check_kinds, whole_file
from stvg_jax.core.json_files import parse_json
from stvg_jax.core.progress import Progress, Silent
from stvg_jax.data_pipeline.shapes.example import Example, Settings, check_kind, make_example
from stvg_jax.data_pipeline.shapes.sentences import WORDS
from stvg_jax.data_pipeline.shapes.video import write_video
from stvg_jax.data_pipeline.shapes.vocabulary import APPEARANCE_LABELS, MOTION_LABELS, VERSION
from stvg_jax.data_pipeline.shards.workers import Step, run_jobs

SPLITS = ("train", "val", "test")
VIDEOS = "v1_video"
MANIFEST = "shapes.json"
# Present until the dataset is finished: its description in the first line, then a line for every finished video.
JOURNAL = "unfinished.jsonl"
_RECORD = {"scene": str, "frames": str, "annotation": dict}


@dataclasses.dataclass(frozen=True)
class Plan:
    """Contents of a dataset, one sentence for each video.

    Attributes:
        train, val, test: numbers of videos.
        seed: seed of all scenes.
        settings: size and length of every video.
        kind: kind of all scenes and sentences, a key of `plots.PLOTS`; None for a mixture.

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
            raise InputError(f"{counts}: each split needs zero or more videos, and all together at least one")
        if self.seed < 0:
            raise InputError(f"seed {self.seed}: must be zero or more")
        check_kind(self.kind)

    def counts(self) -> dict[str, int]:
        return {split: getattr(self, split) for split in SPLITS}

    def describe(self) -> dict[str, Any]:
        """Everything that decides the contents, for JSON."""
        settings = dataclasses.asdict(self.settings)
        return {"version": VERSION, "seed": self.seed, **settings, "kind": self.kind, "videos": self.counts()}


def prepare_shapes(
    out: str | os.PathLike[str],
    plan: Plan | None = None,
    *,
    processes: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Makes the dataset in folder `out`, or the part of it that is missing, and returns its manifest.

    It can be stopped at any moment; the same call continues. Every file is written whole or not at all.

    Args:
        plan: the default dataset when None.
        processes: number of processes; the result does not depend on it.
        progress: shows the finished videos; None shows nothing.

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
        bar = (progress or Silent()).bar("making videos", len(names), "video", len(names) - len(todo))
        step = stack.enter_context(bar)
        for name, record in results_of(_make, jobs, processes, lambda job: f"video {video_name(*job[2:])}"):
            if journal:
                journal.add(name, record)
                records[name] = record
            step()
    if manifest is None:
        manifest = plan.describe() | {"splits": _write_annotations(out, plan, records)}
        write_text(out / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    (out / JOURNAL).unlink(missing_ok=True)
    return manifest


def video_name(split: str, index: int) -> str:
    """File name of a video."""
    return f"{split}_{index:06d}.mp4"


def annotation(example: Example) -> dict[str, Any]:
    """Entry of an HC-STVG annotation file for the first sentence, with `kind` added."""
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


def results_of(
    work: Callable[[Any, Callable[[int, int], None]], Any],
    jobs: Sequence[Any],
    processes: int,
    named: Callable[[Any], str],
) -> Iterator[Any]:
    """Results of `work(job, progress)` for all jobs, in any order.

    Args:
        work: function of a module, for other processes.
        jobs: its arguments.
        processes: number of processes; with one, this one works.
        named: name of a job, for a message.

    Raises:
        InputError: a job failed.
    """
    if processes <= 1 or len(jobs) < 2:
        yield from (work(job, lambda frames, size: None) for job in jobs)
        return
    for outcome in run_jobs(work, jobs, min(processes, len(jobs))):
        if isinstance(outcome, Step):
            continue
        if outcome.reason is not None:
            raise InputError(f"{named(outcome.job)} could not be made: {outcome.reason}")
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


def read_manifest(out: Path, wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    """Manifest of a finished dataset; None if there is none.

    Args:
        wanted: description of the dataset, as in `Plan.describe`.

    Raises:
        InputError: it is another dataset, or the manifest cannot be read.
    """
    try:
        manifest = parse_json((out / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise InputError(f"{out / MANIFEST} cannot be read; delete {out} or choose another folder") from None
    _check_same(out, manifest, wanted)
    return manifest


def read_journal(out: Path, wanted: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Records of finished videos by file name; empty for a new folder.

    Raises:
        InputError: `out` holds something else, or a line is damaged.
    """
    try:
        content = (out / JOURNAL).read_bytes()
    except FileNotFoundError:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"{out} is not a shapes dataset; choose a new or empty folder") from None
        return {}
    # The last line has no end if the work was interrupted while it was written.
    first, *lines = content.split(b"\n")[:-1] or [b"{}"]
    _check_same(out, _parsed(out, 1, first, dict), wanted)
    records = {}
    for number, line in enumerate(lines, 2):
        pair = _parsed(out, number, line, list)
        if len(pair) != 2 or not isinstance(pair[0], str):
            raise _damaged(out, number, "it is not a name with a record")
        try:
            check_kinds(pair[1], _RECORD)
        except ValueError as error:
            raise _damaged(out, number, first_line(error)) from error
        records[pair[0]] = pair[1]
    return records


def _parsed(out: Path, number: int, line: bytes, kind: type) -> Any:
    try:
        value = parse_json(line)
    except ValueError as error:
        raise _damaged(out, number, first_line(error)) from error
    if not isinstance(value, kind):
        raise _damaged(out, number, f"it is a {type(value).__name__}")
    return value


def _damaged(out: Path, number: int, reason: str) -> InputError:
    return InputError(f"line {number} of {out / JOURNAL} is damaged: {reason}; delete {out}, or choose another folder")


def write_text(path: Path, text: str) -> None:
    """Writes a file, whole or not at all."""
    with whole_file(path) as file:
        file.write(text)


class Journal:
    """Record of finished videos, kept while the dataset is made; a context manager."""

    def __init__(self, out: Path, wanted: Mapping[str, Any], records: Mapping[str, dict[str, Any]]):
        self._path = out / JOURNAL
        lines = map(json.dumps, [wanted, *records.items()])
        write_text(self._path, "".join(line + "\n" for line in lines))

    def __enter__(self) -> Journal:
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def add(self, name: str, record: dict[str, Any]) -> None:
        self._file.write(json.dumps([name, record]) + "\n")
        self._file.flush()


def _check_same(out: Path, found: Any, wanted: Mapping[str, Any]) -> None:
    found = found if isinstance(found, dict) else {}
    differing = [f"{key} {found.get(key)}, not {wanted[key]}" for key in wanted if found.get(key) != wanted[key]]
    if differing:
        raise InputError(f"{out} holds another dataset ({'; '.join(differing)}); choose another folder, or delete it")
