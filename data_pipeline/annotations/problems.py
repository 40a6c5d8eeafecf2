"""Problems of annotations: collected while these are read, and reported all together."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stvg_jax.core.characters import escaped, one_line
from stvg_jax.core.errors import InputError

HALF_A_CHARACTER = "half a character"
_SHOWN_PER_RULE = 3
_LONGEST_DETAIL = 600


@dataclasses.dataclass(frozen=True)
class Problem:
    """One broken rule.

    Attributes:
        file: the annotation file, or the folder that something is missing from.
        entry: the entry in it.
        rule: what is wrong, in the same words for every entry with this problem.
        detail: the value, and what it should be.
    """

    file: str
    entry: str
    rule: str
    detail: str

    @property
    def mended(self) -> bool:
        """Whether the value was read all the same, with U+FFFD in it."""
        return self.rule == HALF_A_CHARACTER


def raise_problems(problems: Sequence[Problem], what: str, way_out: str = "mend these entries") -> None:
    """Raises one InputError that tells all `problems`, grouped by rule; returns if there are none.

    Up to three of each rule stand in the message. Where there are more, all are written to a file that the message
    names: one line each, with file, entry, rule and detail separated by tabs.

    Args:
        problems: from `read_annotations` or `check_against_videos`.
        what: what they are about, such as "the annotations in data/hc-stvg".
        way_out: what the reader of the message can do, its last line.
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
    return escaped(problem.file), one_line(problem.entry), one_line(problem.detail, _LONGEST_DETAIL)
