"""Difference between resizing with and without antialiasing, for the sizes of VidSTG's videos.

    python -m benchmarks.antialias VIDEO... --annotations test_annotations.json

CG-STVG's loader of VidSTG resizes without antialiasing, with the library versions that it names. TA-STVG's loader and
this library resize with antialiasing. Frames of the given videos are resized to each size in the annotation file, and
from there to the size of the models in both ways. Differences are in units of 1/255. The mean over sizes is weighted by
the number of sentences about videos of each size. A picture that is enlarged on both sides is the same in both ways.
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib

import numpy as np
from PIL import Image

from stvg_jax.data_pipeline.frames import model_size, resize
from stvg_jax.data_pipeline.loading.pictures import import_tensorflow
from stvg_jax.data_pipeline.video import open_video

RESOLUTION, FRAMES = 420, 4


def count_sizes(path: pathlib.Path) -> collections.Counter[tuple[int, int]]:
    """(height, width) -> sentences about videos of this size, in a file of VidSTG as distributed."""
    sizes: collections.Counter[tuple[int, int]] = collections.Counter()
    for entry in json.loads(path.read_text(encoding="utf-8")):
        sizes[entry["height"], entry["width"]] += len(entry["captions"]) + len(entry["questions"])
    return sizes


def read_frames(path: str) -> np.ndarray:
    """A few frames spread over a video, uint8 [n, h, w, 3]."""
    with open_video(path) as reader:
        return reader.read(np.linspace(0, reader.info.frame_count - 1, FRAMES).astype(int))


def difference(frame: np.ndarray, source: tuple[int, int]) -> np.ndarray:
    """Absolute differences in units of 1/255, for a frame that is first resized to (height, width) `source`."""
    tf = import_tensorflow()
    height, width = source
    picture = np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS))[None]
    size = model_size(height, width, RESOLUTION)
    plain = tf.image.resize(picture, size, antialias=False).numpy()
    return np.abs(255 * resize(picture, size) - plain)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+")
    parser.add_argument("--annotations", type=pathlib.Path, required=True)
    args = parser.parse_args()
    frames = [frame for path in args.videos for frame in read_frames(path)]
    sizes = count_sizes(args.annotations)
    print("   size     sentences  mean difference   max")
    total = 0.0
    for (height, width), sentences in sizes.most_common():
        differences = [difference(frame, (height, width)) for frame in frames]
        mean = float(np.mean([each.mean() for each in differences]))
        total += sentences * mean
        print(f"{width:4d}x{height:<4d} {sentences:11,d} {mean:16.3f} {max(each.max() for each in differences):5.0f}")
    print(f"mean over {sizes.total():,} sentences: {total / sizes.total():.3f}")


if __name__ == "__main__":
    main()
