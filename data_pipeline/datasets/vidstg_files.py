"""The files of VidSTG: the dataset's own sentence files, and the merged files of the released systems."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.core.characters import has_surrogate, without_surrogates
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.json_files import read_json
from stvg_jax.data_pipeline.annotations.fields import Fields
from stvg_jax.data_pipeline.annotations.files import JsonFile
from stvg_jax.data_pipeline.datasets.trajectories import box_row
from stvg_jax.data_pipeline.language.text import english_words

_KINDS = {"captions": "declarative", "questions": "interrogative"}
_MERGED_KINDS = {"declar": "declarative", "inter": "interrogative"}


@dataclasses.dataclass(eq=False)
class Pair:
    """A sentence and the event that it means, from a file of either form. Ends are one past the last frame.

    Attributes:
        video: VidOR's name of the video.
        width, height: pixels of a frame.
        event: frames of the described event in the whole video, the tube before it is cut to the segment.
        segment: frames that are searched.
        kind, category: as in `Sample`.
        description, sentence: as in the file, and cleaned.
        frame_count: of the video; None in merged files.
        target: the object's number in VidOR; None in merged files, which have `rows`.
        subject: words that name the target; None where the file has none.
        rows: boxes of the event, see `trajectories.box_row`; None in sentence files, for which they are read later.
        rows_expected: number of rows that a merged file says there should be.
        boxes_xyxy, has_gap: float64 [rows, 4], and whether a box is missing; set by the reader.
        appearance_labels, motion_labels: as in `Sample`.
    """

    video: str
    width: int
    height: int
    event: tuple[int, int]
    segment: tuple[int, int]
    kind: str
    description: str
    sentence: str
    category: str
    frame_count: int | None = None
    target: int | None = None
    subject: str | None = None
    rows: list[Any] | None = None
    rows_expected: int | None = None
    boxes_xyxy: np.ndarray | None = None
    has_gap: bool = False
    appearance_labels: tuple[int, ...] | None = None
    motion_labels: tuple[int, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Entry:
    """A sentence of a file, as far as it can be read.

    Attributes:
        id: position of the sentence over all captions and questions of the file.
        fields: its entry, with what is wrong with it.
        pair: None where a value is missing or cannot be used.
    """

    id: str
    fields: Fields
    pair: Pair | None


def clean_sentence(description: str, replacements: Mapping[str, str] | None = None) -> str:
    """The words of a sentence in lower case, separated by single spaces.

    A word has a letter of the Latin alphabet in it. `data_pipeline.language.text.model_text` changes nothing in the
    result.

    Args:
        description: the sentence as in the file.
        replacements: new texts by word, of one word, several or none; see `read_replacements`.
    """
    words = english_words(description.lower())
    if replacements:
        words = [word for word in (replacements.get(word, word) for word in words) if word]
    return " ".join(words)


def read_replacements(path: Path) -> dict[str, str]:
    """A JSON object of typing errors and their corrections, such as {"smll": "small"}.

    Raises:
        InputError: the file holds anything else.
    """
    value = read_json(path)
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise InputError(f'{path} must be a JSON object from words to words, such as {{"smll": "small"}}')
    if halved := next((text for text in value.values() if has_surrogate(text)), None):
        raise InputError(f"{path}: in {quoted(halved)} a character was cut in two (a lone surrogate); write it whole")
    return value


def load_replacements(given: Path | str | Mapping[str, str]) -> Mapping[str, str]:
    """Replacements, given as such or as the file that holds them (`read_replacements`)."""
    return read_replacements(Path(given)) if isinstance(given, (str, Path)) else given


def read_entries(file: JsonFile, replacements: Mapping[str, str] | None = None) -> Iterator[Entry]:
    """The sentences of a sentence file (a list) or a merged file (an object), in its order.

    Raises:
        InputError: the file is not JSON.
    """
    position = 0
    for key, value, duplicates in file.entries():
        fields = Fields(str(file.path), f"entry {key}", value, duplicates)
        if file.holds == "object":
            id = fields.integer("id") if "id" in fields else key
            pair = _merged_pair(fields, replacements)
            yield Entry(without_surrogates(str(key if id is None else id)), fields, pair)
            continue
        for sentence_fields, pair in _sentence_pairs(fields, replacements):
            yield Entry(str(position), sentence_fields, pair)
            position += 1


def _span(fields: Fields, key: str) -> tuple[int, int] | None:
    section = fields.section(key)
    first, last = section.integer("begin_fid", least=0), section.integer("end_fid", least=0)
    if first is None or last is None:
        return None
    if last < first:
        fields.report("empty span", f"{key} begins with frame {first} and ends with {last}")
    return first, last + 1


def _length(fields: Fields, key: str) -> int | None:
    """Number of frames of a span that counts from the beginning of the segment."""
    if key not in fields:
        return None
    section = fields.section(key)
    first, last = section.integer("begin_fid"), section.integer("end_fid")
    return None if first is None or last is None else last - first + 1


def _cleaned(fields: Fields, description: str | None, replacements: Mapping[str, str] | None) -> str | None:
    sentence = None if description is None else clean_sentence(description, replacements)
    if sentence == "":
        fields.report("empty sentence", f"nothing is left of {quoted(description)} after the replacements")
    return sentence


def _sentence_pairs(entry: Fields, replacements: Mapping[str, str] | None) -> Iterator[tuple[Fields, Pair | None]]:
    video, width, height = entry.text("vid"), entry.integer("width", least=1), entry.integer("height", least=1)
    event, segment = _span(entry, "temporal_gt"), _span(entry, "used_segment")
    frame_count = entry.integer("frame_count", least=1)
    categories = {}
    for i, value in enumerate(entry.items("subject/objects") or []):
        thing = Fields(entry.file, f"{entry.entry}, object {i}", value)
        categories[thing.integer("tid")] = thing.text("category")
        entry.problems += thing.problems
    sentences = [(key, i, value) for key in _KINDS for i, value in enumerate(entry.items(key) or [])]
    if entry.problems and not sentences:
        yield entry, None
    # The first sentence has all problems of the entry; for the others one is enough.
    told, reason = entry.problems, sorted(entry.problems, key=lambda problem: problem.mended)[:1]
    for key, i, value in sentences:
        fields = Fields(entry.file, f"{entry.entry}, {key} {i}", value)
        description = fields.sentence("description")
        target = fields.integer("target_id")
        if target is not None and target not in categories:
            fields.report("unknown target", f"target_id is {target}, subject/objects has no such tid")
        fields.problems += told
        told = reason
        sentence, category = _cleaned(fields, description, replacements), categories.get(target)
        pair = None
        if (
            not fields.spoiled
            and (video and width and height and event and segment)
            and (description and sentence and category)
        ):
            pair = Pair(
                video=video,
                width=width,
                height=height,
                event=event,
                segment=segment,
                kind=_KINDS[key],
                description=description,
                sentence=sentence,
                category=category,
                frame_count=frame_count,
                target=target,
            )
        yield fields, pair


def _merged_pair(fields: Fields, replacements: Mapping[str, str] | None) -> Pair | None:
    kind = fields.text("qtype")
    if kind is not None and kind not in _MERGED_KINDS:
        fields.report("unknown kind", f"qtype is {quoted(kind)}, it must be one of {', '.join(_MERGED_KINDS)}")
    description = fields.section("sentence").sentence("description")
    rows = fields.items("target_bboxs")
    video, width, height = fields.text("vid"), fields.integer("width", least=1), fields.integer("height", least=1)
    event, segment = _span(fields, "ori_temp_gt"), _span(fields, "used_segment")
    sentence = _cleaned(fields, description, replacements)
    category, subject = fields.text("target_category"), fields.optional_text("sub")
    rows_expected = _length(fields, "temp_gt")
    appearance, motion = fields.indices("adj_index_list"), fields.indices("verb_index_list")
    if fields.spoiled or not (video and width and height and event and segment):
        return None
    if not (kind and description and sentence and category) or rows is None:
        return None
    return Pair(
        video=video,
        width=width,
        height=height,
        event=event,
        segment=segment,
        kind=_MERGED_KINDS[kind],
        description=description,
        sentence=sentence,
        category=category,
        subject=subject,
        rows=[box_row(box) for box in rows],
        rows_expected=rows_expected,
        appearance_labels=appearance,
        motion_labels=motion,
    )
