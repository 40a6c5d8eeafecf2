"""Writing the answer to a question: tube.json, tube.mp4 and tube.png."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stvg_jax.errors import InputError
from stvg_jax.inference.progress import Progress
from stvg_jax.inference.tube import Tube

_VIDEO = "tube.mp4"


def check_writable(folder: Path) -> None:
    """InputError unless files can be written into `folder`, or it can be made. Leaves nothing behind."""
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
        out: made, when there is something to write, if missing.
        sentences: what was asked.
        video: what will be searched.

    Raises:
        InputError: if a folder cannot be written, or an answer would replace the video. Found out here, before any
            long work.
    """

    def __init__(self, out: Path, sentences: Sequence[str], video: Path):
        several = len(sentences) > 1
        self.folders = [out / f"{i:02d}-{_slug(s)}" if several else out for i, s in enumerate(sentences, 1)]
        for folder in self.folders:
            check_writable(folder)
            if (folder / _VIDEO).resolve() == video.resolve():
                raise InputError(f"the answer would replace the video {video}; choose another folder with --out")

    def write(self, folder: Path, tube: Tube, *, video: bool, progress: Progress, truth=None, **reading) -> None:
        """Writes the files of one answer; they appear together, when all are complete.

        Args:
            folder: one of `folders`.
            tube: the answer.
            video: whether to write tube.mp4.
            progress: told what is going on.
            truth: frame -> (x1, y1, x2, y2) of the true box, where it is known.
            reading: `decoder` and `allow_partial` as for `data_pipeline.video.open_video`.
        """
        from data_pipeline.video import open_video
        from stvg_jax.inference.draw import draw_picture, draw_video, picture_frame_ids

        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
        try:
            tube.write_json(partial / "tube.json")
            with open_video(tube.video, **reading) as reader:
                chosen = picture_frame_ids(tube)
                pictures: dict[int, np.ndarray] = dict(zip(chosen, reader.read(chosen), strict=True))
                with progress.stage("drawing tube.png"):
                    draw_picture(tube, pictures, partial / "tube.png", truth_xyxy=truth)
                if video:
                    first, last = tube.clip
                    frames = reader.iter_frames(first, last)
                    with progress.bar(f"writing {_VIDEO}", last - first, "frame") as step:
                        draw_video(tube, frames, partial / _VIDEO, progress=step, truth_xyxy=truth)
            for file in partial.iterdir():
                file.replace(folder / file.name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def describe(tube: Tube) -> str:
    """The answer in two lines."""
    inside = [f for f in (tube.start_frame, (tube.start_frame + tube.end_frame) // 2) if tube.box_at(f) is not None]
    middle = tube.box_at(inside[-1]) if inside else None
    where = "" if middle is None else f", around frame {inside[-1]} at ({', '.join(f'{v:.0f}' for v in middle)})"
    return (
        f'"{tube.sentence}" (target: {tube.subject})\n'
        f"  {tube.start_sec:.2f} s to {tube.end_sec:.2f} s, frames {tube.start_frame} to {tube.end_frame - 1}{where}"
    )


def _slug(sentence: str) -> str:
    words = re.findall(r"[a-z0-9]+", sentence.lower())
    return "-".join(words)[:40].rstrip("-") or "sentence"
