"""Searches of a server with an index."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from stvg_jax import Index
from stvg_jax.core.registry import FAMILIES
from stvg_jax.retrieval.inference.encoder import VideoTextEncoder
from stvg_jax.retrieval.inference.index import build_index
from stvg_jax.retrieval.inference.windows import WindowConfig
from tests.grounding.inference.conftest import use_test_cache
from tests.retrieval import toy
from tests.serve.conftest import NoModel, finished, running


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, toy.NAME, "tests.retrieval.toy")
        use_test_cache(patch, tmp_path_factory.getbasetemp() / "programs")
        yield


@pytest.fixture(scope="module")
def built(family, tmp_path_factory) -> Path:
    """A folder with videos, an index of them, and its checkpoint."""
    folder = tmp_path_factory.mktemp("indexed")
    toy.write_checkpoint(folder / "checkpoint")
    toy.write_dataset(folder)
    encoder = VideoTextEncoder.load(folder / "checkpoint")
    windows = WindowConfig(1.0, 0.5)
    build_index([folder / "videos"], encoder, folder / "index", checkpoint=str(folder / "checkpoint"), windows=windows)
    return folder


class Recorder(NoModel):
    """Keeps the questions that it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = []

    def __call__(self, job, progress):
        self.asked.append((job.video.path, job.start, job.end))
        return super().__call__(job, progress)


@pytest.fixture
def searched(built, tmp_path):
    """A client of a server with an index, and its answerer."""
    answerer = Recorder()
    with running(answerer, tmp_path, index=Index.open(built / "index")) as (client, _):
        yield client, answerer


def search(client, sentence: str = "blue", **values):
    asked = client.post("/api/searches", json={"sentence": sentence, **values})
    assert asked.status_code == 202
    return finished(client, asked.json(), "searches")


