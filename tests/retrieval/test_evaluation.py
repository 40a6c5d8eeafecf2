"""`stvg-jax eval` of a retrieval model, against scores of all pairs that are computed directly."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.core.pixels import normalize_as_clip
from stvg_jax.data_pipeline.language.captions import caption_text
from stvg_jax.data_pipeline.shards import FrameStore
from stvg_jax.runtime.tokenizer import Tokenizer
from tests.hosts import run_hosts
from tests.retrieval import toy
from tests.retrieval.conftest import arguments, evaluate

pytestmark = pytest.mark.usefixtures("registered")

VIDEOS, TEXTS = len(toy.VIDEOS), [text for *_, captions in toy.VIDEOS for text in captions]
OWNERS = [video for video, (*_, captions) in enumerate(toy.VIDEOS) for _ in captions]


@pytest.fixture(scope="module")
def scores(place) -> tuple[np.ndarray, np.ndarray]:
    """Similarities of all pairs, and the terms of re-ranking, [v, t]."""
    module, parameters = toy.parameters()
    model = module.bind(parameters)
    shown, store = toy.CLIP.shown, FrameStore(place / "frames")
    frames = np.stack([shown.pictures(store, name, store.videos[name]) for name, *_ in toy.VIDEOS])
    videos = model.encode_videos(normalize_as_clip(jnp.asarray(frames)))
    tokenizer = Tokenizer(place / "checkpoint" / "tokenizer", 8)
    ids = [tokenizer.cut(caption_text(text)) for text in TEXTS]
    padded = jnp.array([np.pad(one, (0, 8 - len(one))) for one in ids])
    valid = jnp.arange(8) < jnp.array([len(one) for one in ids])[:, None]
    texts = model.encode_texts(padded, valid).embeddings
    terms = [model.match(model.video_memory(tokens), padded, valid) for tokens in videos.tokens]
    return np.asarray(model.similarity(videos.embeddings, texts)), np.stack(terms)


def released_scores(similarity: np.ndarray, terms: np.ndarray, number: int) -> np.ndarray:
    """Score matrix of one direction by the release: -100 for all but the best of each row."""
    scores = np.full_like(similarity, -100)
    for row, best in enumerate(np.argsort(-similarity, axis=1, kind="stable")[:, :number]):
        scores[row, best] = similarity[row, best] + terms[row, best]
    return scores


def test_all_files_are_written(whole):
    names = {path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file()}
    parts = {
        f"{folder}records/{name}" for folder in ("", "reranking/") for name in ("identity.json", "part-00000.jsonl")
    }
    assert names == {"answers.jsonl", "metrics.json", "table.md", *parts}
    table = (whole / "table.md").read_text()
    assert "STGT (2024) | - | - |" in table and "| **stvg_jax toy_videos** |" in table
    assert "STGT: arXiv 2407.11677; its figures are not given here." in table
    assert "10 texts, where the benchmark has 27,763." in table
    assert "6 videos, 10 texts. The 2 best answers to each query are re-ranked" in table


def test_the_ranks_are_those_of_the_release_among_the_reranked(whole, scores):
    similarity, terms = scores
    released = released_scores(similarity.T, terms.T, 2)
    for number, line in enumerate((whole / "answers.jsonl").read_text().splitlines()):
        answer = json.loads(line)
        assert (answer["text"], answer["video"]) == (TEXTS[number], toy.VIDEOS[OWNERS[number]][0])
        order = np.argsort(-released[number], kind="stable")
        assert [best["video"] for best in answer["best"][:2]] == [toy.VIDEOS[k][0] for k in order[:2]]
        np.testing.assert_allclose(
            [best["score"] for best in answer["best"][:2]], released[number][order[:2]], atol=1e-5
        )
        own = released[number][OWNERS[number]]
        if own > -100:
            assert answer["rank"] == (released[number] >= own).sum()
        else:
            worse = similarity[:, number] < similarity[OWNERS[number], number] - 1e-6
            assert answer["rank"] == VIDEOS - (worse & (released[number] == -100)).sum()


def test_measures_of_both_directions(whole, scores):
    results = json.loads((whole / "metrics.json").read_text())["results"]
    assert {direction: group["queries"] for direction, group in results.items()} == {
        "text to video": 10, "video to text": 6,
    }  # fmt: skip
    own = np.array(OWNERS) == np.arange(VIDEOS)[:, None]
    for direction, (similarity, terms), right in (
        ("video to text", scores, own),
        ("text to video", [matrix.T for matrix in scores], own.T),
    ):
        released = released_scores(similarity, terms, 2)
        best = np.where(right, released, -np.inf).max(1)
        first = (best > -100) & ((released >= best[:, None]) & ~right).sum(1).__eq__(0)
        assert results[direction]["R@1"] == pytest.approx(first.mean())


@pytest.mark.parametrize("batch", [1, 5])
def test_results_do_not_depend_on_the_batch(place, whole, batch, tmp_path):
    evaluate(place, tmp_path, f"--config.eval.samples_per_device={batch}")
    for part in ("records", "reranking/records"):
        assert lines(tmp_path / part) == lines(whole / part)
    assert (tmp_path / "metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()


def lines(folder: Path) -> set[str]:
    return {line for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()}


def test_an_interrupted_evaluation_goes_on_in_both_stages(place, whole, tmp_path, monkeypatch, capsys):
    from stvg_jax.retrieval.evaluation.token_files import TokenFiles

    monkeypatch.setattr(TokenFiles, "remove", lambda self: None)
    evaluate(place, tmp_path)
    for part, kept in (("records", 4), ("reranking/records", 2)):
        path = tmp_path / part / "part-00000.jsonl"
        path.write_text("\n".join([*path.read_text().splitlines()[:kept], '{"id": "torn']))
    capsys.readouterr()
    evaluate(place, tmp_path)
    assert capsys.readouterr().err.count("evaluating") == 2
    for part in ("records", "reranking/records"):
        assert lines(tmp_path / part) == lines(whole / part)
    assert (tmp_path / "answers.jsonl").read_bytes() == (whole / "answers.jsonl").read_bytes()


def test_an_evaluation_that_is_whole_is_only_reported_again(place, whole, capsys):
    before = (whole / "metrics.json").read_bytes()
    capsys.readouterr()
    evaluate(place, whole)
    assert "evaluating" not in capsys.readouterr().err
    assert (whole / "metrics.json").read_bytes() == before


def test_lost_tokens_are_told(place, whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "reranking")
    assert main(arguments(place, tmp_path / "out")) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "0000000.npy cannot be read" in error and "records, to have all videos encoded again" in error


def test_embeddings_alone_rank_without_comparisons(place, scores, tmp_path):
    metrics = evaluate(place, tmp_path, "--config.eval.reranked=0")
    assert not (tmp_path / "reranking").exists() and not (tmp_path / "records" / "tokens").exists()
    similarity = np.round(scores[0], 5)
    own = similarity[OWNERS, np.arange(len(TEXTS))]
    wrong = np.array(OWNERS) != np.arange(VIDEOS)[:, None]
    ranks = 1 + ((similarity >= own) & wrong).sum(0)
    assert metrics["results"]["text to video"]["MeanR"] == pytest.approx(ranks.mean())
    assert "by the similarity of embeddings alone" in metrics["notes"][0]


def test_more_than_all_answers_are_all(place, scores, tmp_path):
    """The release refuses this."""
    metrics = evaluate(place, tmp_path, "--config.eval.reranked=1000")
    total = np.round(sum(scores), 5)
    own = total[OWNERS, np.arange(len(TEXTS))]
    wrong = np.array(OWNERS) != np.arange(VIDEOS)[:, None]
    ranks = 1 + ((total >= own) & wrong).sum(0)
    assert metrics["results"]["text to video"]["MeanR"] == pytest.approx(ranks.mean())


@pytest.mark.slow
def test_two_hosts_of_two_devices_give_what_one_gives(place, whole, tmp_path):
    done = run_hosts(["-m", "tests.retrieval.toy", *arguments(place, tmp_path)], hosts=2, devices=2)
    assert [process.returncode for process in done] == [0, 0], "".join(process.stderr for process in done)
    assert ["stvg_jax toy_videos" in process.stdout for process in done] == [True, False]
    for part in ("records", "reranking/records"):
        assert lines(tmp_path / part) == lines(whole / part)
        assert len(list((tmp_path / part).glob("*.jsonl"))) == 2
    for name in ("metrics.json", "answers.jsonl", "table.md"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--config.eval.reranked=-1"], "reranked=-1 must be at least 0"),
        (["--config.eval.subject=found"], "config.eval.subject is 'found', which retrieval does not have"),
        (["--config.eval.benchmark=vidstg"], "config.eval.benchmark is 'vidstg', a test set of grounding"),
        (["--config.eval.benchmark=mine"], "unknown benchmark 'mine'; choose one of hcstvg1, .* msvd, none"),
        (["--config.data.frames="], "config.data.frames is not set; give it with --config.data.frames=PATH"),
        (["--config.data.dataset=hcstvg"], "is a list; its annotations must be an object"),
        (["--config.clip.frame_rule=rand"], "frame_rule is 'rand'; choose one of uniform, middle"),
        (["--config.clip.frames=16"], "frames not stored"),
        (["--config.eval.split=val"], "no annotations of the split 'val'"),
    ],
)
def test_what_cannot_be_evaluated(place, overrides, message, tmp_path, capsys):
    options = [f"--config.data.annotations={place / 'data' / 'cap_test.json'}"] if "hcstvg" in overrides[0] else []
    assert main(arguments(place, tmp_path, *overrides, *options)) == 2
    assert re.search(message, capsys.readouterr().err)


def test_videos_without_frames_can_be_left_out(place, tmp_path, capsys):
    entries = json.loads((place / "data" / "cap_test.json").read_text())
    (tmp_path / "cap_test.json").write_text(json.dumps([*entries, {"video": "none.mp4", "caption": ["a", "b"]}]))
    other = f"--config.data.annotations={tmp_path}"
    assert main(arguments(place, tmp_path / "out", other)) == 2
    assert "missing video (2)" in capsys.readouterr().err
    metrics = evaluate(place, tmp_path / "out", other, "--config.data.on_problem=exclude")
    assert metrics["notes"][1] == "Videos left out because they are missing: 1."
    assert metrics["results"]["text to video"]["queries"] == 10
