"""What a file's own structure says that ffmpeg does not pass on: whether it was cut short, and cropping."""

from __future__ import annotations

import dataclasses
import pathlib

from stvg_jax.data_pipeline.video import images, matroska, mp4, riff
from stvg_jax.data_pipeline.video.display import Crop

_NO_UNIT = "its header gives a time scale of 0"


@dataclasses.dataclass(frozen=True)
class Headers:
    """Facts of one file; empty where its kind is unknown.

    Attributes:
        damage: a clause that says in what way the file is damaged; "" where nothing is.
        crops: by video track, in the order of the file.
        whole: pictures that are there to their end; None where the file's kind does not tell.
    """

    damage: str = ""
    crops: tuple[Crop, ...] = ()
    whole: int | None = None

    def crop(self, number: int) -> Crop:
        """The cropping of the video track with this place among the video tracks."""
        return self.crops[number] if number < len(self.crops) else Crop()


def read_headers(path: pathlib.Path) -> Headers:
    """The facts of a file, by the elements that it consists of; never fails."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == matroska.SIGNATURE:
            damage = _cut_short(matroska.end(file) - size) or ("" if matroska.has_unit(file, size) else _NO_UNIT)
            return Headers(damage, tuple(matroska.crops(file, size)))
        if head[4:8] in mp4.FIRST_BOXES:
            tracks = mp4.tracks(file, size)
            timed = all(track.timed for track in tracks)
            damage = _cut_short(mp4.end(file, size) - size) or ("" if timed else _NO_UNIT)
            if not damage and (missing := max((track.missing for track in tracks), default=0)):
                damage = f"the file holds {missing:,} frames fewer than its header tells"
            return Headers(damage, tuple(track.crop for track in tracks))
        if head[:4] == b"RIFF":
            return Headers(_cut_short(riff.end(file, size) - size))
        if head[:6] in images.GIF_SIGNATURES:
            damage, whole = images.gif_damage(file)
            return Headers(damage, whole=whole)
        if head[:8] == images.PNG_SIGNATURE:
            return Headers(images.png_damage(file, size))
    return Headers()


def _cut_short(missing_bytes: int) -> str:
    return f"the file is cut short by {missing_bytes:,} bytes" if missing_bytes > 0 else ""
