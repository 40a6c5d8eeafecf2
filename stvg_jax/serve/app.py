"""The application: routes of the page and of the HTTP API (`assets/openapi.json`)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from stvg_jax import __version__
from stvg_jax.core.arguments import check_part, check_str
from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.core.json_files import parse_json
from stvg_jax.core.progress import size_text
from stvg_jax.serve.answering import Answerer, file_names
from stvg_jax.serve.guard import Guard
from stvg_jax.serve.jobs import Job, Jobs
from stvg_jax.serve.limits import Limits, Refusal
from stvg_jax.serve.videos import StoredVideo, Videos

_ASSETS = Path(__file__).parent / "assets"
_PAGE = {"page.css": "text/css", "page.js": "text/javascript"}
# Of a question; a sentence has at most a few bytes for each character.
_QUESTION_BYTES = 64_000
_KEYS = ("video", "sentence", "subject", "start", "end")
# Between two looks for uploads that are to be deleted.
_EXPIRY_SEC = 15.0


class Service:
    """Videos and questions behind the routes.

    Args:
        answerer: answers the questions.
        folder: an existing, empty folder for videos.
        limits: what is accepted and kept.
        model: name of the checkpoint, for the page.
        note: what a user must know about the model; may be empty.
    """

    def __init__(self, answerer: Answerer, folder: Path, limits: Limits, *, model: str = "", note: str = ""):
        self.limits = limits
        self.answerer = answerer
        self.jobs = Jobs(answerer, waiting=limits.waiting, kept=limits.answers)
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
        return JSONResponse(self.about | {"limits": limits, "examples": examples, "files": list(file_names())})

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
        video = self.videos.get(request.path_params["id"])
        return FileResponse(video.path, media_type=video.media_type)

    async def tell_video(self, request: Request) -> Response:
        """GET /api/videos/ID/info."""
        return JSONResponse(self.videos.get(request.path_params["id"]).to_dict())

    async def delete_video(self, request: Request) -> Response:
        """DELETE /api/videos/ID."""
        self.videos.delete(request.path_params["id"])
        return Response(status_code=204)

    async def ask(self, request: Request) -> Response:
        """POST /api/questions."""
        job = self._read_question(await _read_body(request))
        # Looks at words of a large list, at the first time.
        await anyio.to_thread.run_sync(self.answerer.check, job.sentence, job.subject)
        self.jobs.submit(job)
        return JSONResponse(job.to_dict(self.jobs.place(job)), 202)

    def _read_question(self, body: bytes) -> Job:
        try:
            values = parse_json(body)
        except ValueError as error:
            raise InputError(f"the question is not JSON: {first_line(error)}") from error
        if not isinstance(values, dict):
            raise InputError('the question is not an object; write {"video": ..., "sentence": ...}')
        if unknown := [key for key in values if key not in _KEYS]:
            raise InputError(f"the question has a key {quoted(unknown[0], 40)}; it takes {', '.join(_KEYS)}")
        if missing := [key for key in _KEYS[:2] if key not in values]:
            raise InputError(f"the question has no {missing[0]}; give video and sentence")
        video = self.videos.get(check_str("video", values["video"]))
        subject = values.get("subject")
        (start, end), _ = check_part(values.get("start"), values.get("end"), None)
        return Job(
            video,
            check_str("sentence", values["sentence"]),
            None if subject is None else check_str("subject", subject),
            start,
            end,
        )

    async def tell_question(self, request: Request) -> Response:
        """GET /api/questions/ID."""
        job = self.jobs.get(request.path_params["id"])
        return JSONResponse(job.to_dict(self.jobs.place(job)))

    async def delete_question(self, request: Request) -> Response:
        """DELETE /api/questions/ID."""
        self.jobs.cancel(request.path_params["id"])
        return Response(status_code=204)

    async def download(self, request: Request) -> Response:
        """GET /api/questions/ID/NAME."""
        job, name = self.jobs.get(request.path_params["id"]), request.path_params["name"]
        if job.answer is None:
            raise Refusal("the question has no answer to download; wait until its state is done", 409)
        # One at a time: drawing a video takes as long as playing it, and all of a core.
        async with self._writing:
            content = await anyio.to_thread.run_sync(job.answer.file, name)
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

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRY_SEC)
            await anyio.to_thread.run_sync(self.videos.expire)


def make_app(service: Service, host: str) -> Starlette:
    """The ASGI application.

    Args:
        service: videos and questions.
        host: the address that is served.
    """
    routes = [
        Route("/", _page),
        Route("/assets/{name}", _asset),
        Route("/openapi.json", _openapi),
        Route("/api/info", service.describe),
        Route("/api/videos", service.upload, methods=["POST"]),
        Route("/api/videos/{id}", service.show_video),
        Route("/api/videos/{id}", service.delete_video, methods=["DELETE"]),
        Route("/api/videos/{id}/info", service.tell_video),
        Route("/api/questions", service.ask, methods=["POST"]),
        Route("/api/questions/{id}", service.tell_question),
        Route("/api/questions/{id}", service.delete_question, methods=["DELETE"]),
        Route("/api/questions/{id}/{name}", service.download),
    ]
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        InputError: _tell_error,
        HTTPException: _tell_error,
        ClientDisconnect: _tell_error,
        Exception: _tell_failure,
    }
    return Starlette(
        routes=routes,
        exception_handlers=handlers,
        middleware=[Middleware(Guard, host=host)],
        lifespan=service.lifespan,
    )


async def _page(request: Request) -> Response:
    return FileResponse(_ASSETS / "index.html", media_type="text/html")


async def _asset(request: Request) -> Response:
    if (name := request.path_params["name"]) not in _PAGE:
        raise HTTPException(404)
    return FileResponse(_ASSETS / name, media_type=_PAGE[name])


async def _openapi(request: Request) -> Response:
    description = json.loads((_ASSETS / "openapi.json").read_text(encoding="utf-8"))
    description["info"]["version"] = __version__
    return JSONResponse(description)


async def _read_body(request: Request) -> bytes:
    parts: list[bytes] = []
    async for part in request.stream():
        parts.append(part)
        if sum(map(len, parts)) > _QUESTION_BYTES:
            raise Refusal(f"the question has more than {_QUESTION_BYTES:,} bytes, the most that is taken", 413)
    return b"".join(parts)


async def _tell_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        message = {404: "there is nothing at this address; /openapi.json lists what there is"}
        told = {"error": message.get(error.status_code, error.detail)}
        return JSONResponse(told, error.status_code, headers=error.headers)
    return JSONResponse({"error": str(error)}, error.status if isinstance(error, Refusal) else 400)


async def _tell_failure(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "an error of the server, which its terminal shows"}, 500)
