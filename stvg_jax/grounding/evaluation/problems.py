"""What is wrong with somebody's predictions, told all at once."""

from __future__ import annotations

import os
import tempfile

from stvg_jax.core.characters import one_line
from stvg_jax.core.errors import InputError

_SHOWN = 12
_LONGEST = 300


class Problems:
    """Collects problems by the rule that is broken."""

    def __init__(self) -> None:
        self._cases: dict[str, list[str]] = {}

    def add(self, rule: str, case: str) -> None:
        """Notes that `case`, such as the id of a sample, breaks `rule`."""
        self._cases.setdefault(rule, []).append(one_line(case, _LONGEST))

    def raise_all(self, what: str) -> None:
        """Raises what was collected, if anything was; a long list goes to a file that the message names.

        Args:
            what: the beginning of the message, such as "a.json cannot be scored".

        Raises:
            InputError: with a line for each rule.
        """
        if not self._cases:
            return
        message = self._told(what, _SHOWN)
        if any(len(cases) > _SHOWN for cases in self._cases.values()):
            handle, name = tempfile.mkstemp(prefix="stvg_jax_problems_", suffix=".txt")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self._told(what, None) + "\n")
            message += f"\nall of them: {name}"
        raise InputError(message)

    def _told(self, what: str, most: int | None) -> str:
        lines = [f"{what}:"]
        for rule, cases in self._cases.items():
            more = "" if most is None or len(cases) <= most else f", and {len(cases) - most:,} more"
            lines.append(f"  {rule} ({len(cases):,}): {', '.join(cases[:most])}{more}")
        return "\n".join(lines)
