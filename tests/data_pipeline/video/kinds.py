"""Videos of the kinds that containers and codecs make different, 30 numbered frames each unless told otherwise."""

import numpy as np

from stvg_jax.data_pipeline.video import open_video
from tests.videos import numbers_in

OPEN_GOPS = {"x264-params": "open-gop=1"}
IRREGULAR_MS = np.cumsum([0, *np.random.default_rng(0).integers(10, 300, 29)]).tolist()
KINDS = {
    "b-frames.mp4": {},
    "b-frames.mkv": {},
    "b-frames.ts": {},
    "no-times.avi": {},
    "no-container.h264": {},
    "open-gops.mp4": {"options": OPEN_GOPS},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mpeg2.mpg": {"codec": "mpeg2video", "fps": 25},
    "hidden-frames.webm": {"codec": "libvpx", "b_frames": 0, "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
    "irregular.mp4": {"times_ms": IRREGULAR_MS},
    "irregular.mkv": {"times_ms": IRREGULAR_MS},
    "one-frame.mp4": {"count": 1},
    "one-keyframe.mp4": {"gop": 300},
    "all-keyframes.mp4": {"gop": 1, "b_frames": 0},
}


def every_number(path, **options):
    """The numbers that the frames of a file show, in the order in which they are read."""
    with open_video(path, **options) as reader:
        return numbers_in(reader.read(range(reader.info.frame_count)))
