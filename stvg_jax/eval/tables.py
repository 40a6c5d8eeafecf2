"""Tables of results, as text, Markdown and HTML."""

from __future__ import annotations

import dataclasses
import html


@dataclasses.dataclass(frozen=True)
class Table:
    """Table of texts, whose last rows may be our results.

    Attributes:
        title: line above the table.
        groups: (name, number of columns) of each group of columns, from the second column on.
        columns: names of all columns.
        rows: one cell for each column.
        ours: number of rows at the end that are our results.
        notes: lines below the table.
    """

    title: str
    groups: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    ours: int
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Table as aligned text for a terminal."""
        widths = [max(len(row[k]) for row in (self.columns, *self.rows)) for k in range(len(self.columns))]

        def line(cells: tuple[str, ...]) -> str:
            numbers = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
            return "  ".join([cells[0].ljust(widths[0]), *numbers])

        head, at = " " * widths[0], 1
        for name, span in self.groups:
            head += "  " + name.ljust(sum(widths[at : at + span]) + 2 * (span - 1))
            at += span
        rows = [line(row) for row in self.rows]
        rule = "-" * len(line(self.columns))
        published = len(rows) - self.ours
        parts = [self.title, *([head.rstrip()] if head.strip() else []), line(self.columns), rule, *rows[:published]]
        parts += [rule] if published and self.ours else []
        return "\n".join([*parts, *rows[published:], *self.notes])

    def markdown(self) -> str:
        """Table in Markdown, with the name of a group in front of the names of its columns."""
        names = [name for name, span in self.groups for _ in range(span)] or [""] * (len(self.columns) - 1)
        heads = [self.columns[0], *(f"{g} {c}".strip() for g, c in zip(names, self.columns[1:], strict=True))]
        lines = [self.title, "", _markdown_row(heads), "|---" + "|---:" * (len(heads) - 1) + "|"]
        published = len(self.rows) - self.ours
        for k, row in enumerate(self.rows):
            lines.append(_markdown_row([f"**{cell}**" if k >= published and cell else cell for cell in row]))
        return "\n".join([*lines, *(f"\n{note}" for note in self.notes)]) + "\n"

    def html(self) -> str:
        """Table in HTML."""
        groups = "".join(
            f'<th colspan="{span}" scope="colgroup">{html.escape(name)}</th>' for name, span in self.groups
        )
        head = f"<tr><th></th>{groups}</tr>" if any(name for name, _ in self.groups) else ""
        columns = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in self.columns)
        published = len(self.rows) - self.ours
        body = ""
        for k, row in enumerate(self.rows):
            cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
            kind = ' class="ours"' if k >= published else ""
            body += f'<tr{kind}><th scope="row">{html.escape(row[0])}</th>{cells}</tr>\n'
        notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in self.notes)
        caption = f"<caption>{html.escape(self.title)}</caption>"
        return f"<table>{caption}<thead>{head}<tr>{columns}</tr></thead>\n<tbody>{body}</tbody></table>{notes}"


def _markdown_row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def percent(value: float | None) -> str:
    """A percentage as a cell of a table; "-" for one that is unknown."""
    return "-" if value is None else f"{value:.1f}"
