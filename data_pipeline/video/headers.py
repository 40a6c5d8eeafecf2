"""What a file's own structure says that ffmpeg does not pass on: whether it was cut short, and cropping."""

from __future__ import annotations

import dataclasses
import pathlib

from stvg_jax.data_pipeline.video import images, matroska, mp4, riff

_NO_UNIT = "its header gives a time scale of {}"
# ffmpeg takes larger ones for 1.
_LARGEST_SCALE = (1 << 31) - 1


@dataclasses.dataclass(frozen=True)
class Headers:
    """Facts of one file; empty where its kind is unknown.

    Attributes:
        damage: a clause that says in what way the file is damaged; "" where nothing is.
        tracks: the video tracks in the order of the file.
        whole: pictures that are there to their end; None where the file's kind does not tell.
    """

    damage: str = ""
    tracks: tuple[mp4.Track, ...] = ()
    whole: int | None = None

    def track(self, number: int) -> mp4.Track:
        """The video track with this place among the video tracks."""
        return self.tracks[number] if number < len(self.tracks) else mp4.Track()


def read_headers(path: pathlib.Path) -> Headers:
    """The facts of a file, by the elements that it consists of; never fails."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == matroska.SIGNATURE:
            unit = "" if matroska.has_unit(file, size) else _NO_UNIT.format(0)
            damage = _cut_short(matroska.end(file) - size) or unit
            return Headers(damage, tuple(map(mp4.Track, matroska.crops(file, size))))
        if head[4:8] in mp4.FIRST_BOXES:
            tracks = tuple(mp4.tracks(file, size))
            wrong = [scale for track in tracks for scale in track.scales if not 0 < scale <= _LARGEST_SCALE]
            damage = _cut_short(mp4.end(file, size) - size) or (_NO_UNIT.format(wrong[0]) if wrong else "")
            if not damage and (missing := max((track.missing for track in tracks), default=0)):
                damage = f"the file holds {missing:,} frames fewer than its header tells"
            return Headers(damage, tracks)
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
