"""Searches in an index, and their routes."""

from __future__ import annotations

import asyncio
import dataclasses
import io
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stvg_jax.core.arguments import check_str, check_whole
from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import Progress
from stvg_jax.serve.answering import check_length
from stvg_jax.serve.bodies import read_object
from stvg_jax.serve.jobs import Job, Jobs
from stvg_jax.serve.library import Library
from stvg_jax.serve.limits import Limits, Refusal

if TYPE_CHECKING:
    from stvg_jax.retrieval.inference.index import Hit, Index

_TOP = 12


@dataclasses.dataclass(frozen=True)
class Hits:
    """Parts of indexed videos that a sentence describes, the best one first.

    Attributes:
        hits: the parts.
        videos: id and name of the video of each, and the reason why it can no longer be shown.
    """

    hits: tuple[Hit, ...]
    videos: tuple[tuple[str, str, str | None], ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        records = []
        for hit, (id, name, error) in zip(self.hits, self.videos, strict=True):
            part = {"start_sec": round(hit.start_sec, 6), "end_sec": round(hit.end_sec, 6)}
            records.append({"video": id, "name": name, **part, "score": round(hit.score, 6), "error": error})
        return {"hits": records}


@dataclasses.dataclass(eq=False)
class Search(Job):
    """A search.

    Attributes:
        sentence: as asked.
        top: largest number of hits.
    """

    sentence: str
    top: int
    answer: Hits | None = dataclasses.field(default=None, kw_only=True)

    def asked(self) -> dict[str, Any]:
        return {"sentence": self.sentence, "top": self.top}


class Searching:
    """Searches behind the routes. They wait in a queue of their own, as each takes a moment and an answer to a question
    much longer.

    Args:
        index: the index.
        limits: what is accepted and kept.
    """

    def __init__(self, index: Index, limits: Limits):
        self.library = Library(index)
        self.jobs: Jobs[Search] = Jobs(self._search, noun="search", waiting=limits.waiting, kept=limits.answers)
        self.about = {"videos": len(index.videos), "windows": len(index)}
        self._index, self._limits = index, limits
        self._drawing = asyncio.Lock()

    def _search(self, job: Search, progress: Progress) -> Hits:
        with progress.stage("searching"):
            hits = self._index.search(job.sentence, job.top)
        ids = [self.library.id_of(hit.video) for hit in hits]
        videos = [(id, self.library.name(id), self.library.problem(id)) for id in ids]
        return Hits(tuple(hits), tuple(videos))

    async def create(self, request: Request) -> Response:
        """POST /api/searches."""
        values = await read_object(request, "search", ("sentence",), ("top",))
        sentence, top = check_str("sentence", values["sentence"]), check_whole("top", values.get("top", _TOP))
        check_length("sentence", sentence, self._limits.sentence_characters)
        if not 1 <= top <= self._limits.hits:
            raise InputError(f"top is {top}; it must be from 1 to {self._limits.hits}")
        job = Search(sentence, top)
        self.jobs.submit(job)
        return JSONResponse(job.to_dict(self.jobs.place(job)), 202)

    async def tell(self, request: Request) -> Response:
        """GET /api/searches/ID."""
        job = self.jobs.get(request.path_params["id"])
        return JSONResponse(job.to_dict(self.jobs.place(job)))

    async def delete(self, request: Request) -> Response:
        """DELETE /api/searches/ID."""
        self.jobs.delete(request.path_params["id"])
        return Response(status_code=204)

    async def picture(self, request: Request) -> Response:
        """GET /api/searches/ID/pictures/NUMBER: the frame in the middle of a hit, counted from 0."""
        job, number = self.jobs.get(request.path_params["id"]), request.path_params["number"]
        if job.answer is None or number >= len(job.answer.hits):
            raise Refusal(f"the search has no hit {number}, counted from 0", 404)
        # One at a time: a frame of a long film takes a while to reach.
        async with self._drawing:
            content = await anyio.to_thread.run_sync(self._picture, job.answer.hits[number])
        return Response(content, media_type="image/jpeg")

    def _picture(self, hit: Hit) -> bytes:
        from stvg_jax.retrieval.inference.sheet import middle_frame

        if (problem := self.library.problem(self.library.id_of(hit.video))) is not None:
            raise Refusal(problem, 410)
        stream = io.BytesIO()
        middle_frame(hit).save(stream, "JPEG", quality=85)
        return stream.getvalue()
