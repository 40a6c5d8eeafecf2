"""Sentences as pictures, broken into lines, with a phrase in another colour."""

from __future__ import annotations

import functools
import math
import pathlib
import string

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont


@functools.lru_cache(maxsize=32)
def load_font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with Matplotlib and covers far more alphabets than the font of Pillow."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def one_line(text: str) -> str:
    """`text` as one line that a font can render: no line breaks, no lone surrogates."""
    return " ".join(text.encode("utf-8", "replace").decode("utf-8").split())


def text_image(
    text: str,
    emphasised: str,
    font: ImageFont.FreeTypeFont,
    width: int,
    max_lines: int,
    colours: tuple[tuple[int, int, int], tuple[int, int, int]],
    background: tuple[int, int, int, int],
    tight: bool = False,
) -> np.ndarray:
    """Picture of a text, wrapped into lines, uint8 [h, w, 4] RGBA.

    Args:
        text: any text.
        emphasised: part of it to draw in the second colour; "" for none.
        font: of all words.
        width: of the picture in pixels.
        max_lines: most lines; an ellipsis replaces the rest of the text.
        colours: RGB of the text and of its emphasised part.
        background: RGBA.
        tight: whether to cut the picture to the width of the text.
    """
    margin = max(2, round(0.35 * font.size))
    lines = _wrap(_marked_words(one_line(text), one_line(emphasised)), font, max(width - 2 * margin, 1), max_lines)
    pitch = math.ceil(1.25 * font.size)
    if tight:
        longest = max((font.getlength(" ".join(w for w, _ in line)) for line in lines), default=0)
        width = min(width, math.ceil(longest) + 2 * margin)
    image = Image.new("RGBA", (max(width, 1), len(lines) * pitch + margin), background)
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        x, y = float(margin), margin // 2 + row * pitch
        for word, marked in line:
            draw.text((x, y), word, font=font, fill=(*colours[marked], 255))
            x += font.getlength(word + " ")
    return np.asarray(image)


def _marked_words(text: str, emphasised: str) -> list[tuple[str, bool]]:
    """Words of `text`, each with True if it is part of the first occurrence of `emphasised`."""

    def bare(words: list[str]) -> list[str]:
        return [word.strip(string.punctuation).casefold() for word in words]

    words = text.split()
    sought, all_bare = bare(emphasised.split()), bare(words)
    n = len(sought)
    begin = next((k for k in range(len(words) - n + 1) if all_bare[k : k + n] == sought), 0) if n else 0
    found = n and all_bare[begin : begin + n] == sought
    return [(word, bool(found and begin <= k < begin + n)) for k, word in enumerate(words)]


def _wrap(
    words: list[tuple[str, bool]], font: ImageFont.FreeTypeFont, width: float, max_lines: int
) -> list[list[tuple[str, bool]]]:
    """Lines no wider than `width`. Words longer than a line are broken; "…" replaces the text after the last line."""
    lines: list[list[tuple[str, bool]]] = [[]]
    used = 0.0
    space = font.getlength(" ")
    for word, marked in words:
        for piece in _pieces(word, font, width):
            length = font.getlength(piece)
            if lines[-1] and used + length > width:
                if len(lines) == max_lines:
                    lines[-1] = _with_ellipsis(lines[-1], font, width)
                    return lines
                lines.append([])
                used = 0.0
            lines[-1].append((piece, marked))
            used += length + space
    return lines


def _pieces(word: str, font: ImageFont.FreeTypeFont, width: float) -> list[str]:
    pieces = []
    while word and font.getlength(word) > width:
        cut = len(word) - 1
        while cut > 1 and font.getlength(word[:cut]) > width:
            cut = cut // 2 if font.getlength(word[: cut // 2]) > width else cut - 1
        pieces.append(word[: max(cut, 1)])
        word = word[max(cut, 1) :]
    return [*pieces, word] if word else pieces


def _with_ellipsis(line: list[tuple[str, bool]], font: ImageFont.FreeTypeFont, width: float) -> list[tuple[str, bool]]:
    line = list(line)
    while line:
        word, marked = line[-1]
        shortened = [*line[:-1], (word.rstrip(".,;:") + "…", marked)]
        if font.getlength(" ".join(w for w, _ in shortened)) <= width:
            return shortened
        if len(line) == 1 and len(word) > 1:
            line = [(word[:-1], marked)]
        else:
            line.pop()
    return [("…", False)]
