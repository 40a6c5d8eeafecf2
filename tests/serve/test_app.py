"""The HTTP API."""

from __future__ import annotations

import asyncio
import errno
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from stvg_jax.data_pipeline.video import open_video
from stvg_jax.grounding.inference.grounder import Grounder
from stvg_jax.grounding.inference.tube import Tube
from stvg_jax.serve.answering import Answerer
from tests.grounding.inference.conftest import tiny_checkpoint, use_test_cache
from tests.serve.conftest import NoModel, finished, running

ASSETS = Path(__file__).parents[2] / "stvg_jax" / "serve" / "assets"


@pytest.fixture
def grounder(tmp_path_factory, monkeypatch):
    use_test_cache(monkeypatch, tmp_path_factory.getbasetemp() / "programs")
    return Grounder.load(tiny_checkpoint(tmp_path_factory.getbasetemp() / "checkpoint"))


@pytest.fixture
def served(tmp_path):
    """A client and a service without a model; every question fails."""
    with running(NoModel(), tmp_path, upload_bytes=100_000) as (client, service):
        yield client, service


def send(client, clip: bytes, name: str = "clip.mp4"):
    return client.post("/api/videos", params={"name": name}, content=clip)


def test_from_an_upload_to_an_answer(tmp_path, clip, grounder):
    with running(Answerer(grounder, 500), tmp_path) as (client, service):
        sent = send(client, clip, "../party <1>.mp4")
        assert sent.status_code == 201
        video = sent.json()
        shape = {"name": "party <1>.mp4", "width": 96, "height": 64, "fps": 10.0, "duration_sec": 0.3}
        assert video == {"id": video["id"], **shape, "kind": "upload", "sentences": []}
        asked = client.post("/api/questions", json={"video": video["id"], "sentence": "the man who leaves"})
        assert asked.status_code == 202
        again = client.post("/api/questions", json={"video": video["id"], "sentence": "a dog", "end": 0.3})
        question = finished(client, asked.json())
        assert (question["state"], question["error"], question["place"]) == ("done", None, 0)
        answer = question["answer"]
        (tmp_path / "clip.mp4").write_bytes(clip)
        expected = grounder.ground(tmp_path / "clip.mp4", "the man who leaves")
        tube = Tube.from_json(answer["tube"])
        assert (tube.video, tube.subject) == ("party <1>.mp4", "the man")
        np.testing.assert_array_equal(tube.boxes_xyxy, expected.boxes_xyxy)
        np.testing.assert_allclose(answer["box_sec"], tube.box_frames / 10, atol=1e-6)
        np.testing.assert_allclose(answer["score_sec"], tube.scores.frames / 10, atol=1e-6)
        part = finished(client, again.json())
        assert (part["end"], part["answer"]["tube"]["clip_end_frame"]) == (0.3, 3)
        for name in client.get("/api/info").json()["files"]:
            file = client.get(f"/api/questions/{question['id']}/{name}")
            assert file.status_code == 200
            assert file.headers["content-disposition"] == f'attachment; filename="{name}"'
            if name == "tube.json":
                assert json.loads(file.content) == answer["tube"]
            if name == "tube.mp4":
                (tmp_path / name).write_bytes(file.content)
                with open_video(tmp_path / name) as reader:
                    assert reader.info.frame_count == 3
            else:
                assert str(tmp_path) not in file.text
        assert client.get(f"/api/questions/{question['id']}/tube.exe").status_code == 404
        assert client.delete(f"/api/videos/{video['id']}").status_code == 204
        assert client.get(f"/api/questions/{question['id']}").status_code == 404
        assert service.answerer._last is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "tube.mp4"]


@pytest.mark.parametrize(
    ("question", "status", "said"),
    [
        ({"video": "x", "sentence": "a dog"}, 404, "there is no video 'x'"),
        ({"video": 3, "sentence": "a dog"}, 400, "video of type int: must be text"),
        ({"sentence": "a dog"}, 400, "the question has no video"),
        ({"video": "V"}, 400, "the question has no sentence"),
        ({"video": "V", "sentence": ["a dog"]}, 400, "must be text"),
        ({"video": "V", "sentence": ""}, 400, "sentence"),
        ({"video": "V", "sentence": "x" * 501}, 400, "has 501 characters, and at most 500"),
        ({"video": "V", "sentence": "a dog", "start": -1}, 400, "must be a finite number"),
        ({"video": "V", "sentence": "a dog", "start": 2, "end": 1}, 400, "hold nothing"),
        ({"video": "V", "sentence": "a dog", "path": "/etc"}, 400, "has a key 'path'"),
        ([], 400, "is not an object"),
    ],
)
def test_questions_that_cannot_be_asked(tmp_path, clip, grounder, question, status, said):
    with running(Answerer(grounder, 500), tmp_path) as (client, _):
        if isinstance(question, dict) and question.get("video") == "V":
            question = question | {"video": send(client, clip).json()["id"]}
        refused = client.post("/api/questions", json=question)
    assert refused.status_code == status
    assert said in refused.json()["error"]
    assert "\n" not in refused.json()["error"]


def test_bodies_that_are_no_questions(served):
    client, _ = served
    assert client.post("/api/questions", content=b"{").status_code == 400
    assert client.post("/api/questions", content=b" " * 70_000).status_code == 413


def test_uploads_that_are_refused_leave_nothing(served, tmp_path, clip):
    client, service = served
    for content, status in ((bytes(100_001), 413), (b"", 400), (b"no video", 400)):
        refused = send(client, content)
        assert (refused.status_code, list(refused.json())) == (status, ["error"])
        assert str(tmp_path) not in refused.text

    def unannounced():
        yield from [bytes(60_000)] * 2

    assert client.post("/api/videos", content=unannounced()).status_code == 413
    service._receiving = service.limits.uploads
    assert send(client, clip).status_code == 503
    service._receiving = 0
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told(served, clip, monkeypatch):
    client, service = served

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(service, "_receive", full)
    refused = send(client, clip)
    assert refused.status_code == 507
    assert refused.json() == {"error": "the server cannot keep the upload: No space left on device; try again later"}


def test_an_upload_that_takes_too_long_is_refused(tmp_path, clip):
    with running(NoModel(), tmp_path, upload_sec=0.01) as (client, service):

        async def slow(*_):
            await asyncio.sleep(10)

        service._receive = slow
        refused = send(client, clip)
    assert (refused.status_code, list(tmp_path.iterdir())) == (408, [])


def test_a_video_is_sent_in_ranges(served, clip):
    client, _ = served
    address = f"/api/videos/{send(client, clip).json()['id']}"
    whole = client.get(address)
    assert (whole.status_code, whole.content) == (200, clip)
    assert whole.headers["content-type"] == "video/mp4"
    part = client.get(address, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, clip[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(clip)}"
    assert client.get(address, headers={"Range": f"bytes={len(clip) + 1}-"}).status_code == 416


def test_a_failed_question_tells_why_and_has_no_files(served, clip):
    client, _ = served
    video = send(client, clip).json()["id"]
    asked = client.post("/api/questions", json={"video": video, "sentence": "a dog"}).json()
    question = finished(client, asked)
    assert (question["state"], question["error"]) == ("failed", "no answer to a dog")
    assert client.get(f"/api/questions/{asked['id']}/tube.json").status_code == 409
    assert client.delete(f"/api/questions/{asked['id']}").status_code == 204
    assert client.get(f"/api/questions/{asked['id']}").status_code == 404


class Drawn:
    """An answer whose drawing begins, and goes on when it is let through."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def to_dict(self):
        return {}

    def file(self, name, on_frame):
        self.begun.set()
        assert self.open.wait(30)
        on_frame()
        return b"drawn"


def test_a_question_that_is_deleted_ends_the_drawing_of_its_answer(served, clip):
    client, service = served
    video = send(client, clip).json()["id"]
    service.jobs._work = lambda job, progress: answer
    answer = Drawn()
    asked = finished(client, client.post("/api/questions", json={"video": video, "sentence": "x"}).json())
    with ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(client.get, f"/api/questions/{asked['id']}/tube.mp4")
        assert answer.begun.wait(30)
        assert client.delete(f"/api/questions/{asked['id']}").status_code == 204
        answer.open.set()
        assert drawing.result().status_code == 404


def test_writes_of_other_origins_are_refused(served, clip):
    client, service = served
    refused = client.post("/api/videos", content=clip, headers={"Origin": "http://evil.example"})
    assert refused.status_code == 403
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 403
    assert list(service.videos._videos) == []


def test_unknown_addresses_and_files_outside(served):
    client, _ = served
    for address in ("/nothing", "/assets/../app.py", "/assets/%2e%2e%2fapp.py", "/assets/index.html", "/api/videos/x"):
        missing = client.get(address)
        assert (missing.status_code, list(missing.json())) == (404, ["error"])
    assert client.put("/api/videos").status_code == 405


def test_an_error_of_the_server_tells_nothing(served, monkeypatch):
    client, service = served
    monkeypatch.setattr(service.videos, "get", lambda _: 1 / 0)
    broken = client.get("/api/videos/x/info")
    assert broken.status_code == 500
    assert broken.json() == {"error": "an error of the server, which its terminal shows"}


class NoIndex:
    """An index of no video."""

    videos, records = (), {}

    def __len__(self) -> int:
        return 0


def test_the_description_has_every_address(tmp_path):
    with running(NoModel(), tmp_path, index=NoIndex()) as (client, _):
        described = client.get("/openapi.json").json()
    methods = {
        (path.replace("{number}", "{number:int}"), m.upper())
        for path, of in described["paths"].items()
        for m in of
        if m != "parameters"
    }
    routes = {
        (route.path, method)
        for route in client.app.routes
        for method in route.methods - {"HEAD"}
        if route.path.startswith("/api/")
    }
    assert methods == routes
    references = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(described)))
    assert references == described["components"]["schemas"].keys()


def test_the_page_has_no_inline_code_and_loads_nothing_from_outside(served):
    client, _ = served
    page = client.get("/").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded == ["data:,", "assets/page.css", "assets/page.js"]
    assert client.get("/assets/page.css").headers["content-type"].startswith("text/css")
    assert client.get("/assets/page.js").headers["content-type"].startswith("text/javascript")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", page)
    script = (ASSETS / "page.js").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)
    addresses = set(re.findall(r"https?://[^\"'` ]+", page + script + (ASSETS / "page.css").read_text()))
    # The name of a vocabulary, which is not loaded.
    assert addresses == {"http://www.w3.org/2000/svg"}
