"""Pictures resized as in the released systems and normalised, as arrays for a model."""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.core.pixels import normalize
from stvg_jax.data_pipeline.size_rules import SQUEEZED, get_size_rule
from stvg_jax.data_pipeline.video import VideoReader

_THREADS = max(1, min(8, os.cpu_count() or 1))


def model_size(
    height: int, width: int, resolution: int, sizing: str = SQUEEZED, side: int | None = None
) -> tuple[int, int]:
    """(height, width) of a picture of this height and width at the resolution of a model.

    Args:
        sizing: a key of `data_pipeline.size_rules.SIZE_RULES`.
        side: as for `data_pipeline.size_rules.SizeRule.size`.

    Raises:
        InputError: a size that is not positive, a picture so narrow that no column or row would be left, or an unknown
            rule.
    """
    if min(height, width, resolution) < 1:
        raise InputError(f"height={height}, width={width}, resolution={resolution}: all three must be at least 1")
    size = get_size_rule(sizing).size(height, width, resolution, side)
    if min(size) < 1:
        raise InputError(f"a picture {width} wide and {height} high is too narrow for resolution {resolution}; crop it")
    return size


def resize(frames: np.ndarray, size: tuple[int, int], sizing: str = SQUEEZED) -> np.ndarray:
    """Bilinear resizing (`data_pipeline.resampling`).

    Args:
        frames: uint8 [n, H, W, 3].
        size: (h, w).
        sizing: as for `model_size`; it decides how pixels are resampled.

    Returns:
        float32 [n, h, w, 3] in [0, 1].

    Raises:
        InputError: an unknown rule.
    """
    return _map_frames(enumerate(frames), len(frames), size, get_size_rule(sizing).resample)


def prepare(frames: np.ndarray, resolution: int, sizing: str = SQUEEZED) -> np.ndarray:
    """Resizes and normalises: uint8 [n, H, W, 3] to float32 [n, h, w, 3] with
    (h, w) = `model_size(H, W, resolution, sizing)`.

    Raises:
        InputError: as `model_size`.
    """
    _, height, width, _ = frames.shape
    size = model_size(height, width, resolution, sizing)
    return _map_frames(enumerate(frames), len(frames), size, _prepare_one(sizing))


def load_clip(
    reader: VideoReader,
    frame_ids: Sequence[int] | np.ndarray,
    resolution: int,
    progress: Callable[[int], None] | None = None,
    *,
    sizing: str = SQUEEZED,
) -> np.ndarray:
    """Decodes, resizes and normalises frames of a video: the same as `prepare(reader.read(frame_ids), resolution,
    sizing)`.

    Only a few full-size pictures are in memory; they are resized on threads while the next ones are decoded.

    Args:
        frame_ids: [n] ids in any order, repeats allowed.
        progress: called with 1 after each distinct frame has been decoded.
        sizing: as for `model_size`.

    Returns:
        float32 [n, h, w, 3], normalised, with (h, w) = `model_size(height, width, resolution, sizing)`.

    Raises:
        InputError: as `model_size` and `VideoReader.read`.
    """
    size = model_size(reader.info.height, reader.info.width, resolution, sizing)
    unique, places = np.unique(np.asarray(frame_ids), return_inverse=True)
    pictures = (picture for _, picture in reader.iter_selected(unique))
    clip = _map_frames(enumerate(_counted(pictures, progress)), len(unique), size, _prepare_one(sizing))
    return clip if np.array_equal(places, np.arange(len(unique))) else clip[places]


def _counted(pictures: Iterable[np.ndarray], progress: Callable[[int], None] | None) -> Iterator[np.ndarray]:
    for picture in pictures:
        yield picture
        if progress is not None:
            progress(1)


def _map_frames(
    frames: Iterable[tuple[int, np.ndarray]],
    count: int,
    size: tuple[int, int],
    function: Callable[[np.ndarray, tuple[int, int]], np.ndarray],
) -> np.ndarray:
    """Applies `function` to numbered frames on threads: float32 [count, h, w, 3]."""
    result = np.empty((count, *size, 3), np.float32)

    def work(index: int, frame: np.ndarray) -> None:
        result[index] = function(frame, size)

    running: collections.deque[Future[None]] = collections.deque()
    with ThreadPoolExecutor(_THREADS) as pool:
        for index, frame in frames:
            running.append(pool.submit(work, index, frame))
            # Without a bound a fast decoder would pile up full-size pictures.
            if len(running) > 2 * _THREADS:
                running.popleft().result()
        for future in running:
            future.result()
    return result


def _prepare_one(sizing: str) -> Callable[[np.ndarray, tuple[int, int]], np.ndarray]:
    resample = get_size_rule(sizing).resample
    return lambda frame, size: normalize(resample(frame, size))
