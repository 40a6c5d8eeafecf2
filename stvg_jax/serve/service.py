"""Videos, questions and searches of a server: what stands behind the routes."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from stvg_jax import __version__
from stvg_jax.core.arguments import check_part, check_str
from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import size_text
from stvg_jax.serve.answering import Answerer, Question, file_names
from stvg_jax.serve.bodies import read_object
from stvg_jax.serve.jobs import Jobs, Stopped
from stvg_jax.serve.library import Library
from stvg_jax.serve.limits import Limits, Refusal
from stvg_jax.serve.searching import Searching
from stvg_jax.serve.videos import StoredVideo, Videos

if TYPE_CHECKING:
    from stvg_jax.retrieval.inference.index import Index

# Between two looks for uploads that are to be deleted.
_EXPIRY_SEC = 15.0


class Service:
    """Videos and questions behind the routes.

    Args:
        answerer: answers the questions.
        folder: an existing, empty folder for videos.
        limits: what is accepted and kept.
        index: an index to search in, or None.
        model: name of the checkpoint, for the page.
        note: what a user must know about the model; may be empty.
    """

    def __init__(
        self,
        answerer: Answerer,
        folder: Path,
        limits: Limits,
        *,
        index: Index | None = None,
        model: str = "",
        note: str = "",
    ):
        self.limits = limits
        self.answerer = answerer
        self.jobs: Jobs[Question] = Jobs(answerer, noun="question", waiting=limits.waiting, kept=limits.answers)
        self.searching = None if index is None else Searching(index, limits)
        self.videos = Videos(folder, limits, in_use=self.jobs.uses, deleted=self._forget)
        self.about = {"version": __version__, "model": model, "note": note}
        self._receiving = 0
        self._writing = asyncio.Lock()

    def _forget(self, video: StoredVideo) -> None:
        self.jobs.forget(video.id)
        self.answerer.forget(video)

    async def describe(self, request: Request) -> Response:
        """GET /api/info."""
        limits = dataclasses.asdict(self.limits)
        examples = [video.to_dict() for video in self.videos.examples]
        index = None if self.searching is None else self.searching.about
        told = {"limits": limits, "examples": examples, "files": list(file_names()), "index": index}
        return JSONResponse(self.about | told)

    async def _video(self, id: str) -> StoredVideo:
        """An upload, an example or a video of the index; raises InputError if there is none, or it cannot be read."""
        if (library := self._library_of(id)) is not None:
            # A long film takes a while to open.
            return await anyio.to_thread.run_sync(library.get, id)
        return self.videos.get(id)

    def _library_of(self, id: str) -> Library | None:
        """The index's videos if this is the id of one."""
        library = None if self.searching is None else self.searching.library
        return library if library is not None and id in library else None

    async def upload(self, request: Request) -> Response:
        """POST /api/videos: the body is the file."""
        length = request.headers.get("content-length", "0")
        self._check_size(int(length) if length.isdecimal() and len(length) < 20 else 0)
        if self._receiving >= self.limits.uploads:
            raise Refusal(f"{self._receiving} videos are being received, and no more at once; try again later", 503)
        received = self.videos.new_file()
        self._receiving += 1
        try:
            with anyio.fail_after(self.limits.upload_sec):
                sha256 = await self._receive(request, received)
            name = request.query_params.get("name", "")
            video = await anyio.to_thread.run_sync(self.videos.add, received, sha256, name)
        except TimeoutError:
            raise Refusal(f"the upload took more than {self.limits.upload_sec:g} s; send a smaller file", 408) from None
        except OSError as error:
            raise Refusal(f"the server cannot keep the upload: {error.strerror}; try again later", 507) from error
        finally:
            received.unlink(missing_ok=True)
            self._receiving -= 1
        return JSONResponse(video.to_dict(), 201)

    async def _receive(self, request: Request, path: Path) -> str:
        """Writes the body of a request to a file; returns its SHA-256."""
        digest, size = hashlib.sha256(), 0
        async with await anyio.open_file(path, "wb") as file:
            async for part in request.stream():
                self._check_size(size := size + len(part))
                digest.update(part)
                await file.write(part)
        return digest.hexdigest()

    def _check_size(self, size: int) -> None:
        if size > self.limits.upload_bytes:
            most = size_text(self.limits.upload_bytes)
            raise Refusal(f"the file has more than {most}, the most that is taken; cut out the part to search", 413)

    async def show_video(self, request: Request) -> Response:
        """GET /api/videos/ID, whole or in ranges."""
        video = await self._video(request.path_params["id"])
        return FileResponse(video.path, media_type=video.media_type)

    async def tell_video(self, request: Request) -> Response:
        """GET /api/videos/ID/info."""
        return JSONResponse((await self._video(request.path_params["id"])).to_dict())

    async def delete_video(self, request: Request) -> Response:
        """DELETE /api/videos/ID."""
        if self._library_of(id := request.path_params["id"]) is not None:
            raise Refusal(f"{id} is a video of the index, which stays; only uploads can be deleted", 409)
        self.videos.delete(id)
        return Response(status_code=204)

    async def ask(self, request: Request) -> Response:
        """POST /api/questions."""
        values = await read_object(request, "question", ("video", "sentence"), ("subject", "start", "end"))
        video = await self._video(check_str("video", values["video"]))
        sentence, subject = check_str("sentence", values["sentence"]), values.get("subject")
        if subject is not None:
            check_str("subject", subject)
        (start, end), _ = check_part(values.get("start"), values.get("end"), None)
        part_sec = min(video.duration_sec if end is None else end, video.duration_sec) - (start or 0.0)
        if part_sec > self.limits.video_sec:
            raise InputError(
                f"the part to search lasts {part_sec:.1f} s, and at most {self.limits.video_sec:g} s are taken; give "
                "start and end of a shorter one"
            )
        # Looks at words of a large list, at the first time.
        await anyio.to_thread.run_sync(self.answerer.check, sentence, subject)
        self.jobs.submit(job := Question(video, sentence, subject, start, end))
        return JSONResponse(job.to_dict(self.jobs.place(job)), 202)

    async def tell_question(self, request: Request) -> Response:
        """GET /api/questions/ID."""
        job = self.jobs.get(request.path_params["id"])
        return JSONResponse(job.to_dict(self.jobs.place(job)))

    async def delete_question(self, request: Request) -> Response:
        """DELETE /api/questions/ID."""
        self.jobs.delete(request.path_params["id"])
        return Response(status_code=204)

    async def download(self, request: Request) -> Response:
        """GET /api/questions/ID/NAME."""
        job, name = self.jobs.get(request.path_params["id"]), request.path_params["name"]
        if job.answer is None:
            raise Refusal("the question has no answer to download; wait until its state is done", 409)
        # One at a time: drawing a video takes as long as playing it, and all of a core.
        async with self._writing:
            try:
                content = await anyio.to_thread.run_sync(job.answer.file, name, job.check_running)
            except Stopped:
                raise Refusal("the question has been deleted; ask again", 404) from None
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type="application/octet-stream", headers=headers)

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Deletes uploads after their time while the application runs."""
        expiring = asyncio.create_task(self._expire())
        try:
            yield
        finally:
            expiring.cancel()
            self.jobs.close()
            if self.searching is not None:
                self.searching.jobs.close()

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRY_SEC)
            await anyio.to_thread.run_sync(self.videos.expire)
