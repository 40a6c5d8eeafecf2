"""Comparison of ways to store frames: compression of pictures, and file formats.

    python -m benchmarks.frame_shards pictures VIDEO...
    python -m benchmarks.frame_shards files VIDEO       # needs tensorflow-datasets for two of its rows

`pictures` compares JPEG settings on frames spread over the videos: size, error against exact resizing, time.
`files` writes a clip of 568 frames, the length of an HC-STVG video, in several formats. It reads 64 random frames from
each, opening included, from a warm page cache and from an empty one, and then all frames.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from stvg_jax.data_pipeline import frames
from stvg_jax.data_pipeline.shards import Settings, jpeg
from stvg_jax.data_pipeline.shards.records import RecordReader, RecordWriter
from stvg_jax.data_pipeline.video import open_video

CLIP, READ, REPEATS, PACKED = 568, 64, 21, 20


def pictures(paths: Sequence[str], count: int = 24) -> None:
    """Prints a row for each JPEG setting and video. Errors are in units of 1/255, against resizing in float32."""
    for path in paths:
        with open_video(path) as reader:
            decoded = reader.read(np.linspace(0, reader.info.frame_count - 1, count).astype(int))
        size = Settings().stored_size(*decoded.shape[1:3])
        exact = 255 * frames.resize(decoded, size) if size != decoded.shape[1:3] else decoded.astype(np.float32)
        print(f"{path}: {decoded.shape[2]}x{decoded.shape[1]} stored as {size[1]}x{size[0]}, {count} frames")
        print("quality colours    kB  PSNR  mean error  99.9%   max  encode ms  decode ms")
        for quality in (85, 90, 95, 98):
            for subsampling in jpeg.SUBSAMPLINGS:
                start = time.perf_counter()
                stored = [Settings(quality=quality, subsampling=subsampling).stored(picture) for picture in decoded]
                middle = time.perf_counter()
                errors = np.abs(np.stack([jpeg.decode(data) for data in stored]) - exact)
                end = time.perf_counter()
                print(
                    f"{quality:7d} {subsampling:>7} {np.mean([len(s) for s in stored]) / 1000:5.1f}"
                    f" {10 * np.log10(255**2 / np.mean(errors**2)):5.1f} {errors.mean():11.2f}"
                    f" {np.percentile(errors, 99.9):6.1f} {errors.max():5.0f}"
                    f" {1000 * (middle - start) / count:10.1f} {1000 * (end - middle) / count:10.1f}"
                )


# Each function below writes records into a folder and returns a function that opens the file and reads some of them.
Reading = Callable[[Sequence[int]], list[bytes]]


def array_record(folder: pathlib.Path, records: list[bytes]) -> Reading:
    with RecordWriter(folder / "a") as writer:
        for record in records:
            writer.write(record)
    return lambda ids: RecordReader(folder / "a", len(records)).read(ids)


def packed_array_record(folder: pathlib.Path, records: list[bytes]) -> Reading:
    """The clip in a shard among others."""
    read, first = array_record(folder, records * PACKED), PACKED // 2 * len(records)
    return lambda ids: read([first + i for i in ids])


def tfrecord_with_offsets(folder: pathlib.Path, records: list[bytes]) -> Reading:
    """TFRecord, read at the offsets of an index. A record has 12 bytes before it and 4 after it."""
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(folder / "a")) as writer:
        for record in records:
            writer.write(record)
    ends = np.cumsum([len(record) + 16 for record in records])

    def read(ids: Sequence[int]) -> list[bytes]:
        descriptor = os.open(folder / "a", os.O_RDONLY)
        try:
            places = [(int(ends[i]) - 4 - len(records[i]), len(records[i])) for i in ids]
            return [os.pread(descriptor, length, place) for place, length in places]
        finally:
            os.close(descriptor)

    return read


def tfrecord_in_sequence(folder: pathlib.Path, records: list[bytes]) -> Reading:
    """TFRecord without an index: all records before the last wanted one are read too."""
    import tensorflow as tf

    tfrecord_with_offsets(folder, records)

    def read(ids: Sequence[int]) -> list[bytes]:
        wanted = set(ids)
        data = tf.data.TFRecordDataset(str(folder / "a")).take(max(ids) + 1).as_numpy_iterator()
        return [record for number, record in enumerate(data) if number in wanted]

    return read


def tensorflow_datasets(folder: pathlib.Path, records: list[bytes]) -> Reading:
    """A builder of tensorflow-datasets with one example per frame, in ArrayRecord, read without decoding."""
    import tensorflow_datasets as tfds

    class Clip(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> tfds.core.DatasetInfo:
            features = tfds.features.FeaturesDict({"frame": tfds.features.Image(shape=(None, None, 3))})
            return tfds.core.DatasetInfo(builder=self, features=features)

        def _split_generators(self, manager: object) -> dict:
            return {"train": self._generate_examples()}

        def _generate_examples(self) -> Iterator[tuple[int, dict]]:
            # Examples are stored in the order of their hashed keys, so that a reader needs a table of offsets too. The
            # time of reading does not depend on it.
            yield from ((i, {"frame": record}) for i, record in enumerate(records))

    builder = Clip(data_dir=folder, file_format="array_record")
    builder.download_and_prepare()
    skip = {"frame": tfds.decode.SkipDecoding()}

    def read(ids: Sequence[int]) -> list[bytes]:
        source = builder.as_data_source("train", decoders=skip)
        return [example["frame"] for example in source.__getitems__(list(ids))]

    return read


def file_per_frame(folder: pathlib.Path, records: list[bytes]) -> Reading:
    for number, record in enumerate(records):
        (folder / f"{number:06d}.jpg").write_bytes(record)
    return lambda ids: [(folder / f"{i:06d}.jpg").read_bytes() for i in ids]


WAYS = (
    array_record,
    packed_array_record,
    tfrecord_with_offsets,
    tfrecord_in_sequence,
    tensorflow_datasets,
    file_per_frame,
)


def files(path: str) -> None:
    """Prints a row for each way of storing the frames of a clip."""
    start = time.perf_counter()
    for module in ("tensorflow", "tensorflow_datasets"):
        importlib.import_module(module)
    print(f"importing tensorflow and tensorflow-datasets takes {time.perf_counter() - start:.1f} s")
    records = list(clip(path))
    total, generator = sum(map(len, records)), np.random.default_rng(0)
    picks = [sorted(generator.choice(CLIP, READ, replace=False).tolist()) for _ in range(REPEATS)]
    print(f"{CLIP} frames, {total / 1e6:.1f} MB of JPEG; {READ} read, medians of {REPEATS}")
    print(f"decoding {READ} of these takes {1000 * seconds(lambda: list(map(jpeg.decode, records[:READ]))):.0f} ms")
    print(f"{'':22} {'more bytes':>10} {'write s':>8} {'warm ms':>8} {'cold ms':>8} {'whole ms':>9}")
    for way in WAYS:
        with tempfile.TemporaryDirectory(dir=".") as name:
            folder = pathlib.Path(name)
            start = time.perf_counter()
            read = way(folder, records)
            written = time.perf_counter() - start
            os.sync()
            copies = PACKED if way is packed_array_record else 1
            size = sum(p.stat().st_blocks * 512 for p in folder.rglob("*") if p.is_file()) / copies
            warm = statistics.median(seconds(read, ids) for ids in picks)
            cold = statistics.median(seconds(read, ids, forget=folder) for ids in picks)
            whole = statistics.median(seconds(read, range(CLIP)) for _ in range(5))
        print(
            f"{way.__name__:22} {size / total - 1:10.2%} {written / copies:8.2f} {1000 * warm:8.1f} {1000 * cold:8.1f}"
            f" {1000 * whole:9.1f}"
        )


def clip(path: str) -> Iterator[bytes]:
    """JPEG of the first frames of a video at 420x588, however large it is."""
    with open_video(path) as reader:
        for _, picture in reader.iter_frames(0, CLIP):
            yield jpeg.encode(jpeg.resized(picture, (420, 588)))


def seconds(function: Callable, *args: object, forget: pathlib.Path | None = None) -> float:
    """Time of one call, after the files below `forget` have been dropped from the page cache."""
    for path in forget.rglob("*") if forget else ():
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pictures", "files"))
    parser.add_argument("videos", nargs="+", metavar="VIDEO")
    args = parser.parse_args()
    if args.what == "pictures":
        pictures(args.videos)
    else:
        files(args.videos[0])


if __name__ == "__main__":
    main()
