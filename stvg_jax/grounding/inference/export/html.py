"""An answer as a notebook shows it: text and, where the video can be read, the picture of `tube.png`."""

from __future__ import annotations

import base64
import html
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from stvg_jax.core.characters import without_surrogates
from stvg_jax.core.errors import InputError

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.tube import Tube


def to_html(tube: Tube) -> str:
    """HTML of an answer, which loads nothing and runs nothing."""
    from stvg_jax.grounding.inference.answer import describe

    text = f"<pre>{html.escape(without_surrogates(describe(tube)))}</pre>"
    try:
        picture = base64.b64encode(_picture(tube)).decode()
    except (InputError, OSError) as error:
        return f"{text}<p>{html.escape(without_surrogates(str(error)))}</p>"
    return f'{text}<img alt="frames with boxes, and the scores" src="data:image/png;base64,{picture}">'


def _picture(tube: Tube) -> bytes:
    from stvg_jax.data_pipeline.video import open_video
    from stvg_jax.grounding.inference.draw import draw_picture, picture_frame_ids

    with tempfile.TemporaryDirectory() as folder, open_video(tube.video) as reader:
        chosen = picture_frame_ids(tube)
        path = Path(folder) / "tube.png"
        draw_picture(tube, dict(zip(chosen, reader.read(chosen), strict=True)), path)
        return path.read_bytes()
