"""Annotations in this library's own JSON format (docs/annotations.md), for your own videos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stvg_jax.core.characters import one_line, without_surrogates
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.data_pipeline.annotations.collecting import Collector, subject_of
from stvg_jax.data_pipeline.annotations.fields import Fields, check_boxes, check_tube, cut_to_frame
from stvg_jax.data_pipeline.annotations.files import JsonFile, choose_file
from stvg_jax.data_pipeline.annotations.records import KINDS, Annotations, Sample, Vocabularies
from stvg_jax.data_pipeline.datasets.dataset import Dataset

FORMAT = "stvg_jax.annotations/1"
LAYOUTS = ("{split}.json", "annos/{split}.json")

_FILE_KEYS = ("format", "videos", "samples", "vocabularies")
_VIDEO_KEYS = ("width", "height", "frame_count")
_SAMPLE_KEYS = (
    *("id", "video", "sentence", "tube", "boxes"),
    *("clip", "subject", "kind", "category", "appearance", "motion"),
)


def read_generic(path: Path, split: str, *, videos: Path | None = None, on_problem: str = "raise") -> Annotations:
    """Reads a file in the generic format, or `<split>.json` in a folder.

    Boxes that reach out of the frame within the tolerance are cut at its edges.
    """
    file = choose_file(Path(path), split, LAYOUTS)
    collector = Collector("json", split, videos=videos, on_problem=on_problem)
    content: dict[str, Any] = {}
    whole_file = Fields(str(file), "the file", content)
    for key, value, duplicates in JsonFile(file, holds="object").entries():
        for name in [key] * (key in content) + duplicates:
            whole_file.report("duplicate key", f"{one_line(name)} occurs twice in one object of {one_line(key)}")
        content[key] = value
    if content.get("format") != FORMAT:
        raise InputError(f'{file} is not in the generic format: it must begin with {{"format": "{FORMAT}", ...')
    _refuse_unknown_keys(whole_file, _FILE_KEYS)
    sizes = _videos(whole_file)
    words = _words(whole_file)
    entries = [Fields(str(file), f"sample {i}", value) for i, value in enumerate(whole_file.items("samples") or [])]
    collector.note(whole_file)
    index = {name: {word: i for i, word in enumerate(vocabulary)} for name, vocabulary in words.items()}
    for i, fields in enumerate(entries):
        _refuse_unknown_keys(fields, _SAMPLE_KEYS)
        id = fields.text("id")
        collector.add(f"sample {i}" if id is None else id, fields, _sample(fields, id, sizes, index))
    vocabularies = Vocabularies(**words) if all(words.values()) else None
    return collector.finish(f"the annotations in {file}", vocabularies)


def _refuse_unknown_keys(fields: Fields, known: Iterable[str]) -> bool:
    """Reports keys other than the `known` ones; True if there are none."""
    unknown = [key for key in fields if key not in known]
    for key in unknown:
        fields.report("unknown key", f"{quoted(key)} is none of {', '.join(known)}")
    return not unknown


def _videos(whole_file: Fields) -> dict[str, tuple[int, int, int] | None]:
    """Width, height and number of frames of each video; None if they are wrong."""
    section = whole_file.section("videos")
    facts: dict[str, tuple[int, int, int] | None] = {}
    for name in section:
        video = section.section(name)
        all_known = _refuse_unknown_keys(video, _VIDEO_KEYS)
        width, height, frame_count = (video.integer(key, least=1) for key in _VIDEO_KEYS)
        if not all_known or width is None or height is None or frame_count is None:
            facts[without_surrogates(name)] = None
        else:
            facts[without_surrogates(name)] = width, height, frame_count
    return facts


def _words(whole_file: Fields) -> dict[str, tuple[str, ...]]:
    """The vocabularies of the file; empty if it has none."""
    if "vocabularies" not in whole_file:
        return {"appearance": (), "motion": ()}
    section = whole_file.section("vocabularies")
    _refuse_unknown_keys(section, ("appearance", "motion"))
    return {name: section.texts(name) or () for name in ("appearance", "motion")}


def _sample(
    fields: Fields,
    id: str | None,
    sizes: Mapping[str, tuple[int, int, int] | None],
    index: Mapping[str, Mapping[str, int]],
) -> Sample | None:
    video = fields.text("video")
    if video is not None and video not in sizes:
        fields.report("unknown video", f"{quoted(video)} is not in `videos`")
    sentence = fields.sentence("sentence")
    subject = fields.optional_text("subject")
    kind = fields.optional_text("kind") or "declarative"
    if kind not in KINDS:
        fields.report("unknown kind", f"kind is {quoted(kind)}, it must be one of {', '.join(KINDS)}")
    category = fields.optional_text("category") or ""
    tube = fields.pair("tube")
    clip = fields.pair("clip") if "clip" in fields else None
    rows = fields.items("boxes")
    boxes = None if rows is None else fields.boxes(rows, tube[0] if tube else 0)
    labels = {name: _labels(fields, name, vocabulary) for name, vocabulary in index.items()}
    size = None if video is None else sizes.get(video)
    if fields.spoiled or id is None or video is None or size is None:
        return None
    if sentence is None or tube is None or boxes is None:
        return None
    width, height, frame_count = size
    clip = clip or (0, frame_count)
    if clip[0] < 0 or clip[1] > frame_count or clip[0] >= clip[1]:
        return fields.report(
            "clip longer than the video", f"clip is {clip}, {one_line(video)} has frames 0 to {frame_count - 1}"
        )
    if not check_tube(fields, tube, clip):
        return None
    if len(boxes) != tube[1] - tube[0]:
        return fields.report("wrong number of boxes", f"{len(boxes)} for the {tube[1] - tube[0]} frames of the tube")
    if not check_boxes(fields, boxes, width, height, tube[0]):
        return None
    return Sample(
        id=id,
        video=video,
        sentence=sentence,
        subject=subject_of(subject, sentence),
        kind=kind,
        category=category,
        width=width,
        height=height,
        clip=clip,
        tube=tube,
        boxes_xyxy=cut_to_frame(boxes, width, height),
        appearance_labels=labels["appearance"],
        motion_labels=labels["motion"],
    )


def _labels(fields: Fields, key: str, vocabulary: Mapping[str, int]) -> tuple[int, ...] | None:
    words = fields.texts(key) if key in fields else None
    if words is None:
        return None
    if unknown := [word for word in words if word not in vocabulary]:
        return fields.report("unknown label", f"{quoted(unknown[0])} is not in `vocabularies.{key}`")
    return tuple(sorted(vocabulary[word] for word in words))


DATASET = Dataset(
    name="json",
    title="your own videos",
    layouts=LAYOUTS,
    read=read_generic,
    video_folders=("videos",),
)
