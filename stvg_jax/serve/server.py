"""The server: uvicorn, which tells its address once it listens."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any, NoReturn

import uvicorn

from stvg_jax.core.errors import InputError

# Connections at once; a browser opens up to six.
_CONNECTIONS = 200
# Seconds for responses under way when the server is ended.
_LEAVING_SEC = 3


def serve(app: Any, host: str, port: int) -> None:
    """Serves an ASGI application until it is interrupted.

    Args:
        app: the application.
        host: address to listen on.
        port: 0 for any that is free.

    Raises:
        InputError: the address cannot be listened on.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="error",
        access_log=False,
        server_header=False,
        # Headers of a proxy could be anybody's.
        proxy_headers=False,
        ws="none",
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_LEAVING_SEC,
    )
    try:
        _Server(config).run()
    except SystemExit as error:  # of uvicorn, which has said why
        raise InputError(f"{host} port {port} cannot be listened on; choose another --port, or --host") from error


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP, which would end the process at once, raise KeyboardInterrupt as SIGINT does.

    uvicorn finishes responses after the first of them, and then sends the process the same signal again.
    """

    def interrupt(number: int, frame: Any) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        for server in self.servers if self.started else ():
            for listening in server.sockets:
                address, port = listening.getsockname()[:2]
                shown = f"[{address}]" if ":" in address else address
                print(f"serving on http://{shown}:{port} (Ctrl-C ends it)", flush=True)
