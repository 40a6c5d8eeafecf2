"""Moving averages of weights, told by the keys that lead to them."""

from __future__ import annotations

import re

# "model_ema", "EMACallback", "swa_state_dict", "averaged_model", "shadow".
_AVERAGE = r"ema|emas|swa|polyak|avg|averaged?|shadow"
_IN_PATH = re.compile(
    rf"(?<![a-zA-Z])({_AVERAGE}|model_?ema|ema_?model)(?![a-z])"
    r"|(?<![A-Z])(EMA|SWA|Ema|Swa|Avg|Averaged?|Polyak|Shadow)(?![a-z])"
)
# Plain weights that a moving average keeps within itself: ema-pytorch's `online_model`, the copy put back after a test.
_KEPT = re.compile(r"(?:^|\.)(?:online_model|backup|collected_params)(?:\.|$)")
# What is averaged, where a key says it.
_OF_WEIGHTS = re.compile(r"model|module|network|net|param|parameter|weight|buffer|state|dict|moving|list|copy")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def is_average_path(path: str) -> bool:
    """Whether keys joined with "." lead to a moving average."""
    return _IN_PATH.search(path) is not None and _KEPT.search(path) is None


def is_average_key(key: str) -> bool:
    """Whether a key is made of words for averages and weights only: "ema_params", not Adam's "exp_avg"."""
    words = [word.lower() for word in _WORD.findall(key)]
    averages = [re.fullmatch(_AVERAGE, word) is not None for word in words]
    return any(averages) and all(
        average or _OF_WEIGHTS.fullmatch(word.removesuffix("s")) for word, average in zip(words, averages, strict=True)
    )
