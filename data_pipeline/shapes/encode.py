"""Pictures into an H.264 file."""

from __future__ import annotations

import contextlib
import os
import pathlib

import av
import numpy as np

_BT709 = 1
# One thread and no "mbtree" (whose assembly varies): the same pictures give the same bytes with the same x264.
_OPTIONS = {"crf": "18", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}


def write_video(path: str | os.PathLike[str], frames: np.ndarray, fps: int) -> None:
    """Writes an MP4 of uint8 [n, height, width, 3] RGB pictures of even size, whole or not at all."""
    path = pathlib.Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        with av.open(str(partial), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=fps, options=_OPTIONS)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.color_primaries = context.color_trc = context.colorspace = _BT709
            for rgb in frames:
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
            container.mux(stream.encode())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        raise
