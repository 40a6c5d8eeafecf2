"""An index finds what was put in, grows, survives interruptions, and says what it could not read."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest

from stvg_jax import Index
from stvg_jax.cli import main
from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import FAMILIES
from stvg_jax.retrieval.inference import index as module
from stvg_jax.retrieval.inference.encoder import VideoTextEncoder
from stvg_jax.retrieval.inference.index import best_rows, build_index, similarities_to
from stvg_jax.retrieval.inference.storage import IndexFolder
from stvg_jax.retrieval.inference.windows import WindowConfig
from tests.grounding.inference.conftest import tiny_checkpoint, use_test_cache
from tests.retrieval import toy
from tests.videos import truncate

WINDOWS = WindowConfig(1.0, 0.5)


@pytest.fixture(scope="module", autouse=True)
def family(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, toy.NAME, "tests.retrieval.toy")
        use_test_cache(patch, tmp_path_factory.getbasetemp() / "programs")
        yield


@pytest.fixture(scope="module")
def checkpoint(family, tmp_path_factory):
    return toy.write_checkpoint(tmp_path_factory.mktemp("toy") / "checkpoint")


@pytest.fixture(scope="module")
def encoder(checkpoint):
    return VideoTextEncoder.load(checkpoint)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    return toy.write_dataset(tmp_path_factory.mktemp("videos")) / "videos"


@pytest.fixture
def videos(originals, tmp_path):
    return shutil.copytree(originals, tmp_path / "videos")


def build(videos, encoder, checkpoint, out):
    return build_index([videos], encoder, out, checkpoint=str(checkpoint), windows=WINDOWS)


def test_every_window_is_found_with_the_similarity_of_its_clip(videos, encoder, checkpoint, tmp_path):
    assert build(videos, encoder, checkpoint, tmp_path / "index") == {}
    index = Index.open(tmp_path / "index")
    # 24, 17, 30, 3 and 20 frames at 10 per second.
    assert len(index) == 4 + 3 + 5 + 1 + 3
    assert [os.path.relpath(name, videos) for name in index.videos] == [
        "a.mp4",
        "b.mp4",
        "c.mp4",
        "deep/d.mp4",
        "e.mp4",
    ]
    hits = index.search("blue", top=100, overlapping=True)
    assert len(hits) == len(index)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    # The toy sees mean colours, so a window of one colour has the embedding of that colour alone.
    text = encoder.encode_sentences(["blue"])[0]
    blue = encoder.encode_clips(np.full((1, 4, 32, 32, 3), toy.COLORS["blue"], np.uint8))[0]
    of_c = [hit for hit in hits if hit.video.endswith("c.mp4")]
    assert [hit.score for hit in of_c] == pytest.approx([(blue @ text).max()] * 5, abs=0.02)
    apart = index.search("blue", top=100)
    for one in apart:
        assert all(
            one is other or one.video != other.video or one.end_sec <= other.start_sec or other.end_sec <= one.start_sec
            for other in apart
        )
    assert apart[0] == hits[0]


def test_only_new_and_changed_videos_are_read_again(videos, encoder, checkpoint, tmp_path, monkeypatch):
    out = tmp_path / "index"
    build(videos, encoder, checkpoint, out)
    before = Index.open(out).search("red", top=100, overlapping=True)
    read = []
    add = module._add
    monkeypatch.setattr(module, "_add", lambda folder, file, *a: (read.append(file.name), add(folder, file, *a)))
    build(videos, encoder, checkpoint, out)
    assert read == []
    shutil.copy(videos / "b.mp4", videos / "new.mp4")
    shutil.copy(videos / "c.mp4", videos / "b.mp4")
    (videos / "e.mp4").unlink()
    build(videos, encoder, checkpoint, out)
    assert read == ["b.mp4", "new.mp4"]
    after = Index.open(out).search("red", top=100, overlapping=True)

    def scores(hits, name):
        return sorted((hit.start_sec, hit.score) for hit in hits if hit.video.endswith(name))

    assert scores(after, "new.mp4") == scores(before, "b.mp4")
    assert scores(after, "b.mp4") == scores(before, "c.mp4")
    assert scores(after, "a.mp4") == scores(before, "a.mp4")
    assert scores(after, "e.mp4") == []


@pytest.mark.parametrize("name", ["videos.jsonl", "bounds.f64", "embeddings.f16"])
def test_an_interruption_loses_one_video_at_most(videos, encoder, checkpoint, tmp_path, name):
    """The last writes are there in part: a line without its end, rows that no line names."""
    whole, part = tmp_path / "whole", tmp_path / "part"
    build(videos, encoder, checkpoint, whole)
    build_index([videos / "a.mp4", videos / "b.mp4"], encoder, part, checkpoint=str(checkpoint), windows=WINDOWS)
    with (part / name).open("ab") as file:
        file.write(b'{"video": "/videos/c.mp4", "bytes')
    build(videos, encoder, checkpoint, part)
    ours, theirs = (Index.open(path).search("white", top=100, overlapping=True) for path in (whole, part))
    assert ours == theirs


def test_a_damaged_video_is_named_and_the_rest_is_indexed(videos, encoder, checkpoint, tmp_path):
    truncate(videos / "b.mp4")
    (videos / "deep" / "d.mp4").write_bytes(b"")
    failed = build(videos, encoder, checkpoint, tmp_path / "index")
    assert sorted(failed) == [str(videos / "b.mp4"), str(videos / "deep/d.mp4")]
    assert failed[str(videos / "deep/d.mp4")].endswith("the file is empty (0 bytes); copy or download it again")
    assert len(Index.open(tmp_path / "index").videos) == 3
    # It is named again, and is not tried again before it changes.
    assert build(videos, encoder, checkpoint, tmp_path / "index") == failed


def test_the_product_in_blocks_is_the_product(monkeypatch):
    rng = np.random.default_rng(0)
    embeddings, text = rng.standard_normal((50, 3, 8)).astype(np.float16), rng.standard_normal(8).astype(np.float32)
    expected = (embeddings.astype(np.float32) @ text).max(axis=1)
    monkeypatch.setattr(module, "_BLOCK_BYTES", 7 * 4 * 3 * 8)
    np.testing.assert_allclose(similarities_to(embeddings, text), expected, rtol=1e-6)
    assert similarities_to(embeddings[:0], text).shape == (0,)


def test_the_best_rows_are_those_of_a_whole_sort():
    rng = np.random.default_rng(1)
    rows = 3000
    scores = rng.integers(0, 40, rows).astype(np.float32)
    scores[rng.random(rows) < 0.2] = -np.inf
    videos, starts = rng.integers(0, 3, rows), rng.integers(0, 60, rows).astype(np.float64)
    bounds = np.stack([starts, starts + 5], axis=1)
    chosen = []
    for row in np.lexsort((np.arange(rows), -scores)):
        apart = all(
            videos[row] != videos[o] or starts[row] >= starts[o] + 5 or starts[o] >= starts[row] + 5 for o in chosen
        )
        if apart and scores[row] > -np.inf:
            chosen.append(row)
    assert len(chosen) > 20
    for top in (1, 7, 20, 1000):
        assert best_rows(scores, videos, bounds, top) == chosen[:top]
    everything = best_rows(scores, videos, bounds, 10_000, overlapping=True)
    assert sorted(everything) == np.flatnonzero(scores > -np.inf).tolist()


def test_an_index_of_another_model_or_of_other_windows_is_not_mixed(videos, encoder, checkpoint, tmp_path):
    out = tmp_path / "index"
    build(videos, encoder, checkpoint, out)
    with pytest.raises(InputError, match="of other windows \\('windows.length_sec'"):
        build_index([videos], encoder, out, checkpoint=str(checkpoint), windows=WindowConfig(2.0, 0.5))
    header = json.loads((out / "index.json").read_text())
    header["identity"]["parameters"]["words/embedding"] = 1
    (out / "index.json").write_text(json.dumps(header))
    with pytest.raises(InputError, match="was made by another checkpoint than this one"):
        Index.open(out)
    with pytest.raises(InputError, match="of another model"):
        build(videos, encoder, checkpoint, out)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda out: (out / "index.json").write_text("{"), "index.json is not JSON at line 1"),
        (lambda out: (out / "embeddings.f16").write_bytes(b"12"), "embeddings.f16 is damaged: 2 bytes for 16 windows"),
        (lambda out: (out / "index.json").unlink(), "has no index.json; `stvg-jax index VIDEOS... --out"),
    ],
)
def test_a_damaged_index_is_refused(videos, encoder, checkpoint, tmp_path, damage, message):
    build(videos, encoder, checkpoint, tmp_path / "index")
    damage(tmp_path / "index")
    with pytest.raises(InputError, match=message):
        IndexFolder.open(tmp_path / "index")


def test_a_grounding_model_cannot_search(tmp_path):
    with pytest.raises(InputError, match="a ta_stvg does not compare videos with sentences"):
        VideoTextEncoder.load(tiny_checkpoint(tmp_path / "checkpoint"))


def test_commands(videos, checkpoint, tmp_path, capsys):
    out, grounder = tmp_path / "index", tiny_checkpoint(tmp_path / "grounder")
    (videos / "deep" / "d.mp4").write_bytes(b"nothing")
    options = ["--checkpoint", str(checkpoint), "--window", "1", "--out", str(out)]
    assert main(["index", str(videos), *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == f"{out}: 15 windows of 4 videos\n"
    assert "stvg-jax index: 1 videos are left out because they cannot be read:" in captured.err
    assert "d.mp4" in captured.err

    assert main(["search", str(out), "only blue", "--top", "3", "--sheet", str(tmp_path / "hits.png")]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0] == "the best of 15 windows of 4 videos:"
    assert len(table) == 4
    assert (tmp_path / "hits.png").read_bytes().startswith(b"\x89PNG")

    sheet = tmp_path / "hits.html"
    (videos / "a.mp4").unlink()
    ground = ["--ground", str(grounder), "--json", "--sheet", str(sheet)]
    assert main(["search", str(out), "red then blue", "--top", "15", *ground]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line in lines:
        assert ("error" if line["video"].endswith("a.mp4") else "tube") in line
    tubes = [line for line in lines if "tube" in line]
    assert all(line["start_sec"] - 0.05 <= line["tube"]["start_sec"] < line["end_sec"] + 0.05 for line in tubes)
    assert {line["video"].rsplit("/", 1)[1] for line in tubes} == {"b.mp4", "c.mp4", "e.mp4"}
    assert sheet.read_text().count("<figure>") == len(lines)

    assert main(["search", str(out), "?!"]) == 2
    assert "sentence '?!' has no word" in capsys.readouterr().err
    assert main(["search", str(out), "red", "--top", "0"]) == 2
    assert "top is 0; it must be at least 1" in capsys.readouterr().err
    assert main(["search", str(out), "red", "--sheet", "hits.gif"]) == 2
    assert "its name must end in .png or .html" in capsys.readouterr().err
    assert main(["index", str(tmp_path / "none"), *options]) == 2
    assert "no such file or folder" in capsys.readouterr().err
