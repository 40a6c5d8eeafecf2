"""Search in one's own videos: an index of their windows, and the windows that a sentence describes best."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from stvg_jax.core.arguments import check_path, check_whole
from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.locks import lock_to_write
from stvg_jax.core.progress import Progress, Silent
from stvg_jax.models.names import BUILTIN_RETRIEVAL
from stvg_jax.retrieval.inference.encoder import VideoTextEncoder, finite
from stvg_jax.retrieval.inference.storage import Header, IndexedVideo, IndexFolder
from stvg_jax.retrieval.inference.windows import WindowConfig, make_windows, read_windows

# Bytes of embeddings that a search holds as float32.
_BLOCK_BYTES = 64_000_000


@dataclasses.dataclass(frozen=True)
class Hit:
    """A part of a video that a sentence describes.

    Attributes:
        video: path of the file.
        start_sec, end_sec: the part.
        score: similarity of the part and the sentence, a cosine.
    """

    video: str
    start_sec: float
    end_sec: float
    score: float


def build_index(
    videos: Iterable[str | os.PathLike[str]],
    encoder: VideoTextEncoder,
    out: str | os.PathLike[str],
    *,
    checkpoint: str = BUILTIN_RETRIEVAL,
    windows: WindowConfig | None = None,
    decoder: str = "pyav",
    allow_partial: bool = False,
    progress: Progress | None = None,
) -> dict[str, str]:
    """Makes an index of videos, or adds to one what is new or has changed since.

    A video that cannot be read is left out, and tried again only when its file changes. Videos of the index whose files
    are gone are left out from then on. The work of an interrupted call is kept, video by video.

    Args:
        videos: files, and folders that are searched for videos.
        encoder: the model.
        out: folder of the index.
        checkpoint: path or name of the model, which `Index.open` will load; by default the built-in one.
        windows: windows of every video; None for those of 10 seconds, each 5 after the one before.
        decoder, allow_partial: as for `stvg_jax.data_pipeline.video.open_video`.
        progress: shows the progress.

    Returns:
        Video -> reason, for each of these videos that cannot be read.

    Raises:
        InputError: a path that is missing, a folder without videos, or a folder `out` that holds something else; or
            another process is adding to it.
    """
    from stvg_jax.data_pipeline.video.listing import list_videos

    files, windows = list_videos(videos), windows or WindowConfig()
    progress = progress or Silent()
    shape = encoder.embedding_shape
    folder = IndexFolder.make(Path(out), Header(checkpoint, encoder.identity, dataclasses.asdict(windows), shape))
    with lock_to_write(folder.path):
        # Another process may have added to it before the lock was free.
        folder = IndexFolder.open(folder.path)
        for name, known in list(folder.videos.items()):
            if known.rows and not os.path.exists(name):
                folder.leave_out(dataclasses.replace(known, error="the file is gone"))
        todo = [file for file in files if not _is_known(folder, file)]
        with progress.bar("indexing", len(files), "video", done=len(files) - len(todo)) as step:
            for file in todo:
                _add(folder, file, encoder, windows, decoder, allow_partial)
                step()
    records = (folder.videos[os.fspath(file)] for file in files)
    return {record.video: record.error for record in records if record.error}


def _is_known(folder: IndexFolder, file: Path) -> bool:
    known = folder.videos.get(os.fspath(file))
    return known is not None and known.is_of(file.stat())


def _add(
    folder: IndexFolder, file: Path, encoder: VideoTextEncoder, config: WindowConfig, decoder: str, partial: bool
) -> None:
    """Reads one video and adds it, or records why it cannot be read."""
    from stvg_jax.data_pipeline.video import open_video

    state = file.stat()
    video = IndexedVideo(os.fspath(file), state.st_size, state.st_mtime_ns)
    embeddings, pending = [], []
    try:
        with open_video(file, decoder=decoder, allow_partial=partial) as reader:
            windows = make_windows(reader.info, config)
            for frames in read_windows(reader, windows, encoder.clip.shown):
                pending.append(frames)
                if len(pending) == encoder.rows:
                    embeddings.append(encoder.encode_clips(np.stack(pending)))
                    pending = []
    except InputError as error:
        folder.leave_out(dataclasses.replace(video, error=first_line(error)))
        return
    if pending:
        embeddings.append(encoder.encode_clips(np.stack(pending)))
    bounds = np.array([(window.start_sec, window.end_sec) for window in windows])
    folder.add(video, bounds, finite(np.concatenate(embeddings)))


class Index:
    """An index that can be searched:

        index = stvg_jax.Index.open("index")
        for hit in index.search("a man opens the door"):
            print(hit.video, hit.start_sec, hit.end_sec, hit.score)

    Args:
        folder: the index.
        encoder: the model that made it.
    """

    def __init__(self, folder: IndexFolder, encoder: VideoTextEncoder):
        self._folder, self._encoder = folder, encoder

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, checkpoint: str | os.PathLike[str] | None = None, dtype: str = "float32"
    ) -> Index:
        """Opens an index and loads the model that made it.

        Args:
            path: folder of the index.
            checkpoint: the model, if it has moved since; None for the one that the index names.
            dtype: of the computation, "float32" or "bfloat16".

        Raises:
            InputError: the folder is no index or is damaged, or the checkpoint is missing or another one.
        """
        folder = IndexFolder.open(Path(check_path("index", path)))
        encoder = VideoTextEncoder.load(folder.header.checkpoint if checkpoint is None else checkpoint, dtype=dtype)
        return cls(folder, encoder.checked_against(folder.header.identity, folder.path))

    def __len__(self) -> int:
        """Number of windows."""
        return self._folder.rows

    @property
    def checkpoint(self) -> str:
        """Path or name of the model that made the index."""
        return self._folder.header.checkpoint

    @property
    def videos(self) -> Sequence[str]:
        """Paths of the videos that can be found."""
        return self._rows[1]

    @property
    def records(self) -> Mapping[str, IndexedVideo]:
        """Records of the files of these videos, by path."""
        return {video: self._folder.videos[video] for video in self.videos}

    @functools.cached_property
    def _rows(self) -> tuple[np.ndarray, Sequence[str]]:
        return self._folder.row_videos()

    def search(self, sentence: str, top: int = 10, *, overlapping: bool = False) -> list[Hit]:
        """The parts of videos that a sentence describes best, the best one first.

        Args:
            sentence: in English, such as "a man opens the door".
            top: largest number of parts.
            overlapping: whether to give windows too that share time with a better one.

        Raises:
            InputError: a sentence without a word, or a number that is not positive.
        """
        check_whole("top", top)
        if top < 1:
            raise InputError(f"top is {top}; it must be at least 1")
        text = self._encoder.encode_sentences([sentence])[0]
        numbers, names = self._rows
        scores = np.where(numbers >= 0, similarities_to(self._folder.embeddings(), text), -np.inf)
        bounds = self._folder.bounds_sec()
        rows = best_rows(scores, numbers, bounds, top, overlapping=overlapping)
        parts = [(names[int(numbers[row])], bounds[row].tolist(), float(scores[row])) for row in rows]
        return [Hit(video, start, end, score) for video, (start, end), score in parts]


def similarities_to(embeddings: np.ndarray, text: np.ndarray) -> np.ndarray:
    """Similarity of every window to a text: the largest product of one of its embeddings and that of the text.

    Embeddings are read block by block, so memory does not grow with their number.

    Args:
        embeddings: float16 [rows, q, e], in memory or mapped.
        text: float32 [e].

    Returns:
        float32 [rows].
    """
    rows, q, e = embeddings.shape
    step = max(1, _BLOCK_BYTES // (4 * q * e))
    result = np.empty(rows, np.float32)
    for row in range(0, rows, step):
        block = np.asarray(embeddings[row : row + step], np.float32)
        result[row : row + step] = (block.reshape(-1, e) @ text).reshape(-1, q).max(axis=1)
    return result


def best_rows(
    scores: np.ndarray, videos: np.ndarray, bounds_sec: np.ndarray, top: int, *, overlapping: bool = False
) -> list[int]:
    """Rows with the best scores, in order; of equal scores, the first row.

    Args:
        scores: float [rows]; rows of -inf are never given.
        videos: int [rows], number of the video of each row.
        bounds_sec: float [rows, 2].
        top: largest number of rows.
        overlapping: whether rows are given too that share time with a better one of the same video.
    """
    # A window overlaps few others, so the answer is mostly among some multiple of `top` of the best rows.
    amount = min(len(scores), 16 * top)
    while True:
        least = np.partition(scores, -amount)[-amount] if amount else np.inf
        part = np.flatnonzero((scores >= least) & (scores > -np.inf))
        chosen = _apart(part[np.argsort(-scores[part], kind="stable")], videos, bounds_sec, top, overlapping)
        if len(chosen) == top or amount == len(scores):
            return chosen
        amount = min(len(scores), 4 * amount)


def _apart(rows: np.ndarray, videos: np.ndarray, bounds_sec: np.ndarray, top: int, overlapping: bool) -> list[int]:
    """The first `top` rows, of those that share time only the first."""
    chosen: list[int] = []
    taken: dict[int, list[tuple[float, float]]] = {}
    for row in rows.tolist():
        start, end = bounds_sec[row]
        others = taken.setdefault(int(videos[row]), [])
        if overlapping or all(end <= a or b <= start for a, b in others):
            others.append((start, end))
            chosen.append(row)
            if len(chosen) == top:
                break
    return chosen
