"""Captions of the shapes dataset, for video-text retrieval: up to four sentences, all true of one video.

A single sentence describes some seven of 400 videos (docs/retrieval.md), so the captions of the evaluation are made of
all that a scene gives. Those of the training are drawn: fewer or other sentences, in another order and wording.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import Progress, Silent
from stvg_jax.data_pipeline.shapes.dataset import SPLITS, Plan, read_manifest, results_of, video_name, write_text
from stvg_jax.data_pipeline.shapes.draws import Draws
from stvg_jax.data_pipeline.shapes.example import Example, further_sentences, make_example
from stvg_jax.data_pipeline.shapes.facts import observe
from stvg_jax.data_pipeline.shapes.sentences import parse, word_query
from stvg_jax.data_pipeline.shapes.vocabulary import VERSION

# Sentences of the longest caption, and captions of a training video.
SENTENCES, VARIANTS = 4, 6
MANIFEST = "annos/captions.json"
_VIDEOS_OF_A_JOB = 50


def caption_of(example: Example) -> str:
    """The caption of an evaluation: the sentences of an example made with `sentences=SENTENCES`."""
    return ", ".join(grounding.sentence for grounding in example.groundings)


def drawn_captions(example: Example, draws: Draws, number: int) -> list[str]:
    """Captions of 1 to `SENTENCES` sentences, each worded anew, in any order."""
    first, facts, captions = example.groundings[0], observe(example.scene), []
    for _ in range(number):
        sentence, _ = word_query(parse(first.sentence), draws)
        reworded = dataclasses.replace(first, sentence=sentence)
        others = further_sentences(example.scene, facts, reworded, draws, SENTENCES)
        chosen = draws.shuffled([reworded, *others])[: draws.integer(1, SENTENCES)]
        captions.append(", ".join(grounding.sentence for grounding in chosen))
    return captions


def captions_of(plan: Plan, split: str, index: int) -> list[str]:
    """All captions of a video: one, or `VARIANTS` in the training split."""
    example = make_example(plan.seed, plan.settings, split=split, index=index, sentences=SENTENCES, kind=plan.kind)
    if split != "train":
        return [caption_of(example)]
    return drawn_captions(example, Draws(VERSION, plan.seed, split, index, "captions"), VARIANTS)


def prepare_captions(
    out: Path, plan: Plan, *, processes: int = 1, progress: Progress | None = None
) -> dict[str, dict[str, str]]:
    """Writes the captions of a finished dataset, `annos/captions_SPLIT.json`, where they are missing.

    Args:
        out: folder of the dataset.
        plan: its plan.
        processes: number of processes; the result does not depend on it.
        progress: shows the videos.

    Returns:
        Split -> checksum of its captions.

    Raises:
        InputError: the dataset is another one, or is not finished.
    """
    if read_manifest(out, plan.describe()) is None:
        raise InputError(f"{out} is no finished shapes dataset; make it by `stvg-jax prepare shapes {out}`")
    counts = plan.counts()
    files = {split: out / "annos" / f"captions_{split}.json" for split in SPLITS}
    todo = [split for split in reversed(SPLITS) if not files[split].exists()]
    total = sum(counts[split] for split in todo)
    with (progress or Silent()).bar("writing captions", total, "video") as step:
        for split in todo:
            captions = _all_captions(plan, split, counts[split], processes, step)
            entries = [{"video": video_name(split, index), "caption": texts} for index, texts in enumerate(captions)]
            write_text(files[split], "[\n" + ",\n".join(map(json.dumps, entries)) + "\n]\n")
    digests = {
        split: {"captions_sha256": hashlib.sha256(file.read_bytes()).hexdigest()} for split, file in files.items()
    }
    write_text(out / MANIFEST, json.dumps(plan.describe() | {"splits": digests}, indent=1) + "\n")
    return digests


def _all_captions(plan: Plan, split: str, count: int, processes: int, step: Callable[[], None]) -> list[list[str]]:
    """Captions of the first videos of a split, in order."""
    firsts = range(0, count, _VIDEOS_OF_A_JOB)
    jobs = [(plan, split, range(first, min(first + _VIDEOS_OF_A_JOB, count))) for first in firsts]
    found: dict[int, list[list[str]]] = {}
    for first, captions in results_of(_captions, jobs, processes, lambda job: f"captions of {split}"):
        found[first] = captions
        for _ in captions:
            step()
    return [texts for first in firsts for texts in found[first]]


def _captions(job: tuple[Plan, str, range], progress: Callable[[int, int], None]) -> tuple[int, list[list[str]]]:
    """Number of the first of some videos, and their captions."""
    plan, split, indices = job
    return indices.start, [captions_of(plan, split, index) for index in indices]
