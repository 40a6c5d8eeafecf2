"""Limits of the server, and the error for a request that it refuses."""

from __future__ import annotations

import dataclasses

from stvg_jax.core.errors import InputError


class Refusal(InputError):
    """A request that is refused.

    Args:
        message: value, rule and way out in one line.
        status: of the HTTP response.
    """

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds of what one server accepts and keeps, all positive.

    Attributes:
        upload_bytes: size of a video.
        video_sec: length of an upload, and of the part of an indexed video that a question is about.
        sentence_characters: length of a sentence, and of a subject.
        waiting: questions that wait for the one that is being answered.
        kept_sec: time after its last use until an upload is deleted.
        kept_bytes: size of all uploads together.
        uploads: videos that are received at once.
        upload_sec: time that one upload may take.
        answers: answers that are kept, the newest.
        hits: hits of a search.
    """

    upload_bytes: int = 200_000_000
    video_sec: float = 120.0
    sentence_characters: int = 500
    waiting: int = 20
    kept_sec: float = 3600.0
    kept_bytes: int = 2_000_000_000
    uploads: int = 4
    upload_sec: float = 600.0
    answers: int = 200
    hits: int = 50
