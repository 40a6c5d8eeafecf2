"""Exact frames out of video files: what a file shows, counted from 0 in display order, as RGB arrays.

`open_video` builds a table of presentation times by reading the packets once, without decoding them. The table says
how many frames the file shows and where the keyframes are, so that any frame can be reached by a seek and recognised
by its time; nothing is ever computed from an average frame rate. Where times cannot be trusted, frames are counted by
decoding. Damage is an error, never a substitute frame.
"""

from stvg_jax.data_pipeline.video.opening import DECODERS, open_video
from stvg_jax.data_pipeline.video.reader import VideoInfo, VideoReader

__all__ = ["DECODERS", "VideoInfo", "VideoReader", "open_video"]
