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
    """A sentence and the event it means, from a file of either form. Ends are one past the last frame.

    Attributes:
        id: position of the sentence over all captions and questions of the file.
        fields: the entry, with what is wrong with it; where anything is, the other attributes may be None.
        event: frames of the described event in the whole video, the tube before it is cut to the segment.
        segment: frames that are searched.
        frame_count: of the video; None in merged files.
        target: the object's number in VidOR; None in merged files, which have `rows`.
        rows: boxes of the event, see `trajectories.box_row`; None in sentence files, for which they are read later.
        rows_expected: how many rows a merged file says that there should be.
        boxes_xyxy, has_gap: float64 [rows, 4], and whether a box is missing; set by the reader.
    """

    id: str
    fields: Fields
    video: str | None
    width: int | None
    height: int | None
    event: tuple[int | None, int | None]
    segment: tuple[int | None, int | None]
    kind: str | None = None
    description: str | None = None
    sentence: str | None = None
    category: str | None = None
    frame_count: int | None = None
    target: int | None = None
    subject: str | None = None
    rows: list[Any] | None = None
    rows_expected: int | None = None
    boxes_xyxy: np.ndarray | None = None
    has_gap: bool = False
    appearance_labels: tuple[int, ...] | None = None
    motion_labels: tuple[int, ...] | None = None


def clean_sentence(description: str, replacements: Mapping[str, str] | None = None) -> str:
    """The words of a sentence in lower case, separated by single spaces.

    What has no letter of the Latin alphabet in it is no word. `data_pipeline.language.text.model_text` changes nothing
    in the result.

    Args:
        description: as in the file.
        replacements: word -> what to write for it, several words or none too; see `read_replacements`.
    """
    words = english_words(description.lower())
    if replacements:
        words = [word for word in (replacements.get(word, word) for word in words) if word]
    return " ".join(words)


def read_replacements(path: Path) -> dict[str, str]:
    """A JSON object of typing errors and what to write for them, such as {"smll": "small"}.

    Raises:
        InputError: the file is something else.
    """
    value = read_json(path)
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise InputError(f'{path} must be a JSON object from words to words, such as {{"smll": "small"}}')
    if halved := next((text for text in value.values() if has_surrogate(text)), None):
        raise InputError(f"{path}: in {quoted(halved)} a character was cut in two (a lone surrogate); write it whole")
    return value


def load_replacements(given: Path | str | Mapping[str, str]) -> Mapping[str, str]:
    """Replacements that are given themselves or as the file that holds them (`read_replacements`)."""
    return read_replacements(Path(given)) if isinstance(given, (str, Path)) else given


def read_pairs(file: JsonFile, replacements: Mapping[str, str] | None = None) -> Iterator[Pair]:
    """The sentences of a sentence file (a list) or a merged file (an object), in its order.

    Raises:
        InputError: the file is not JSON.
    """
    position = 0
    for key, value, duplicates in file.entries():
        entry = Fields(str(file.path), f"entry {key}", value, duplicates)
        if file.holds == "object":
            yield _merged_pair(key, entry, replacements)
            continue
        for pair in _sentence_pairs(entry, replacements):
            pair.id = str(position)
            position += 1
            yield pair


def _span(fields: Fields, key: str) -> tuple[int | None, int | None]:
    section = fields.section(key)
    first, last = section.integer("begin_fid", least=0), section.integer("end_fid", least=0)
    if first is not None and last is not None and last < first:
        fields.report("empty span", f"{key} begins with frame {first} and ends with {last}")
    return first, None if last is None else last + 1


def _length(fields: Fields, key: str) -> int | None:
    """Frames of a span that counts from the beginning of the segment; of a spoiled entry it may be reversed."""
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


def _sentence_pairs(entry: Fields, replacements: Mapping[str, str] | None) -> Iterator[Pair]:
    shared = {
        "video": entry.text("vid"),
        "width": entry.integer("width", least=1),
        "height": entry.integer("height", least=1),
        "event": _span(entry, "temporal_gt"),
        "segment": _span(entry, "used_segment"),
        "frame_count": entry.integer("frame_count", least=1),
    }
    categories = {}
    for i, value in enumerate(entry.items("subject/objects") or []):
        thing = Fields(entry.file, f"{entry.entry}, object {i}", value)
        categories[thing.integer("tid")] = thing.text("category")
        entry.problems += thing.problems
    sentences = [(key, i, value) for key in _KINDS for i, value in enumerate(entry.items(key) or [])]
    if entry.problems and not sentences:
        yield Pair("", entry, **shared)
    # The first sentence tells all that is wrong with the entry; for the others one reason is enough.
    told, reason = entry.problems, sorted(entry.problems, key=lambda problem: problem.mended)[:1]
    for key, i, value in sentences:
        fields = Fields(entry.file, f"{entry.entry}, {key} {i}", value)
        description = fields.sentence("description")
        target = fields.integer("target_id")
        if target is not None and target not in categories:
            fields.report("unknown target", f"target_id is {target}, subject/objects has no such tid")
        fields.problems += told
        told = reason
        yield Pair(
            id="",
            fields=fields,
            kind=_KINDS[key],
            description=description,
            sentence=_cleaned(fields, description, replacements),
            category=categories.get(target),
            target=target,
            **shared,
        )


def _merged_pair(key: str, fields: Fields, replacements: Mapping[str, str] | None) -> Pair:
    id = fields.integer("id") if "id" in fields else key
    kind = fields.text("qtype")
    if kind is not None and kind not in _MERGED_KINDS:
        fields.report("unknown kind", f"qtype is {quoted(kind)}, it must be one of {', '.join(_MERGED_KINDS)}")
    description = fields.section("sentence").sentence("description")
    rows = fields.items("target_bboxs")
    return Pair(
        id=without_surrogates(str(key if id is None else id)),
        fields=fields,
        video=fields.text("vid"),
        width=fields.integer("width", least=1),
        height=fields.integer("height", least=1),
        event=_span(fields, "ori_temp_gt"),
        segment=_span(fields, "used_segment"),
        kind=_MERGED_KINDS.get(kind),
        description=description,
        sentence=_cleaned(fields, description, replacements),
        category=fields.text("target_category"),
        subject=fields.optional_text("sub"),
        rows=None if rows is None else [box_row(box) for box in rows],
        rows_expected=_length(fields, "temp_gt"),
        appearance_labels=fields.indices("adj_index_list"),
        motion_labels=fields.indices("verb_index_list"),
    )
