"""Answers of a server, by a `Grounder`."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.progress import Progress
from stvg_jax.serve.limits import Refusal

if TYPE_CHECKING:
    from stvg_jax.grounding.inference.clip import Clip
    from stvg_jax.grounding.inference.grounder import Grounder
    from stvg_jax.grounding.inference.tube import Tube
    from stvg_jax.grounding.types import VideoFeatures
    from stvg_jax.serve.jobs import Job
    from stvg_jax.serve.videos import StoredVideo

_JSON = "tube.json"
# A project of VIA names the video by its path, which a browser does not tell.
EXPORTS = ("csv", "mot", "coco", "cvat")


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """A tube, and the times that a player needs.

    Attributes:
        tube: its video is the name that the user knows.
        box_sec: start of each of `tube.box_frames`, in seconds.
        score_sec: the same of `tube.scores.frames`.
    """

    tube: Tube
    box_sec: list[float]
    score_sec: list[float]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"tube": self.tube.to_dict(), "box_sec": self.box_sec, "score_sec": self.score_sec}

    def file(self, name: str) -> bytes:
        """Content of a file to download, one of `file_names`; raises Refusal for another name."""
        from stvg_jax.grounding.inference.export import export

        if name not in (names := file_names()):
            raise Refusal(f"there is no file {quoted(name, 40)}; choose one of {', '.join(names)}", 404)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            if name == _JSON:
                self.tube.write_json(path)
            else:
                export(self.tube, path, names[name])
            return path.read_bytes()


def file_names() -> dict[str, str]:
    """Name of each file to download -> its format."""
    from stvg_jax.grounding.inference.export import file_name

    return {_JSON: "json"} | {file_name(format): format for format in EXPORTS}


class Answerer:
    """Answers questions. The clip of the last one is kept, as the next is often about it too.

    Args:
        grounder: a loaded model.
        sentence_characters: the most that a sentence may have.
    """

    def __init__(self, grounder: Grounder, sentence_characters: int):
        self._grounder = grounder
        self._characters = sentence_characters
        self._last: tuple[tuple[Any, ...], Clip, VideoFeatures] | None = None

    def check(self, sentence: str, subject: str | None) -> None:
        """Raises InputError for a sentence or a subject that cannot be read."""
        for name, text in (("sentence", sentence), ("subject", subject)):
            if text is not None and len(text) > self._characters:
                raise InputError(
                    f"{name} {quoted(text, 40)} has {len(text):,} characters, and at most {self._characters:,} are "
                    "taken; say it in fewer words"
                )
        self._grounder.ask([sentence], [subject])

    def __call__(self, job: Job, progress: Progress) -> Answer:
        """Answers a question; raises InputError if it cannot be answered."""
        video = job.video
        (question,) = questions = self._grounder.ask([job.sentence], [job.subject])
        key = video.id, job.start, job.end
        if self._last is None or self._last[0] != key:
            # Two clips at once might not fit into the memory.
            self._last = None
            try:
                clip = self._grounder.read_clip(video.path, questions, start=job.start, end=job.end, progress=progress)
            except InputError as error:
                raise InputError(str(error).replace(str(video.path), quoted(video.name))) from error
            self._last = key, clip, self._grounder.encode_clip(clip, progress=progress)
        _, clip, features = self._last
        tube = self._grounder.answer(question, clip, features, progress=progress)
        return Answer(
            dataclasses.replace(tube, video=video.name),
            [round(clip.seconds(frame), 6) for frame in tube.box_frames.tolist()],
            [round(clip.seconds(frame), 6) for frame in tube.scores.frames.tolist()],
        )

    def forget(self, video: StoredVideo) -> None:
        """Forgets the clip of a video that is deleted."""
        if (last := self._last) is not None and last[0][0] == video.id:
            self._last = None