def test_from_a_sentence_to_a_question_about_a_hit(searched, built):
    client, answerer = searched
    assert client.get("/api/info").json()["index"] == {"videos": 5, "windows": 16}
    found = search(client, top=9)
    assert (found["state"], found["sentence"], found["top"]) == ("done", "blue", 9)
    expected = Index.open(built / "index").search("blue", 9)
    hits = found["answer"]["hits"]
    assert [(h["start_sec"], h["end_sec"]) for h in hits] == [(h.start_sec, h.end_sec) for h in expected]
    assert [hit["score"] for hit in hits] == pytest.approx([hit.score for hit in expected], abs=1e-6)
    assert {hit["error"] for hit in hits} == {None}
    number = next(n for n, hit in enumerate(hits) if hit["name"] == "c.mp4")
    picture = client.get(f"/api/searches/{found['id']}/pictures/{number}")
    assert picture.headers["content-type"] == "image/jpeg"
    red, green, blue = Image.open(io.BytesIO(picture.content)).resize((1, 1)).getpixel((0, 0))
    assert blue > 180 > 90 > max(red, green)
    hit = hits[number]
    video = client.get(f"/api/videos/{hit['video']}/info").json()
    assert (video["name"], video["kind"], video["duration_sec"]) == ("c.mp4", "indexed", 3.0)
    file = built / "videos" / "c.mp4"
    part = client.get(f"/api/videos/{hit['video']}", headers={"Range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, file.read_bytes()[4:12])
    question = {"video": hit["video"], "sentence": "blue", "start": hit["start_sec"], "end": hit["end_sec"]}
    finished(client, client.post("/api/questions", json=question).json())
    assert answerer.asked == [(file, hit["start_sec"], hit["end_sec"])]
    assert str(built) not in str(found) + str(video)


def test_videos_of_the_index_stay(searched, built):
    client, _ = searched
    video = search(client)["answer"]["hits"][0]["video"]
    refused = client.delete(f"/api/videos/{video}")
    assert refused.status_code == 409
    assert "a video of the index, which stays" in refused.json()["error"]
    assert len(list((built / "videos").rglob("*.mp4"))) == 5


def test_nothing_but_the_files_of_the_index_can_be_read(searched, built):
    client, _ = searched
    (built / "videos" / "other.mp4").write_bytes((built / "videos" / "a.mp4").read_bytes())
    try:
        for id in ("other.mp4", "%2e%2e%2fcheckpoint", str(built / "videos" / "a.mp4").replace("/", "%2f"), "0"):
            assert client.get(f"/api/videos/{id}").status_code == 404
            assert client.post("/api/questions", json={"video": id, "sentence": "x"}).status_code == 404
    finally:
        (built / "videos" / "other.mp4").unlink()


@pytest.mark.parametrize(("change", "said"), [("touch", "has changed since it was indexed"), ("remove", "is gone")])
def test_a_file_that_is_no_longer_the_one_of_the_index(built, tmp_path, change, said):
    file = built / "videos" / "c.mp4"
    state, content = file.stat(), file.read_bytes()
    with running(NoModel(), tmp_path, index=Index.open(built / "index")) as (client, _):
        found = search(client)
        video = next(hit["video"] for hit in found["answer"]["hits"] if hit["name"].endswith("c.mp4"))
        assert client.get(f"/api/videos/{video}/info").status_code == 200
        try:
            if change == "touch":
                file.write_bytes(content + bytes(8))
            else:
                file.unlink()
            for answer in (
                client.get(f"/api/videos/{video}"),
                client.get(f"/api/videos/{video}/info"),
                client.post("/api/questions", json={"video": video, "sentence": "x"}),
            ):
                assert answer.status_code == 410
                assert answer.json()["error"].startswith(f"'c.mp4' {said}")
            errors = {hit["name"]: hit["error"] for hit in search(client)["answer"]["hits"]}
            assert errors["c.mp4"].startswith(f"'c.mp4' {said}")
            assert errors["a.mp4"] is None
            number = [hit["name"] for hit in found["answer"]["hits"]].index("c.mp4")
            assert client.get(f"/api/searches/{found['id']}/pictures/{number}").status_code == 410
        finally:
            file.write_bytes(content)
            os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "the search has no sentence"),
        ({"sentence": 3}, "must be text"),
        ({"sentence": "x" * 501}, "has 501 characters, and at most 500"),
        ({"sentence": "x", "top": 0}, "top is 0; it must be from 1 to 50"),
        ({"sentence": "x", "top": 51}, "top is 51"),
        ({"sentence": "x", "top": "3"}, "must be a whole number"),
        ({"sentence": "x", "index": "/"}, "has a key 'index'"),
    ],
)
def test_searches_that_cannot_be_made(searched, values, said):
    client, _ = searched
    refused = client.post("/api/searches", json=values)
    assert refused.status_code == 400
    assert said in refused.json()["error"]


def test_a_search_without_a_word_fails(searched):
    client, _ = searched
    found = search(client, "...")
    assert found["state"] == "failed"
    assert "has no word" in found["error"]
    assert client.get(f"/api/searches/{found['id']}/pictures/0").status_code == 404
    assert client.delete(f"/api/searches/{found['id']}").status_code == 204
    assert client.get(f"/api/searches/{found['id']}").status_code == 404


def test_a_long_part_is_refused(built, tmp_path):
    with running(NoModel(), tmp_path, index=Index.open(built / "index"), video_sec=1.0) as (client, _):
        hits = search(client)["answer"]["hits"]
        video = next(hit["video"] for hit in hits if hit["name"].endswith("c.mp4"))
        for bounds, status in (({}, 400), ({"start": 1.5}, 400), ({"start": 2.5, "end": 9.0}, 202)):
            asked = client.post("/api/questions", json={"video": video, "sentence": "x", **bounds})
            assert asked.status_code == status


def test_searches_of_other_origins_are_refused(searched):
    client, _ = searched
    asked = client.post("/api/searches", json={"sentence": "x"}, headers={"Origin": "http://evil.example"})
    assert asked.status_code == 403


def test_without_an_index_there_is_no_search(tmp_path):
    with running(NoModel(), tmp_path) as (client, _):
        assert client.get("/api/info").json()["index"] is None
        assert client.post("/api/searches", json={"sentence": "x"}).status_code == 404
