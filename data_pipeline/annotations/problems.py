"""Problems of annotations: collected while they are read, and reported together."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stvg_jax.core.characters import one_line
from stvg_jax.core.errors import InputError

HALF_A_CHARACTER = "half a character"
_SHOWN_PER_RULE = 3
_LONGEST_DETAIL = 600
# Some problems are about videos, whose names are as long as a file says.
_LONGEST_PATH = 1000


@dataclasses.dataclass(frozen=True)
class Problem:
    """One broken rule.

    Attributes:
        file: the annotation file, or the folder in which a file is missing.
        entry: name of the entry in it.
        rule: name of the broken rule, the same for all entries.
        detail: the value, and its right form.
    """

    file: str
    entry: str
    rule: str
    detail: str

    @property
    def mended(self) -> bool:
        """True if the value could be used nevertheless, with U+FFFD in it."""
        return self.rule == HALF_A_CHARACTER


def raise_problems(problems: Sequence[Problem], what: str, way_out: str = "correct these entries") -> None:
    """Raises one InputError about all `problems`, grouped by rule; returns if there are none.

    The message has up to three of each rule. If there are more, all are written to a file that the message names, one
    line each, with file, entry, rule and detail separated by tabs.

    Args:
        problems: from `read_annotations` or `check_against_videos`.
        what: subject of the message, such as "the annotations in data/hc-stvg".
        way_out: advice, the last line of the message.
    """
    if not problems:
        return
    by_rule: dict[str, list[Problem]] = {}
    for problem in problems:
        by_rule.setdefault(problem.rule, []).append(problem)
    lines = [f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in {what}"]
    for rule, group in sorted(by_rule.items(), key=lambda item: -len(item[1])):
        lines.append(f"  {rule} ({len(group)}):")
        lines += [f"    {': '.join(_texts(p))}" for p in group[:_SHOWN_PER_RULE]]
        if len(group) > _SHOWN_PER_RULE:
            lines.append(f"    ... and {len(group) - _SHOWN_PER_RULE} more")
    if any(len(group) > _SHOWN_PER_RULE for group in by_rule.values()):
        lines.append(f"all of them: {_write_report(problems)}")
    raise InputError("\n".join([*lines, way_out]))


def _write_report(problems: Sequence[Problem]) -> Path:
    handle, name = tempfile.mkstemp(prefix="stvg_jax_problems_", suffix=".tsv")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("file\tentry\trule\tdetail\n")
        for problem in problems:
            path, entry, detail = _texts(problem)
            values = (value.replace("\t", " ") for value in (path, entry, problem.rule, detail))
            file.write("\t".join(values) + "\n")
    return Path(name)


def _texts(problem: Problem) -> tuple[str, str, str]:
    """File, entry and detail, each on one line and of bounded length."""
    return one_line(problem.file, _LONGEST_PATH), one_line(problem.entry), one_line(problem.detail, _LONGEST_DETAIL)
