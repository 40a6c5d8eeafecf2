"""Videos of a server: uploads, which are deleted after a time, and generated examples."""

from __future__ import annotations

import dataclasses
import re
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.progress import size_text
from stvg_jax.serve.limits import Limits, Refusal

_NAME_CHARACTERS = 100
# Seeds of scenes of the split "demo" with short sentences.
_EXAMPLE_SEEDS = (7, 9, 2)
# The model was trained on frames of 96 rows, which are too small to look at.
_ENLARGEMENT = 5


UPLOAD, EXAMPLE, INDEXED = "upload", "example", "indexed"


@dataclasses.dataclass(eq=False)
class StoredVideo:
    """A video that can be asked about.

    Attributes:
        id: beginning of the SHA-256 of an upload, in hexadecimal; "example-1" and so on for examples; for videos of an
            index that of `stvg_jax.serve.library`.
        name: file name as the user knows it, cleaned.
        path: the file.
        size: bytes.
        width, height, fps, duration_sec: of the video as displayed.
        kind: UPLOAD, EXAMPLE or INDEXED; only uploads are ever deleted.
        sentences: of an example, sentences that it answers; else empty.
        used: time of the last use, by the clock of `Videos`.
    """

    id: str
    name: str
    path: Path
    size: int
    width: int
    height: int
    fps: float
    duration_sec: float
    kind: str = UPLOAD
    sentences: tuple[str, ...] = ()
    used: float = 0.0

    @property
    def media_type(self) -> str:
        """Type for the browser, which looks into the file for the rest."""
        with self.path.open("rb") as file:
            return "video/webm" if file.read(4) == b"\x1a\x45\xdf\xa3" else "video/mp4"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: all that a client may know."""
        shown = ("id", "name", "width", "height", "fps", "duration_sec", "kind")
        return {name: getattr(self, name) for name in shown} | {"sentences": list(self.sentences)}


class Videos:
    """Videos in a folder that belongs to the server. Its methods may be called from several threads.

    Args:
        folder: an existing, empty folder.
        limits: of the server.
        in_use: True for the id of a video that a question waits for, which is not deleted.
        deleted: called with each video that has been deleted.
        clock: seconds.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        *,
        in_use: Callable[[str], bool] = lambda _: False,
        deleted: Callable[[StoredVideo], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._folder = folder
        self._limits = limits
        self._in_use = in_use
        self._deleted = deleted
        self._clock = clock
        self._lock = threading.RLock()
        self._videos: dict[str, StoredVideo] = {}

    @property
    def examples(self) -> list[StoredVideo]:
        """Generated videos, in order."""
        return [video for video in self._videos.values() if video.kind == EXAMPLE]

    def add_examples(self) -> None:
        """Generates the videos of moving shapes that the built-in model understands."""
        from stvg_jax.data_pipeline.shapes.example import make_example
        from stvg_jax.data_pipeline.shapes.video import write_enlarged

        for number, seed in enumerate(_EXAMPLE_SEEDS, 1):
            example = make_example(seed, split="demo", sentences=2)
            path = self._folder / f"example-{number}.mp4"
            write_enlarged(path, example.frames(), example.fps, _ENLARGEMENT)
            sentences = tuple(grounding.sentence for grounding in example.groundings)
            video = read_video(path, path.stem, f"shapes {number}.mp4")
            self._videos[video.id] = dataclasses.replace(video, kind=EXAMPLE, sentences=sentences)

    def new_file(self) -> Path:
        """Path for an upload that is being received."""
        return self._folder / f"{uuid.uuid4().hex}.partial"

    def add(self, received: Path, sha256: str, name: str) -> StoredVideo:
        """Takes over an upload that is complete.

        Args:
            received: a path of `new_file`.
            sha256: of its bytes, in hexadecimal.
            name: as the client gave it.

        Raises:
            InputError: it is not a video, is too long, or there is no room for it.
        """
        name, id = clean_name(name), sha256[:32]
        with self._lock:
            if (known := self._videos.get(id)) is not None:
                known.used = self._clock()
                return known
        try:
            video = read_video(received, id, name)
        except InputError as error:
            # The path is one of this server's own.
            raise InputError(str(error).replace(str(received), quoted(name))) from error
        if video.duration_sec > self._limits.video_sec:
            raise InputError(
                f"{quoted(name)} lasts {video.duration_sec:.1f} s, and at most {self._limits.video_sec:g} s are taken; "
                "cut out the part to search"
            )
        with self._lock:
            self._make_room(video.size)
            video.path, video.used = received.rename(self._folder / f"{id}.video"), self._clock()
            self._videos[id] = video
        return video

    def get(self, id: str) -> StoredVideo:
        """The video with this id; raises Refusal if there is none (any more)."""
        with self._lock:
            if (video := self._videos.get(id)) is None:
                raise Refusal(
                    f"there is no video {quoted(id, 40)}; uploads are deleted after a time: send it again", 404
                )
            video.used = self._clock()
            return video

    def delete(self, id: str) -> None:
        """Deletes an upload; raises Refusal for an example and while a question waits for it."""
        with self._lock:
            video = self.get(id)
            if video.kind != UPLOAD:
                raise Refusal(f"{id} is an example, which stays; only uploads can be deleted", 409)
            if self._in_use(id):
                raise Refusal("a question about this video is not answered yet; delete it afterwards", 409)
            self._remove(video)

    def expire(self) -> None:
        """Deletes uploads that have not been used for too long."""
        with self._lock:
            for video in self._unused():
                if self._clock() - video.used > self._limits.kept_sec:
                    self._remove(video)

    def _make_room(self, size: int) -> None:
        """Deletes the uploads that were used least recently, as far as a new one needs their room."""
        total = sum(video.size for video in self._videos.values() if video.kind == UPLOAD)
        for video in self._unused():
            if total + size <= self._limits.kept_bytes:
                break
            self._remove(video)
            total -= video.size
        if total + size > self._limits.kept_bytes:
            raise Refusal(f"there is no room for {size_text(size)} beside videos in use; try again later", 503)

    def _unused(self) -> list[StoredVideo]:
        uploads = (v for v in self._videos.values() if v.kind == UPLOAD and not self._in_use(v.id))
        return sorted(uploads, key=lambda video: video.used)

    def _remove(self, video: StoredVideo) -> None:
        del self._videos[video.id]
        video.path.unlink(missing_ok=True)
        self._deleted(video)


def read_video(path: Path, id: str, name: str, kind: str = UPLOAD) -> StoredVideo:
    """Opens a video to learn its size and length; raises InputError if it is none."""
    from stvg_jax.data_pipeline.video import open_video

    with open_video(path) as reader:
        info = reader.info
    shape = {"width": info.width, "height": info.height, "fps": info.fps, "duration_sec": info.duration_sec}
    return StoredVideo(id=id, name=name, path=path, size=path.stat().st_size, kind=kind, **shape)


def clean_name(name: str) -> str:
    """The last part of a path from any system, printable and short."""
    return printable(re.split(r"[/\\]", name)[-1].strip())


def printable(name: str) -> str:
    """A name of a file for people: printable, short, and never only dots."""
    shown = "".join(character if character.isprintable() else "_" for character in name)
    return shown[:_NAME_CHARACTERS] if shown.strip(". ") else "video"
