"""The confidence in an answer: the probability that its tube is right, calibrated for each checkpoint.

A tube is right if its vIoU with the true one is above 0.3 (`RIGHT`), so that its interval and its boxes fit. No tube
is right for a sentence that describes nothing in the clip. docs/confidence.md has the figures.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stvg_jax.core.boxes import iou
from stvg_jax.core.checkpoint import CALIBRATION
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.files import whole_file
from stvg_jax.core.json_files import read_json

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.tube import FrameScores

RIGHT = 0.3
_FORMAT = "stvg_jax.calibration/1"
_NUMBERS = ("slope", "offset", "threshold")
# Bound of the size of the numbers.
_LARGEST = 1e6
# Scores are told apart from 0 down to this.
_TINY = 1e-6
_HELP = "docs/confidence.md"


class Confidence(NamedTuple):
    """The confidence in a tube.

    Attributes:
        value: in [0, 1].
        calibrated: whether it is a probability; otherwise it is the score, which only ranks answers.
        found: False where it is too low for a clip that shows what the sentence describes; None if not calibrated.
    """

    value: float
    calibrated: bool
    found: bool | None


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Numbers that turn the scores of one checkpoint into probabilities: p / (1 - p) = exp(offset) score^slope.

    Attributes:
        slope, offset: as above; the slope is positive.
        threshold: confidence below which a video is said not to show what the sentence describes.
        parameters: `parameters_digest` of the checkpoint.
        about: JSON values about the samples, for people.
    """

    slope: float
    offset: float
    threshold: float
    parameters: str = ""
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def probability(self, score: np.ndarray | float) -> np.ndarray:
        """Probabilities that tubes with these scores are right, float64 of the same shape."""
        return sigmoid(self.slope * log_score(score) + self.offset)

    def write(self, path: Path) -> None:
        """Writes a file that `read_calibration` reads, whole or not at all."""
        with whole_file(path) as file:
            json.dump({"format": _FORMAT, "right": f"vIoU > {RIGHT}", **dataclasses.asdict(self)}, file, indent=1)
            file.write("\n")


def read_calibration(path: Path) -> Calibration:
    """Reads the numbers of a checkpoint.

    Raises:
        InputError: a file that is not a calibration of this version.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise InputError(f"{path} is no calibration of the format {_FORMAT}; make it again ({_HELP})")
    numbers = {name: content.get(name) for name in _NUMBERS}
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LARGEST:
            raise InputError(f"{path}: {name} must be a finite number, not {quoted(str(value), 40)}")
    slope, offset, threshold = (float(content[name]) for name in _NUMBERS)
    if slope <= 0 or not 0 <= threshold <= 1:
        raise InputError(f"{path}: slope {slope:g} must be positive, and threshold {threshold:g} from 0 to 1")
    parameters, about = content.get("parameters"), content.get("about")
    if not isinstance(parameters, str) or not isinstance(about, dict):
        raise InputError(f"{path}: parameters must be a text, and about an object")
    return Calibration(slope, offset, threshold, parameters, about)


def stated_calibration(folder: Path, parameters: Mapping[str, Any]) -> Calibration | None:
    """The calibration in the folder of a checkpoint; None if there is none.

    Args:
        folder: the folder.
        parameters: of its `stvg_jax.core.checkpoint.Description`.

    Raises:
        InputError: the file cannot be read, or was made for other parameters.
    """
    path = folder / CALIBRATION
    if not path.exists():
        return None
    calibration = read_calibration(path)
    if calibration.parameters != parameters_digest(parameters):
        raise InputError(f"{path} was made for other parameters; delete it, or calibrate this checkpoint ({_HELP})")
    return calibration


def parameters_digest(parameters: Mapping[str, Mapping[str, Any]]) -> str:
    """Hexadecimal digest that tells the parameters of one checkpoint from those of another, whatever their order."""
    checksums = {path: entry["crc32"] for path, entry in parameters.items()}
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()


def tube_score(interval: tuple[int, int], scores: FrameScores, boxes_xyxy: np.ndarray) -> float:
    """The score of a tube in [0, 1], the product of

    - the largest probability of a frame to be within the interval (actioness),
    - the mean relevance to the sentence of the frames of the interval; 1 for a model without temporal sampling,
    - the mean IoU of the boxes of neighbouring frames of the interval, which different passes may have seen.

    Args:
        interval: (start, end) frames.
        scores: of the sampled frames.
        boxes_xyxy: float [n, 4], boxes of these frames.
    """
    inside = (scores.frames >= interval[0]) & (scores.frames < interval[1])
    if not inside.any():
        return 0.0
    boxes = np.asarray(boxes_xyxy, np.float64)[inside]
    steadiness = iou(boxes[1:], boxes[:-1]).mean() if len(boxes) > 1 else 1.0
    return float(scores.actioness.max() * scores.sampling[inside].mean() * steadiness)


def judge(score: float, calibration: Calibration | None) -> Confidence:
    """The confidence in a tube with this score (`tube_score`). Without a calibration it is the score itself."""
    if calibration is None:
        return Confidence(score, False, None)
    value = float(calibration.probability(score))
    return Confidence(value, True, value >= calibration.threshold)


def among_windows(confidence: float, windows: float) -> float:
    """The confidence in a moment of a long video, from that in the answer of its window alone.

    The best of many answers is more often a wrong one. Its odds are divided by the square root of their number: less
    than if windows were independent of each other, as measured on videos of 5 and 15 window lengths.

    Args:
        confidence: of a window, calibrated.
        windows: length of what was searched, in windows.
    """
    odds = confidence / max(1 - confidence, _TINY) / math.sqrt(max(windows, 1))
    return odds / (1 + odds)


def log_score(score: np.ndarray | float) -> np.ndarray:
    """Logarithms of scores, which may be 0."""
    return np.log(np.maximum(score, _TINY))


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of logits."""
    return 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
