"""Links, anchors and names in the documentation lead somewhere, and every page is in the menu."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from tests.test_imports import PACKAGES

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXTS = [*(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")), *PAGES]


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def links(text: str) -> list[str]:
    """Targets of links that lead to files of the repository."""
    found = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", without_code(text))
    return [target for target in found if not target.startswith(("http://", "https://", "mailto:"))]


def anchors(text: str) -> set[str]:
    """Of headings, as GitHub and mkdocs make them, and of the names of API pages."""
    titles = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), flags=re.MULTILINE
    )
    names = set(re.findall(r"^::: (\S+)$", text, flags=re.MULTILINE))
    return names | {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_links_and_anchors_are_found():
    text = "# A, `b`: c d\n[x](y.md#z) `[no](no.md)` [w](https://w)\n```\n# no\n[no](no.md)\n```\n::: a.B\n"
    assert links(text) == ["y.md#z"]
    assert anchors(text) == {"a-b-c-d", "a.B"}


@pytest.mark.parametrize("page", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in links(text):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{target}: no such file"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{target}: no such heading"


def test_pages_link_to_pages_alone():
    """The site has nothing from outside of docs/."""
    for page in PAGES:
        for target in links(page.read_text(encoding="utf-8")):
            if name := target.partition("#")[0]:
                assert (page.parent / name).resolve() in PAGES, f"{page.name} links to {target}"


def test_the_menu_lists_every_page():
    def files(entries):
        for entry in entries:
            for value in entry.values():
                yield from files(value) if isinstance(value, list) else [value]

    listed = list(files(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    assert sorted(listed) == sorted(path.relative_to(ROOT / "docs").as_posix() for path in PAGES)


def source(module: str) -> Path | None:
    """The file of an installed module."""
    folder, installed = max(PACKAGES.items(), key=lambda item: len(item[1]) * f"{module}.".startswith(f"{item[1]}."))
    path = ROOT / folder / module.removeprefix(installed).strip(".").replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def defines(file: Path, name: str) -> bool:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return any(getattr(node, "name", None) == name for node in tree.body)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_an_api_page_describes_exists(page):
    for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
        module, _, member = name.rpartition(".")
        file = source(module)
        assert source(name) or (file and defines(file, member)), f"{name} does not exist"


def test_files_that_contributors_are_sent_to_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"`([\w./]+/(?:\w+\.py)?)`", text)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []
