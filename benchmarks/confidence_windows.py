"""Confidence in the best moment of long videos, against how often it is right, on generated videos.

    python -m benchmarks.confidence_windows --scenes 5 15 --videos 12

A video is a sequence of shapes scenes of four seconds (`benchmarks.long_videos`). Half of the sentences about it mean
one scene, and describe nothing in the others even if read leniently; the other half describe nothing in any scene.
Printed are the mean confidence of a moment's window alone and that of the moment, which should be the share of right
moments.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.long_videos import FRAMES, Pool
from stvg_jax.data_pipeline.shapes.answers import answers
from stvg_jax.data_pipeline.shapes.sentences import parse
from stvg_jax.grounding.evaluation.metrics import measure
from stvg_jax.grounding.evaluation.types import Prediction
from stvg_jax.grounding.inference import Grounder, Tube
from stvg_jax.grounding.inference.confidence import RIGHT
from stvg_jax.grounding.inference.searching import search

_POOL = 160


def ask(
    grounder: Grounder, pool: Pool, described: np.ndarray, scenes: int, count: int, rng: np.random.Generator
) -> list[tuple[Tube, bool, bool]]:
    """Answers to `count` sentences of each kind about a new video, whether they mean a scene, and whether they are
    right; `described`, bool [pool, pool], tells which scenes (second axis) a sentence may mean."""
    chosen = rng.choice(len(described), scenes + 1, replace=False)
    # The first scene is cut, so that windows and scenes do not begin together, and none is meant by it.
    cut = int(rng.integers(8, FRAMES - 8))
    alone = described[:, chosen].sum(1)
    meant = {int(s): i * FRAMES - cut for i, s in enumerate(chosen) if i and alone[s] == 1}
    asked = [*meant][:count] + [int(s) for s in rng.permutation(len(described)) if not alone[s]][:count]
    groundings = [pool.scenes[scene].groundings[0] for scene in asked]

    questions = grounder.ask([g.sentence for g in groundings], [g.subject for g in groundings])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.mp4"
        pool.write(path, chosen.tolist(), cut)
        tubes = search(grounder, path, questions)
    found = []
    for tube, scene in zip(tubes, asked, strict=True):
        prediction = Prediction((tube.start_frame, tube.end_frame), *tube.answer_boxes())
        right = scene in meant and measure(prediction, pool.truth(scene, meant[scene])).viou > RIGHT
        found.append((tube, scene in meant, right))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, nargs="+", default=[5, 15], help="scenes in a video (%(default)s)")
    parser.add_argument("--videos", type=int, default=12, help="videos of each length (%(default)s)")
    args = parser.parse_args()
    pool, grounder = Pool(_POOL), Grounder.load()
    queries = [parse(scene.groundings[0].sentence) for scene in pool.scenes]
    described = np.array([[bool(answers(query, facts, lenient=True)) for facts in pool.facts] for query in queries])
    head = ("scenes", "sentences", "window alone", "confidence", "right", "right, of described")
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    for scenes in args.scenes:
        found = []
        for number in range(args.videos):
            rng = np.random.default_rng([scenes, number])
            found += ask(grounder, pool, described, scenes, max(2, scenes // 4), rng)
        sure = np.array([tube.confidence for tube, _, _ in found], np.float64)
        meant, right = (np.array([entry[k] for entry in found]) for k in (1, 2))
        # The correction for the number of windows is taken back.
        odds = sure / (1 - sure) * np.sqrt(scenes)
        alone = odds / (1 + odds)
        cells = (scenes, len(found), *(f"{value:.2f}" for value in map(np.mean, (alone, sure, right, right[meant]))))
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
