"""Result files in the format of the released systems: `test_results.json` of TA-STVG and CG-STVG.

Such a file has some hundred megabytes. It is written and read sample by sample. `docs/results.md` describes it.
Released: `summarize` in `datasets/evaluation/hcstvg_eval.py` and `vidstg_eval.py`.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.core.characters import has_surrogate, one_line, shown
from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.files import whole_file
from stvg_jax.core.json_files import read_text, repeated
from stvg_jax.grounding.evaluation.metrics import THRESHOLDS, SampleMetrics, summarise
from stvg_jax.grounding.evaluation.reading import JsonScanner, Problems
from stvg_jax.grounding.evaluation.records import Record
from stvg_jax.grounding.evaluation.types import AnnotatedSample, Prediction

QTYPES = {"declarative": "declar", "interrogative": "inter"}
_LARGEST_FRAME = 2**53
_FRAME = re.compile(r"\s*-?\d+\s*", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Results:
    """Content of a result file.

    Attributes:
        predictions: sample id -> prediction, without those that have problems.
        kinds: sample id -> "declarative" or "interrogative", where the file gives it.
        problems: all problems of the file.
        broken: ids of predictions with problems.
    """

    predictions: dict[str, Prediction]
    kinds: dict[str, str]
    problems: Problems
    broken: frozenset[str]


def write_results(
    path: Path,
    records: Sequence[Record],
    samples: Mapping[str, AnnotatedSample],
    *,
    apart: bool,
    step: Callable[[], object] = lambda: None,
) -> None:
    """Writes a result file, whole or not at all.

    Boxes are interpolated between sampled frames and rounded to a millionth of a pixel.

    Args:
        path: the file.
        records: all of an evaluation, at least one.
        samples: sample id -> sample, for the true boxes.
        apart: whether each kind of sentence has its own measures, as on VidSTG.
        step: called after each record.
    """

    def stepping(items: Sequence[Record]) -> Iterator[Record]:
        for item in items:
            yield item
            step()

    sections: dict[str, Iterator[tuple[str, Any]]] = {
        "predictions": ((r.id, _frames(r.prediction.filled())) for r in stepping(records)),
        "gt": ((r.id, _frames(_true_tube(samples[r.id]))) for r in records),
        "video_predictions": ((r.id, _interval(r, apart)) for r in records),
        "vid_metrics": ((r.id, _metrics(r, apart)) for r in records),
        "vid2names": ((r.id, r.video) for r in records),
        "vid2sents": ((r.id, r.sentence) for r in records),
    }
    with whole_file(path) as file:
        means = json.dumps(_means(records, apart))
        file.write(means.removesuffix("}"))
        for name, members in sections.items():
            file.write(f", {json.dumps(name)}: {{")
            for count, (key, value) in enumerate(members):
                file.write(f"{', ' if count else ''}{json.dumps(key)}: {json.dumps(value)}")
            file.write("}")
        file.write("}")


def _means(records: Sequence[Record], apart: bool) -> dict[str, float]:
    """Means over all records, at least one, under the names of the released systems."""
    return {
        (f"{QTYPES.get(kind, kind)}_" if apart else "") + measure.replace("m_", "").lower(): value
        for kind, summary in summarise((r.kind if apart else "", r.metrics) for r in records).items()
        for measure, value in summary.measures.items()
    }


def _frames(tube: Prediction) -> dict[int, list[list[float]]]:
    boxes = np.round(np.asarray(tube.boxes_xyxy, np.float64), 6).tolist()
    return {frame: [box] for frame, box in zip(tube.frames.tolist(), boxes, strict=True)}


def _true_tube(sample: AnnotatedSample) -> Prediction:
    return Prediction(sample.tube, np.arange(*sample.tube), sample.boxes_xyxy)


def _interval(record: Record, apart: bool) -> dict[str, Any]:
    qtype = {"qtype": QTYPES.get(record.kind, record.kind)} if apart else {}
    return {"sted": [int(frame) for frame in record.prediction.interval]} | qtype


def _metrics(record: Record, apart: bool) -> dict[str, Any]:
    interval = _interval(record, apart)
    first, end = record.true_interval
    head = {"gt_sted": [first, end - 1], "pred_sted": interval.pop("sted"), "tiou": record.metrics.tiou}
    return head | interval | {"img_metrics": {}} | _spatial(record.metrics)


def _spatial(metrics: SampleMetrics) -> dict[str, float | int]:
    values = {"viou": metrics.viou, "gt_viou": metrics.gt_viou}
    return {
        key: value
        for name, viou in values.items()
        for key, value in {name: viou, **{f"{name}@{r}": int(viou > r) for r in THRESHOLDS}}.items()
    }


def read_results(path: Path) -> Results:
    """Reads a result file.

    The box of a frame may be [[x1, y1, x2, y2]], as in released files, or [x1, y1, x2, y2]. Other sections than
    `predictions` and `video_predictions` are skipped.

    Raises:
        InputError: the file cannot be read, is not JSON, or lacks one of the two sections.
    """
    reader = _Reader()
    try:
        reader.read(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not a result file of the released systems, nor records of this library: {first_line(error)}"
        ) from error
    except OSError as error:
        raise InputError(f"predictions {path} cannot be read: {error.strerror}") from error
    if missing := [name for name in ("predictions", "video_predictions") if name not in reader.sections]:
        raise InputError(
            f'{path} has no {" and no ".join(map(repr, missing))}; a result file has {{"predictions": {{id: {{frame: '
            '[[x1, y1, x2, y2]]}}, "video_predictions": {id: {"sted": [first, one past last]}}}'
        )
    return reader.results()


class _Reader:
    """Reader of the two sections of a result file that make predictions."""

    def __init__(self) -> None:
        self.sections: set[str] = set()
        self._tubes: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._intervals: dict[str, tuple[int, int]] = {}
        self._kinds: dict[str, str] = {}
        self._seen: set[tuple[str, str]] = set()
        self._broken: set[str] = set()
        self._problems = Problems()

    def read(self, text: str) -> None:
        scanner = JsonScanner(text)
        members = {"predictions": self._add_tube, "video_predictions": self._add_interval}
        for section in scanner.members():
            if section not in members:
                scanner.skip()
                continue
            self.sections.add(section)
            for key in scanner.members():
                value = scanner.value()
                if has_surrogate(key):
                    self._bad(key, "ids in which a character was cut in two (a lone surrogate)")
                if (section, key) in self._seen:
                    self._bad(key, f"several {section} for one sample")
                self._seen.add((section, key))
                members[section](key, value)
        scanner.end()

    def results(self) -> Results:
        for key in sorted(self._tubes.keys() ^ self._intervals.keys(), key=lambda key: (len(key), key)):
            if key not in self._broken:
                self._bad(key, "boxes without an interval" if key in self._tubes else "an interval without boxes")
        predictions = {
            key: Prediction(interval, *self._tubes[key])
            for key, interval in self._intervals.items()
            if key not in self._broken
        }
        return Results(predictions, self._kinds, self._problems, frozenset(self._broken))

    def _bad(self, key: str, rule: str, where: str = "") -> None:
        self._broken.add(key)
        self._problems.add(rule, f"{one_line(key)}{f' ({where})' if where else ''}")

    def _add_tube(self, key: str, pairs: Any) -> None:
        if not isinstance(pairs, tuple):
            self._bad(key, "boxes that are not filed under frames")
            return
        if wrong := [
            frame for frame, _ in pairs if not _FRAME.fullmatch(frame) or len(frame) > len(str(_LARGEST_FRAME))
        ]:
            self._bad(key, "frames that are not whole numbers", one_line(wrong[0], 40))
            return
        frames = np.array([int(frame) for frame, _ in pairs], np.int64)
        boxes = [_unwrapped(box) for _, box in pairs]
        if wrong := [k for k, box in enumerate(boxes) if not isinstance(box, list) or len(box) != 4]:
            box = boxes[wrong[0]]
            found = f"{len(box)} values" if isinstance(box, list) else shown(box)
            self._bad(key, "boxes that are not four numbers", f"frame {frames[wrong[0]]}: {found}")
            return
        try:
            corners = np.array(boxes, np.float64).reshape(-1, 4)
        except (ValueError, TypeError, OverflowError) as error:
            self._bad(key, "boxes that are not four numbers", one_line(first_line(error)))
            return
        if not set(map(type, itertools.chain.from_iterable(boxes))) <= {int, float}:
            wrong = next(k for k, box in enumerate(boxes) if not set(map(type, box)) <= {int, float})
            self._bad(key, "boxes that are not four numbers", f"frame {frames[wrong]}: {shown(boxes[wrong])}")
            return
        order = np.argsort(frames, kind="stable")
        frames, corners = frames[order], corners[order]
        if len(twice := frames[1:][np.diff(frames) == 0]):
            self._bad(key, "several boxes for one frame", f"frame {twice[0]}")
        if len(unlike := frames[~np.isfinite(corners).all(axis=1)]):
            self._bad(key, "boxes that are not finite", f"frame {unlike[0]}")
        elif len(turned := frames[(corners[:, 2:] < corners[:, :2]).any(axis=1)]):
            self._bad(key, "boxes with x2 < x1 or y2 < y1; a box is (x1, y1, x2, y2)", f"frame {turned[0]}")
        self._tubes[key] = frames, corners

    def _add_interval(self, key: str, pairs: Any) -> None:
        fields = dict(pairs) if isinstance(pairs, tuple) else {}
        if len(fields) < len(pairs if isinstance(pairs, tuple) else ()):
            self._bad(key, "keys given twice", one_line(repeated(name for name, _ in pairs)[0]))
        sted = fields.get("sted")
        if not isinstance(sted, list) or len(sted) != 2 or not all(map(_is_whole, sted)) or sted[1] < sted[0]:
            self._bad(key, "intervals that are not [first frame, one past the last]", shown(sted))
            return
        self._intervals[key] = int(sted[0]), int(sted[1])
        names = {qtype: kind for kind, qtype in QTYPES.items()}
        qtype = fields.get("qtype")
        if isinstance(qtype, str) and qtype in names:
            self._kinds[key] = names[qtype]


def _unwrapped(box: Any) -> Any:
    return box[0] if isinstance(box, list) and len(box) == 1 else box


def _is_whole(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= _LARGEST_FRAME and value == value // 1
