"""The tf.data graph from JPEG files to padded batches of frames. No other module uses TensorFlow."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from stvg_jax.core.errors import missing_extra
from stvg_jax.data_pipeline.loading.plan import View


@dataclasses.dataclass(frozen=True)
class RowFiles:
    """The pictures of one row, not yet decoded.

    Attributes:
        jpegs: a file for each frame; fewer if the rest is black.
        view: view of the pictures.
        padded: (height, width) of the batch.
    """

    jpegs: list[bytes]
    view: View
    padded: tuple[int, int]


def iterate_pictures(
    read_row: Callable[[int], RowFiles],
    row_numbers: tuple[int, int],
    *,
    rows: int,
    frames: int,
    antialias: bool,
    threads: int,
    prefetch: int,
) -> Iterator[np.ndarray]:
    """Yields batches of frames in the order of their rows: uint8 [rows, frames, height, width, 3], read-only.

    Rows are divided into frames, which are decoded on all threads and copied into a batch once. (Measured on two cores
    with rows of 65 frames of 420 x 588, 4:2:0: 26 rows per second, where decoding alone reaches 29; rows mapped whole
    21, Pillow on threads 13.) Memory: `prefetch` + 2 batches, and the files of a few rows. A batch has
    3 * rows * frames * height * width bytes, 48 MB for each such row.

    Args:
        read_row: function from the number of a row to its files; called on several threads.
        row_numbers: (first, end); all rows of a batch have the same `padded` size.
        rows, frames: size of a batch; a row may have fewer frames, the rest is black.
        antialias: as for `show`.
        prefetch: batches made in advance.

    Raises:
        tensorflow.errors.OpError: a row cannot be read or decoded; what `read_row` raised is only quoted in it.
    """
    tf = import_tensorflow()

    def read(number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        files = read_row(int(number))
        jpegs = np.array([*files.jpegs, *[b""] * (frames - len(files.jpegs))], object)
        view = files.view
        return jpegs, np.array([*view.part, *view.size, view.flip, *files.padded], np.int32)

    def split(number: Any) -> Any:
        jpegs, how = tf.numpy_function(read, [number], (tf.string, tf.int32), stateful=False)
        return tf.ensure_shape(jpegs, [frames]), tf.repeat(tf.ensure_shape(how, [9])[None], frames, axis=0)

    options = tf.data.Options()
    options.deterministic = True
    options.threading.private_threadpool_size = threads
    dataset = (
        tf.data.Dataset.range(*row_numbers)
        .map(split, num_parallel_calls=min(2, threads))
        .unbatch()
        .map(functools.partial(_decode_frame, antialias=antialias), num_parallel_calls=threads)
        .batch(rows * frames, drop_remainder=True)
        .map(lambda batch: tf.reshape(batch, [rows, frames, *tf.unstack(tf.shape(batch)[1:])]))
        .prefetch(prefetch)
    )
    return dataset.with_options(options).as_numpy_iterator()


def decode_jpeg(data: Any) -> Any:
    """A JPEG file to uint8 [h, w, 3], equal to Pillow's to the last bit."""
    # The default way of decoding is less exact, off by up to 14, and no faster.
    return import_tensorflow().io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")


def show(picture: Any, how: Any, *, antialias: bool = True) -> Any:
    """A stored picture, uint8 [h, w, 3], as a `View` shows it: cut, resized and flipped.

    Args:
        how: int32 [7], the view's part, size and flip.
        antialias: as for `data_pipeline.size_rules.SizeRule`.
    """
    tf = import_tensorflow()
    top, left, height, width, new_height, new_width, flip = tf.unstack(how)
    picture = picture[top : top + height, left : left + width]

    def resized() -> Any:
        pixels = tf.image.resize(picture, [new_height, new_width], antialias=antialias)
        return tf.cast(tf.round(pixels), tf.uint8)

    as_stored = tf.logical_and(tf.equal(height, new_height), tf.equal(width, new_width))
    picture = tf.cond(as_stored, lambda: picture, resized)
    return tf.cond(tf.equal(flip, 1), lambda: tf.reverse(picture, [1]), lambda: picture)


def _decode_frame(data: Any, how: Any, *, antialias: bool) -> Any:
    """One frame, padded; black where there is no file. `how` is that of `show` and the padded size: int32 [9]."""
    tf = import_tensorflow()
    padded = how[7:]

    def real() -> Any:
        picture = show(decode_jpeg(data), how[:7], antialias=antialias)
        rest = tf.concat([padded, [3]], 0) - tf.shape(picture)
        return tf.pad(picture, tf.stack([tf.zeros_like(rest), rest], axis=1))

    return tf.cond(tf.strings.length(data) > 0, real, lambda: tf.zeros(tf.concat([padded, [3]], 0), tf.uint8))


@functools.cache
def import_tensorflow() -> ModuleType:
    """TensorFlow, kept off the GPUs, whose memory it would take only to decode pictures.

    Raises:
        InputError: it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _quiet():
        try:
            import tensorflow
        except ImportError as error:
            raise missing_extra("data", f"TensorFlow is needed to load batches ({error})") from error
        tensorflow.config.set_visible_devices([], "GPU")
    return tensorflow


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides what C++ code writes to standard error.

    At every log level TensorFlow reports the instructions it was built for and that there is no GPU. Errors arrive as
    exceptions.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
