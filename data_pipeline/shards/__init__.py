"""Frames of videos, decoded once and kept as JPEG: written by `prepare_frames`, read by `FrameStore`.

Each video is an ArrayRecord file with a record per frame. `python -m benchmarks.frame_shards files` compared the ways
to store a clip of 568 frames at 420x588, 36 MB. The times are for opening it and reading 64 random frames, or all, on
two CPU cores, where decoding the 64 frames takes 127 ms:

    way                                        more bytes    cached    from disk    all 568
    ArrayRecord, a file per video                  0.48 %    3.1 ms       9.0 ms      51 ms
    ArrayRecord, 20 videos per file                0.14 %    3.4 ms       8.4 ms      37 ms
    TFRecord and an index of our own               0.03 %    0.8 ms      11.6 ms       9 ms
    TFRecord, from its beginning                   0.03 %     80 ms        90 ms     158 ms
    builder of tensorflow-datasets                 0.50 %    5.8 ms      11.5 ms      64 ms
    a JPEG file per frame                          2.54 %    1.5 ms      11.5 ms      16 ms

All ways but one read much faster than the frames are decoded, so other properties decide. ArrayRecord keeps its index
in the file, checks a hash of every record that it reads, and needs no TensorFlow, whose import takes seconds.
A builder of tensorflow-datasets starts from the beginning after a kill. A file per video, of 5 to 60 MB, is large
enough for any file system, and finishing a video is a single rename: nothing else is needed to resume, to work in
parallel, to repair a video or to add one.

JPEG at quality 95 without colour subsampling, on frames of a 768x432 film stored at 588x420 (`benchmarks.frame_shards
pictures`; errors in 1/255 against the exact resizing in float32, of which rounding alone makes 0.16):

    quality    colours    kB per frame    PSNR    mean error    99.9 % below    largest
         85      4:4:4            35.3    43.8          1.09             9.6         29
         90      4:4:4            44.2    45.2          0.93             7.8         30
         90      4:2:0            36.0    43.6          1.09            11.2         43
         95      4:4:4            64.7    47.5          0.74             5.6         16
         95      4:2:0            52.4    45.4          0.88             9.6         29
         98      4:4:4            93.4    49.7          0.58             3.7         10

For the same size, full colours at a lower quality are more exact than halved colours at a higher quality.
"""

from stvg_jax.data_pipeline.shards.checking import check_store
from stvg_jax.data_pipeline.shards.entries import StoredVideo
from stvg_jax.data_pipeline.shards.jpeg import Settings
from stvg_jax.data_pipeline.shards.preparing import Summary, prepare_frames
from stvg_jax.data_pipeline.shards.store import FrameStore
from stvg_jax.data_pipeline.shards.wanted import POLICIES, wanted_frames

__all__ = [
    "POLICIES",
    "FrameStore",
    "Settings",
    "StoredVideo",
    "Summary",
    "check_store",
    "prepare_frames",
    "wanted_frames",
]
