"""A server of a tiny untrained model, in this process."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from stvg_jax.core.errors import InputError
from stvg_jax.serve.app import make_app
from stvg_jax.serve.limits import Limits
from stvg_jax.serve.service import Service
from tests.videos import write_video

LOCAL = "http://127.0.0.1:7860"


@pytest.fixture(scope="session")
def clip(tmp_path_factory) -> bytes:
    """A video of 3 frames, 0.3 s."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", 3).read_bytes()


class NoModel:
    """An answerer that takes any sentence and answers none."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []

    def check(self, sentence: str, subject: str | None) -> None:
        pass

    def __call__(self, job, progress):
        raise InputError(f"no answer to {job.sentence}")

    def forget(self, video) -> None:
        self.forgotten.append(video.id)


@contextlib.contextmanager
def running(
    answerer: Any, folder: Path, *, host: str = "127.0.0.1", base: str = LOCAL, index: Any = None, **limits: Any
):
    """Yields a client of a server, and its service."""
    service = Service(answerer, folder, Limits(**limits), index=index, model="tiny")
    with TestClient(make_app(service, host), base_url=base, raise_server_exceptions=False) as client:
        yield client, service


def finished(client: TestClient, job: dict[str, Any], jobs: str = "questions") -> dict[str, Any]:
    """The question, or the search, once it is done or has failed."""
    for _ in range(6_000):
        job = client.get(f"/api/{jobs}/{job['id']}").json()
        if job["state"] in ("done", "failed"):
            return job
        time.sleep(0.01)
    raise AssertionError(job)
