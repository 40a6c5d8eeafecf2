"""Protection against pages of other origins: hosts, origins, and headers of every response."""

from __future__ import annotations

import ipaddress
import platform
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stvg_jax.core.errors import quoted

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?")
_READING = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    # Otherwise a page of somebody else could show the videos.
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """True for an address that only this machine can reach."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Refuses requests that another site has a browser send.

    A site may have its own name lead to this machine (DNS rebinding); its requests then carry that name in `Host`. Only
    the names of a loopback address are taken, and the host that is served. A server on all addresses cannot know its
    names: it takes the name of the machine and any address, as an address cannot be rebound.

    Args:
        app: the application.
        host: the address that is served.
    """

    def __init__(self, app: ASGIApp, host: str):
        self._app = app
        bare = host.lower()
        self._hosts = _LOOPBACK | {f"[{bare}]" if ":" in bare else bare}
        self._everywhere = bare in ("0.0.0.0", "::")
        if self._everywhere:
            self._hosts |= {platform.node().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refused = self._refused(scope["method"], Headers(scope=scope))
        app = self._app if refused is None else JSONResponse({"error": refused}, 403)
        await app(scope, receive, send_guarded)

    def _refused(self, method: str, headers: Headers) -> str | None:
        """Reason to refuse a request; None if there is none."""
        hosts = [host.lower() for host in headers.getlist("host")]
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return f"the host {quoted(', '.join(hosts), 60)} is not served here; use the address that the server prints"
        if method in _READING:
            return None
        own = {f"http://{hosts[0]}", f"https://{hosts[0]}"}
        if others := {origin.lower() for origin in headers.getlist("origin")} - own:
            return f"a page of {quoted(', '.join(sorted(others)), 60)} may not write here; use the page of this server"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "a page of another site may not write here; use the page of this server"
        return None

    def _is_ours(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        return match is not None and (match[1] in self._hosts or (self._everywhere and _is_address(match[1])))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
