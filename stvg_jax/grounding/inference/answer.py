"""Output files for the answer to a question: tube.json, videos, pictures and exports."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import Progress
from stvg_jax.grounding.inference.clip import frame_seconds, open_frames
from stvg_jax.grounding.inference.export import FORMATS, export, file_name
from stvg_jax.grounding.inference.tube import Tube

VIDEO_FORMATS = ("mp4", "webm", "gif")
_ANSWER, _PICTURE = "tube.json", "tube.png"
_DRAWINGS = (_PICTURE, *(f"{name}.{format}" for name in ("tube", "cut") for format in VIDEO_FORMATS))
_EXPORTS = tuple(map(file_name, FORMATS))


def check_writable(folder: Path) -> None:
    """Raises InputError unless `folder` exists or can be made, and is writable. Leaves nothing behind."""
    existing = folder
    try:
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror}") from error


class Outputs:
    """Folders for answers: `out` itself for one sentence, a numbered folder in it for each of several.

    Args:
        out: folder; made with the first answer if missing.
        sentences: the questions.
        video: path of the video.

    Attributes:
        folders: a folder for each sentence.

    Raises:
        InputError: a folder cannot be written, or an answer would replace the video. This is checked here, before any
            long computation.
    """

    def __init__(self, out: Path, sentences: Sequence[str], video: Path):
        several = len(sentences) > 1
        self.folders = [out / f"{i:02d}-{slug(s)}" if several else out for i, s in enumerate(sentences, 1)]
        for folder in self.folders:
            check_writable(folder)
            if video.resolve() in {(folder / name).resolve() for name in (_ANSWER, *_DRAWINGS, *_EXPORTS)}:
                raise InputError(f"the answer would replace the video {video}; choose another folder with --out")
            if folder.resolve() == video.resolve():
                raise InputError(f"{folder} holds the pictures themselves; choose another folder with --out")

    def write(self, folder: Path, tube: Tube, formats: Sequence[str] = ()) -> None:
        """Writes tube.json and exports into one of `folders`, and removes what an older answer has left there.

        Args:
            folder: one of `folders`.
            tube: the answer.
            formats: keys of `export.FORMATS`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        tube.write_json(folder / _ANSWER)
        for name in (*_DRAWINGS, *_EXPORTS):
            (folder / name).unlink(missing_ok=True)
        for format in formats:
            export(tube, folder / file_name(format), format)

    @staticmethod
    def has(folder: Path, tube: Tube, names: Sequence[str]) -> bool:
        """True if `folder` has this answer and files with these names."""
        if not all((folder / name).is_file() for name in (_ANSWER, *names)):
            return False
        try:
            return Tube.from_json(folder / _ANSWER) == tube
        except InputError:
            return False

    def draw(
        self,
        folder: Path,
        tube: Tube,
        *,
        video: bool,
        format: str = "mp4",
        cut: bool = False,
        progress: Progress,
        true_boxes_xyxy: Mapping[int, np.ndarray] | None = None,
        **reading: Any,
    ) -> None:
        """Draws an answer that has been written. Each file appears when it is complete.

        Args:
            folder: one of `folders`.
            tube: the answer.
            video: whether to draw the video.
            format: ending of the files of videos, one of VIDEO_FORMATS.
            cut: whether to write the moment of the answer as a clip of its own.
            progress: shows the progress.
            true_boxes_xyxy: frame -> true box in pixels, float [4], where it is known.
            reading: `fps`, `decoder` and `allow_partial` as for `stvg_jax.grounding.inference.clip.open_frames`.

        Raises:
            InputError: a frame cannot be decoded, which may be one that the model did not see; or is too large.
        """
        from stvg_jax.grounding.inference.draw import cut_video, draw_picture, draw_video, picture_frame_ids

        picture, moving, moment = folder / _PICTURE, folder / f"tube.{format}", folder / f"cut.{format}"
        try:
            with open_frames(tube.video, **reading)[1] as reader:
                times = {"timestamps_sec": reader.info.timestamps_sec, "duration_sec": reader.info.duration_sec}
                seconds = functools.partial(frame_seconds, **times)
                chosen = picture_frame_ids(tube)
                pictures: dict[int, np.ndarray] = dict(zip(chosen, reader.read(chosen), strict=True))
                with progress.stage(f"drawing {picture.name}"):
                    draw_picture(tube, pictures, picture, true_boxes_xyxy=true_boxes_xyxy, seconds=seconds)
                if video:
                    first, last = tube.clip
                    frames = reader.iter_frames(first, last)
                    with progress.bar(f"writing {moving.name}", last - first, "frame") as step:
                        draw_video(
                            tube, frames, moving, progress=step, true_boxes_xyxy=true_boxes_xyxy, seconds=seconds
                        )
                if cut:
                    with progress.stage(f"writing {moment.name}"):
                        inside = (rgb for _, rgb in reader.iter_frames(tube.start_frame, tube.end_frame))
                        cut_video(tube, inside, moment, seconds=seconds)
        except InputError as error:
            raise InputError(f"{error} (the answer is written; drawing it into {folder} failed)") from error


def describe(tube: Tube) -> str:
    """The answer and its confidence in a few lines, and a line for each moment of a search in windows."""
    inside = [f for f in (tube.start_frame, (tube.start_frame + tube.end_frame) // 2) if tube.box_at(f) is not None]
    middle = tube.box_at(inside[-1]) if inside else None
    where = "" if middle is None else f", around frame {inside[-1]} at ({', '.join(f'{v:.0f}' for v in middle)})"
    frames = f"frames {tube.start_frame} to {tube.end_frame - 1} (both included)"
    lines = [
        f'"{tube.sentence}" (target: {tube.subject})',
        f"  {tube.clock(tube.start_sec)} to {tube.clock(tube.end_sec)}, {frames}{where}",
        *(f"  {line}" for line in (_sureness(tube), tube.note) if line),
    ]
    for number, moment in enumerate(tube.moments, 1):
        seconds = f"{tube.clock(moment.start_sec)} to {tube.clock(moment.end_sec)}"
        sure = "" if moment.confidence is None else f", confidence {moment.confidence:.2f}"
        lines.append(f"  {number}. {seconds}, score {moment.score:.3f}{sure}")
    return "\n".join(lines)


def _sureness(tube: Tube) -> str:
    """The confidence in words; "" for a tube without."""
    if tube.confidence is None:
        return ""
    if not tube.calibrated:
        return f"confidence {tube.confidence:.2f}, not calibrated (docs/confidence.md)"
    return f"confidence {tube.confidence:.2f}" + (": probably not in this video" if tube.found is False else "")


def slug(sentence: str) -> str:
    """Short name for files about a sentence."""
    words = re.findall(r"[a-z0-9]+", sentence.lower())
    return "-".join(words)[:40].rstrip("-") or "sentence"
