"""The application: routes of the page and of the HTTP API (`assets/openapi.json`)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from stvg_jax import __version__
from stvg_jax.core.errors import InputError
from stvg_jax.serve.guard import Guard
from stvg_jax.serve.limits import Refusal
from stvg_jax.serve.service import Service

_ASSETS = Path(__file__).parent / "assets"
_PAGE = {"page.css": "text/css", "page.js": "text/javascript"}


def make_app(service: Service, host: str) -> Starlette:
    """The ASGI application.

    Args:
        service: what stands behind the routes.
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
    if (searching := service.searching) is not None:
        routes += [
            Route("/api/searches", searching.create, methods=["POST"]),
            Route("/api/searches/{id}", searching.tell),
            Route("/api/searches/{id}", searching.delete, methods=["DELETE"]),
            Route("/api/searches/{id}/pictures/{number:int}", searching.picture),
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


async def _tell_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        message = {404: "there is nothing at this address; /openapi.json lists what there is"}
        told = {"error": message.get(error.status_code, error.detail)}
        return JSONResponse(told, error.status_code, headers=error.headers)
    return JSONResponse({"error": str(error)}, error.status if isinstance(error, Refusal) else 400)


async def _tell_failure(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "an error of the server, which its terminal shows"}, 500)
