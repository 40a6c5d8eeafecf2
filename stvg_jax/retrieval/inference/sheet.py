"""Contact sheet of a search: a frame of every hit, with its place, as a picture or a page."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from stvg_jax.core.errors import InputError
from stvg_jax.core.files import whole_file, whole_path
from stvg_jax.retrieval.inference.index import Hit

SUFFIXES = (".png", ".html")
_COLUMNS, _WIDTH, _HEIGHT = 5, 256, 192
_STYLE = """\
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(16em, 1fr)); gap: 1.2em; }
figure { margin: 0; } img { width: 100%; aspect-ratio: 4 / 3; object-fit: contain; background: #eee; }
figcaption { overflow-wrap: anywhere; } small { color: #666; }
"""


def check_sheet(path: Path) -> None:
    """Raises InputError unless the name of a sheet ends in one of `SUFFIXES`."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"sheet {path}: its name must end in {' or '.join(SUFFIXES)}")


def write_sheet(path: Path, sentence: str, hits: Sequence[Hit], *, decoder: str = "pyav") -> None:
    """Writes a contact sheet, whole or not at all. A hit whose video cannot be read any more has an empty picture.

    Args:
        path: the file, PNG or HTML by its ending.
        sentence: the question.
        hits: its answers.
        decoder: "pyav" or "decord".

    Raises:
        InputError: the name has another ending.
    """
    check_sheet(path)
    pictures = [middle_frame(hit, decoder) for hit in hits]
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".html":
        with whole_file(path) as file:
            file.write(_page(sentence, hits, pictures))
        return
    figure = _figure(sentence, hits, pictures)
    with whole_path(path) as partial:
        figure.savefig(partial, format="png")


def caption(place: int, hit: Hit) -> str:
    """ "1. 0.312  party.mp4, 12.0-22.0 s" for the first hit."""
    return f"{place}. {hit.score:.3f}  {Path(hit.video).name}, {hit.start_sec:.1f}-{hit.end_sec:.1f} s"


def middle_frame(hit: Hit, decoder: str = "pyav") -> Image.Image:
    """The frame in the middle of a hit, small; an empty picture if its video cannot be read any more."""
    from stvg_jax.data_pipeline.video import open_video

    try:
        with open_video(hit.video, decoder=decoder, allow_partial=True) as reader:
            middle = np.searchsorted(reader.info.timestamps_sec, (hit.start_sec + hit.end_sec) / 2)
            frame = reader.read([min(int(middle), reader.info.frame_count - 1)])[0]
    except InputError:
        return Image.new("RGB", (_WIDTH, _HEIGHT), "#eeeeee")
    picture = Image.fromarray(frame)
    picture.thumbnail((_WIDTH, _HEIGHT))
    return picture


def _figure(sentence: str, hits: Sequence[Hit], pictures: Sequence[Image.Image]):
    from matplotlib.figure import Figure

    rows = max(1, -(-len(hits) // _COLUMNS))
    figure = Figure(figsize=(2.8 * _COLUMNS, 2.5 * rows + 0.7), dpi=100, layout="constrained", facecolor="white")
    figure.suptitle(sentence, fontsize=15, wrap=True, parse_math=False)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for place, (axes, hit, picture) in enumerate(zip(grid.flat, hits, pictures, strict=False), 1):
        axes.imshow(np.asarray(picture))
        name = Path(hit.video).name
        name = name if len(name) <= 32 else f"{name[:14]}...{name[-14:]}"
        title = f"{place}.  {hit.score:.3f}  {hit.start_sec:.1f}-{hit.end_sec:.1f} s\n{name}"
        axes.set_title(title, fontsize=9, parse_math=False)
    return figure


def _page(sentence: str, hits: Sequence[Hit], pictures: Sequence[Image.Image]) -> str:
    figures = []
    for place, (hit, picture) in enumerate(zip(hits, pictures, strict=True), 1):
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=85)
        source = base64.b64encode(stream.getvalue()).decode()
        text, where = html.escape(caption(place, hit)), html.escape(hit.video)
        figures.append(
            f'<figure><img alt="" src="data:image/jpeg;base64,{source}">'
            f"<figcaption>{text}<br><small>{where}</small></figcaption></figure>"
        )
    title = html.escape(sentence)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{title}</title>\n<style>\n{_STYLE}</style>\n'
        f"<h1>{title}</h1>\n<main>\n" + "\n".join(figures) + "\n</main>\n</html>\n"
    )
