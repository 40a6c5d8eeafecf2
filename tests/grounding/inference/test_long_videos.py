"""The built-in checkpoint finds the right scene of a minute-long video."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stvg_jax.data_pipeline.shapes import make_example
from stvg_jax.data_pipeline.shapes.answers import answers
from stvg_jax.data_pipeline.shapes.facts import observe
from stvg_jax.data_pipeline.shapes.sentences import parse
from stvg_jax.data_pipeline.shapes.video import write_video
from stvg_jax.grounding.inference import Grounder, Query, ground_each

SCENES, FRAMES, CUT = 15, 64, 21


@pytest.mark.slow
def test_the_right_scene_of_a_minute(tmp_path):
    """Sentences that mean one of 15 scenes, which begin apart from the windows. The scenes are in no split."""
    made = (make_example(0, split="check", index=index) for index in itertools.count())
    scenes = list(itertools.islice((e for e in made if e.scene.stage.width == 128), SCENES))
    facts = [observe(example.scene) for example in scenes]
    groundings = [example.groundings[0] for example in scenes]
    meant = {
        truth.sentence: number
        for number, truth in enumerate(groundings)
        if number and sum(bool(answers(parse(truth.sentence), f, lenient=True)) for f in facts) == 1
    }
    assert len(meant) >= 5
    video = tmp_path / "minute.mp4"
    write_video(video, itertools.islice((rgb for e in scenes for rgb in e.frames()), CUT, None), 16)

    queries = [Query(str(video), sentence, groundings[number].subject) for sentence, number in meant.items()]
    found = dict(ground_each(Grounder.load(), queries, window="auto", top=5))
    ranks = []
    for query, tube in found.items():
        middles = np.array([(moment.start_frame + moment.end_frame) / 2 for moment in tube.moments])
        right = (middles + CUT) // FRAMES == meant[query.sentence]
        ranks.append(int(np.argmax(right)) if right.any() else 5)
        alone = [(a.start_frame, a.end_frame) for a in tube.moments]
        assert all(a[1] <= b[0] or b[1] <= a[0] for a, b in itertools.combinations(alone, 2))
        assert [moment.score for moment in tube.moments] == sorted((m.score for m in tube.moments), reverse=True)
    assert np.mean(np.array(ranks) == 0) >= 0.4
    assert np.mean(np.array(ranks) < 5) >= 0.75
