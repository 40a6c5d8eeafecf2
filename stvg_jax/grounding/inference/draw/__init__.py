"""Pictures of an answer: the video with the tube drawn into it, and a page with frames and scores."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.draw.mp4 import write_h264
    from stvg_jax.grounding.inference.draw.picture import draw_picture, picture_frame_ids
    from stvg_jax.grounding.inference.draw.video import cut_video, draw_video

__all__ = ["cut_video", "draw_picture", "draw_video", "picture_frame_ids", "write_h264"]

_MODULES = {
    "cut_video": "video",
    "draw_picture": "picture",
    "draw_video": "video",
    "picture_frame_ids": "picture",
    "write_h264": "mp4",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: Matplotlib takes long to load, and writing a video does not need it.
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
