"""`stvg-jax serve`."""

from __future__ import annotations

import signal
import tempfile

import pytest

from stvg_jax.cli import main
from stvg_jax.serve import server
from tests.grounding.inference.conftest import tiny_checkpoint


@pytest.fixture
def serve(tmp_path, tmp_path_factory, monkeypatch):
    """Runs the command with `during(app)` in the place of the server; returns the exit code."""
    checkpoint = tiny_checkpoint(tmp_path_factory.getbasetemp() / "checkpoint")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def run(*arguments: str, during=lambda app: None) -> int:
        monkeypatch.setattr(server, "serve", lambda app, host, port: during(app))
        return main(["serve", "--checkpoint", str(checkpoint), *arguments])

    return run


@pytest.fixture
def in_the_foreground():
    """A shell lets what it starts in the background ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("in_the_foreground")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_uploads_are_deleted_at_the_end(serve, tmp_path, clip, number):
    seen, before = [], signal.getsignal(number)

    def upload(app):
        from starlette.testclient import TestClient

        with TestClient(app, base_url="http://localhost") as client:
            assert client.post("/api/videos", content=clip).status_code == 201
            assert client.get("/api/info").json()["examples"] == []
        seen.extend(path.suffix for path in tmp_path.rglob("*.*") if path.is_file())
        signal.raise_signal(number)

    assert serve(during=upload) == 130
    assert signal.getsignal(number) == before
    assert seen == [".video"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
def test_other_addresses_are_warned_of(serve, capsys, host, warned):
    assert serve("--host", host) == 0
    assert (f"everybody who can reach {host}" in capsys.readouterr().err) == warned


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "65536"], "--port is 65536; it must be from 0 to 65535"),
        (["--max-upload", "0"], "--max-upload is 0; it must be a positive number"),
        (["--max-upload", "nan"], "--max-upload is nan"),
        (["--max-length", "-1"], "--max-length is -1"),
        (["--max-waiting", "0"], "--max-waiting is 0"),
        (["--keep", "nan"], "--keep is nan"),
        (["--index-checkpoint", "stgt"], "--index-checkpoint is the model of an index; give --index too"),
    ],
)
def test_values_that_cannot_be_used(capsys, arguments, said):
    assert main(["serve", *arguments]) == 2
    assert f"stvg-jax serve: {said}" in capsys.readouterr().err


def test_a_folder_that_is_no_index(serve, tmp_path, capsys):
    assert serve("--index", str(tmp_path / "nothing")) == 2
    assert "nothing does not exist; `stvg-jax index VIDEOS... --out" in capsys.readouterr().err


def test_without_the_extra(capsys, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["serve"]) == 2
    assert "serving needs starlette and uvicorn; pip install" in capsys.readouterr().err


def test_an_address_that_is_taken(tmp_path):
    import asyncio

    from stvg_jax.core.errors import InputError

    async def occupied() -> None:
        other = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = other.sockets[0].getsockname()[1]
        with pytest.raises(InputError, match=rf"127.0.0.1 port {port} cannot be listened on"):
            await asyncio.to_thread(server.serve, _nothing, "127.0.0.1", port)
        other.close()

    asyncio.run(occupied())


async def _nothing(scope, receive, send):
    """An application that only starts and ends."""
    while scope["type"] == "lifespan":
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
