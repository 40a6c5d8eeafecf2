"""VidSTG: sentences with VidOR's trajectories, or both merged into one file (rules: TA-STVG, `datasets/vidstg.py`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import Progress, Terminal
from stvg_jax.data_pipeline.annotations.collecting import Collector, subject_of
from stvg_jax.data_pipeline.annotations.fields import Fields, check_boxes
from stvg_jax.data_pipeline.annotations.files import JsonFile, choose_file
from stvg_jax.data_pipeline.annotations.problems import Problem, raise_problems
from stvg_jax.data_pipeline.annotations.records import Annotations, Sample
from stvg_jax.data_pipeline.datasets.dataset import Benchmark, Dataset, Option, PublishedResult, as_path
from stvg_jax.data_pipeline.datasets.trajectories import Trajectories, without_gaps
from stvg_jax.data_pipeline.datasets.vidstg_files import Entry, Pair, load_replacements, read_entries

# Paths of the merged file of a split in the releases of TA-STVG and CG-STVG, then of the dataset's sentence files.
LAYOUTS = (
    "annos/{split}.json",
    "vstg_annos/{split}.json",
    "sent_annos/{split}_annotations.json",
    "annotations/{split}_annotations.json",
    "{split}_annotations.json",
)
_SILENT_SEC = 2.0  # a small file needs no progress
_TRAJECTORY_FOLDERS = ("bbox_annos", "annotation")


@dataclasses.dataclass(frozen=True)
class Sentence:
    """A sentence of VidSTG without its tube.

    Attributes:
        id, kind, category: as in `Sample`.
        video: VidOR's name of the video.
        description: the sentence as in the file.
        sentence: the same, cleaned.
    """

    id: str
    video: str
    kind: str
    category: str
    description: str
    sentence: str


def read_sentences(
    path: Path, split: str, *, replacements: Mapping[str, str] | None = None, on_problem: str = "raise"
) -> list[Sentence]:
    """All sentences of a split, including those that `read_vidstg` leaves out. No trajectories are needed.

    Args:
        path: the dataset folder, or a file of either form.
        split: such as "test".
        replacements: see `vidstg_files.clean_sentence`.
        on_problem: "raise" an error if entries are wrong, or "exclude" them.

    Raises:
        InputError: the file is missing or not JSON, or entries are wrong; the message lists all of them.
    """
    file = choose_file(Path(path), split, LAYOUTS)
    problems, sentences = {}, []
    for entry in read_entries(JsonFile(file), replacements):
        problems |= dict.fromkeys(entry.fields.problems)
        if (p := entry.pair) is not None and not entry.fields.problems:
            sentences.append(Sentence(entry.id, p.video, p.kind, p.category, p.description, p.sentence))
    if on_problem == "raise":
        raise_problems(list(problems), f"the sentences in {file}")
    return sentences


def read_vidstg(
    path: Path,
    split: str,
    *,
    videos: Path | None = None,
    trajectories: Path | None = None,
    replacements: Mapping[str, str] | None = None,
    on_problem: str = "raise",
) -> Annotations:
    """Reads a dataset folder, a sentence file or a merged file of VidSTG.

    Like the released systems, it leaves out sentences whose event goes on after the used segment or lies outside it,
    and those with a gap in the trajectory. The tube is the event, which may begin before the segment.

    Args:
        path: the dataset folder, in which a merged file is preferred, or a file.
        split: such as "train".
        videos: folder with `<video>.mp4`, flat or in VidOR's groups; None does not check that they exist.
        trajectories: for sentence files, the folder with `<video>.json`, flat or in VidOR's groups; by default
            `bbox_annos` or `annotation` in the dataset folder.
        replacements: typing errors to mend in the sentences.
        on_problem: see `read_annotations`.
    """
    file = JsonFile(choose_file(Path(path), split, LAYOUTS))
    collector = Collector("vidstg", split, videos=videos, on_problem=on_problem)
    entries: Iterable[Entry] = read_entries(file, replacements)
    progress = Terminal(silent_sec=_SILENT_SEC)
    if file.holds == "list":
        entries = list(entries)
        _read_trajectories(entries, Trajectories(trajectories or _trajectory_folder(file.path)), progress)
    with progress.stage(f"reading {file.path.name}"):
        for entry in entries:
            _collect(entry, collector)
    return collector.finish(f"the annotations in {file.path}")


def _collect(entry: Entry, collector: Collector) -> None:
    """Hands an entry, which has its boxes or `rows` of them, to the collector."""
    pair, fields = entry.pair, entry.fields
    if pair is not None and pair.rows is not None:
        _set_boxes(pair, fields, pair.rows)
    if pair is None or fields.spoiled:
        collector.add(entry.id, fields, None)
    elif reason := _reason_to_leave_out(pair):
        collector.exclude(entry.id, fields, reason)
    else:
        collector.add(entry.id, fields, _sample(entry.id, pair, fields))


def _trajectory_folder(file: Path) -> Path:
    """The folder of trajectories beside the sentence file or beside its folder."""
    places = [folder / name for folder in (file.parent, file.parent.parent) for name in _TRAJECTORY_FOLDERS]
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        raise InputError(
            f"{file} has sentences only, and there is no {' or '.join(_TRAJECTORY_FOLDERS)} in {file.parent.parent}; "
            "say where VidOR's trajectories are with --trajectories"
        )
    return found


def _read_trajectories(entries: Sequence[Entry], trajectories: Trajectories, progress: Progress) -> None:
    """Gives `entries` their boxes, video by video: its sentences lie all over the file, and many share a tube."""
    by_video: dict[str, list[tuple[Pair, Fields]]] = {}
    for entry in entries:
        if (pair := entry.pair) is not None and _reason_to_leave_out(pair) is None:
            by_video.setdefault(pair.video, []).append((pair, entry.fields))
    with progress.bar("reading trajectories", len(by_video), "video") as step:
        for video, group in by_video.items():
            _read_video(video, group, trajectories)
            step()


def _read_video(video: str, group: Sequence[tuple[Pair, Fields]], trajectories: Trajectories) -> None:
    read: dict[tuple[int | None, int, int], tuple[Pair, list[Problem]]] = {}
    for pair, fields in group:
        first, end = pair.event[0], pair.event[0] + _row_count(pair)
        if (same := read.get((pair.target, first, end))) is not None:
            pair.boxes_xyxy, pair.has_gap = same[0].boxes_xyxy, same[0].has_gap
            fields.problems += same[1]
            continue
        before = len(fields.problems)
        if (rows := trajectories.rows(video, pair.target, first, end, fields)) is not None:
            _set_boxes(pair, fields, rows)
        read[pair.target, first, end] = pair, fields.problems[before:]


def _set_boxes(pair: Pair, fields: Fields, rows: list) -> None:
    complete = without_gaps(rows)
    pair.has_gap = complete is None
    if complete is not None:
        pair.boxes_xyxy = fields.boxes(complete, pair.event[0])


def _row_count(pair: Pair) -> int:
    """Frames of the event that the video has. In sentence files an event may go on after the last frame."""
    if pair.rows is not None:
        return len(pair.rows)
    end = pair.event[1] if pair.frame_count is None else min(pair.event[1], pair.frame_count)
    return max(0, end - pair.event[0])


def _reason_to_leave_out(pair: Pair) -> str | None:
    count, segment = _row_count(pair), f"the used segment, frames {pair.segment[0]} to {pair.segment[1] - 1}"
    expected = min(pair.event[1], pair.segment[1]) - pair.event[0]
    if pair.event[1] <= pair.segment[0] or pair.event[0] >= pair.segment[1]:
        return f"the event, frames {pair.event[0]} to {pair.event[1] - 1}, lies outside {segment}"
    if count > expected:
        return f"the event, frames {pair.event[0]} to {pair.event[1] - 1}, goes on after {segment}"
    if count != expected or pair.rows_expected not in (None, count):
        return f"there are {count} boxes for {pair.rows_expected or expected} frames"
    return "the trajectory has gaps" if pair.has_gap else None


def _sample(id: str, pair: Pair, fields: Fields) -> Sample | None:
    first, end = pair.event[0], min(pair.event[1], pair.segment[1])
    if pair.boxes_xyxy is None or not check_boxes(fields, pair.boxes_xyxy, pair.width, pair.height, first):
        return None
    return Sample(
        id=id,
        video=f"{pair.video}.mp4",
        sentence=pair.sentence,
        subject=subject_of(pair.subject, pair.description),
        kind=pair.kind,
        category=pair.category,
        width=pair.width,
        height=pair.height,
        clip=pair.segment,
        tube=(first, end),
        boxes_xyxy=pair.boxes_xyxy,
        appearance_labels=pair.appearance_labels,
        motion_labels=pair.motion_labels,
    )


def _sentences_by_id(path: Path, split: str, *, replacements: Mapping[str, str] | None = None) -> dict[str, str]:
    found = read_sentences(path, split, replacements=replacements, on_problem="exclude")
    return {sentence.id: sentence.sentence for sentence in found}


_CG_README = "https://github.com/HengLan/CGSTVG, README"
_TA_PAPER = "https://arxiv.org/abs/2502.11168, results on VidSTG; the README has the declarative ones too"


def _result(
    method: str, venue: str, source: str, declarative: tuple, interrogative: tuple, *, own_measures: str = ""
) -> PublishedResult:
    percent = {"declarative": declarative, "interrogative": interrogative}
    return PublishedResult(method, venue, percent, source, own_measures)


DATASET = Dataset(
    name="vidstg",
    title="VidSTG",
    layouts=LAYOUTS,
    read=read_vidstg,
    video_folders=("videos", "video"),
    rules="vidstg",
    label_words=(20, 34),
    options={
        "trajectories": Option("VidOR's annotations, for sentence files (default: found beside them)", "DIR", as_path),
        "replacements": Option(
            "JSON object of words to replace in the sentences; give the same wherever they are read",
            "FILE",
            load_replacements,
            for_sentences=True,
        ),
    },
    read_sentences=_sentences_by_id,
    scored_by_kind=True,
    benchmarks={
        "vidstg": Benchmark(
            "VidSTG, test",
            {"declarative": 4610, "interrogative": 5693},
            (
                _result(
                    "TubeDETR",
                    "CVPR 2022",
                    _CG_README,
                    (48.1, 30.4, 42.5, 28.2),
                    (46.9, 25.7, 35.7, 23.2),
                    own_measures="sampled_frames",
                ),
                _result("STCAT", "NeurIPS 2022", _CG_README, (50.8, 33.1, 46.2, 32.6), (49.7, 28.2, 39.2, 26.6)),
                _result("CSDVL", "CVPR 2023", _CG_README, (None, 33.7, 47.2, 32.8), (None, 28.5, 39.9, 26.2)),
                _result("CG-STVG", "CVPR 2024", _CG_README, (51.4, 34.0, 47.7, 33.1), (49.9, 29.0, 40.5, 27.5)),
                _result("TA-STVG", "ICLR 2025", _TA_PAPER, (51.7, 34.4, 48.2, 33.5), (50.2, 29.5, 41.5, 28.0)),
            ),
        ),
    },
)
