import hashlib

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.shapes import Settings, make_example
from stvg_jax.data_pipeline.shapes.answers import the_answer
from stvg_jax.data_pipeline.shapes.draws import Draws
from stvg_jax.data_pipeline.shapes.facts import observe
from stvg_jax.data_pipeline.shapes.plots import PLOTS, SHARES
from stvg_jax.data_pipeline.shapes.scene import track
from stvg_jax.data_pipeline.shapes.sentences import parse
from stvg_jax.data_pipeline.shapes.vocabulary import APPEARANCE_LABELS, MOTION_LABELS, Noun

FROZEN_DRAWS = [0.976082, 173, "c"]
FROZEN_UNIFORMS = [0.915374, 0.889166]
FROZEN = ("ad08bbb94d8ad3aa", "e97b2f38e199c671", "527c1376f0d6a496")

SMALL = Settings(height=64, frames=40, fps=8)


@pytest.fixture(scope="module", params=PLOTS)
def examples(request):
    settings = [Settings(), SMALL, Settings(), Settings(height=80, frames=96)]
    return [make_example(3, s, split="check", index=i, kind=request.param) for i, s in enumerate(settings)]


def test_random_numbers_are_frozen():
    draws = Draws("frozen", 1)
    values = [round(draws.uniform(0, 1), 6), draws.integer(1, 1000), draws.choice("abcdef")]
    assert values == FROZEN_DRAWS
    np.testing.assert_allclose(draws.uniforms(2), FROZEN_UNIFORMS, atol=1e-6)


def test_the_dataset_is_frozen():
    """A change of these numbers is another dataset: it takes a new `vocabulary.VERSION`."""
    made = [make_example(0, split=split, index=i) for split in ("train", "test") for i in range(5)]
    scenes = hashlib.sha256("".join(e.scene.digest() for e in made).encode()).hexdigest()
    frames = hashlib.sha256(b"".join(e.frames().tobytes() for e in made[:4])).hexdigest()
    sentences = hashlib.sha256("".join(e.groundings[0].sentence for e in made).encode()).hexdigest()
    assert (scenes[:16], frames[:16], sentences[:16]) == FROZEN


def test_the_same_arguments_give_the_same_and_others_another():
    def digest(*args, **options):
        return make_example(*args, **options).scene.digest()

    assert digest(1, split="train", index=2) == digest(1, split="train", index=2)
    others = [digest(1, split="train", index=i) for i in range(3)]
    others += [digest(1, split="test", index=0), digest(2, split="train", index=0), digest(1), digest(12)]
    assert len(set(others)) == len(others)


def test_the_sentence_has_one_answer(examples):
    """As the checker finds it that sees positions and colours and no plans."""
    for example in examples:
        grounding, facts = example.groundings[0], observe(example.scene)
        interval = (grounding.start_frame, grounding.end_frame)
        assert the_answer(parse(grounding.sentence), facts) == (grounding.thing, interval)
        assert 0 <= interval[0] < interval[1] <= example.scene.stage.frame_count
        boxes = facts.things[grounding.thing].boxes_xyxy[slice(*interval)]
        np.testing.assert_allclose(grounding.boxes_xyxy, boxes, atol=0.0051)
        assert grounding.sentence == grounding.sentence.lower() and grounding.subject in grounding.sentence


def test_what_is_seen_is_what_was_planned(examples):
    for example in examples:
        for thing, seen in zip(example.scene.things, observe(example.scene).things, strict=True):
            assert [(e.verb, e.start, e.end) for e in seen.episodes] == [
                (a.verb, a.start, a.end) for a in thing.actions
            ]
            assert seen.visible == thing.visible


def test_things_stay_in_the_picture_and_apart(examples):
    for example in examples:
        stage = example.scene.stage
        tracks = [track(thing, stage.frame_count) for thing in example.scene.things]
        assert 3 <= len(tracks) <= 5
        for i, a in enumerate(tracks):
            boxes = a.boxes_xyxy()[a.visible]
            assert boxes.min() > 0 and (boxes[:, 2:] < (stage.width, stage.height)).all()
            for b in tracks[:i]:
                both = a.visible & b.visible
                distance = np.linalg.norm(a.xy - b.xy, axis=1)[both]
                assert (distance > (a.reach() + b.reach())[both]).all()


@pytest.mark.parametrize("examples", [kind for kind, share in SHARES.items() if share], indirect=True)
def test_a_single_attribute_never_suffices(examples):
    """Every attribute that is said of the target is denied by something that is otherwise like it, or the sentence says
    more than attributes."""
    for example in examples:
        grounding = example.groundings[0]
        noun = parse(grounding.sentence).noun
        looks = [thing.look for thing in example.scene.things]
        said = {name: value for name in ("size", "colour", "shape") if (value := getattr(noun, name))}
        alike = [all(getattr(look, k) == v for k, v in said.items()) for look in looks]
        assert alike[grounding.thing]
        if grounding.kind == "appearance":
            for name in said:
                rest = {k: v for k, v in said.items() if k != name}
                assert sum(all(getattr(look, k) == v for k, v in rest.items()) for look in looks) > 1
        elif not grounding.kind.startswith(("time/after", "time/before", "time/while")):
            assert sum(alike) > 1  # the words for its look fit something else too


def test_verbs_alone_tell_the_target():
    """Something else is busy while the target is, with something else, and looks are not told."""
    for index in range(20):
        example = make_example(0, split="check", index=index, kind="verbs")
        grounding = example.groundings[0]
        query = parse(grounding.sentence)
        rest = [thing for i, thing in enumerate(example.scene.things) if i != grounding.thing]
        actions = [action for thing in rest for action in thing.actions]
        assert query.noun == Noun() and all(action.verb != query.event.verb for action in actions)
        assert (grounding.start_frame, grounding.end_frame) in [(action.start, action.end) for action in actions]


def test_labels_say_what_the_sentence_says(examples):
    for example in examples:
        grounding = example.groundings[0]
        query = parse(grounding.sentence)
        said = {APPEARANCE_LABELS[i] for i in grounding.appearance_labels}
        assert said == {query.noun.size, query.noun.colour, query.noun.shape} - {None}
        done = {MOTION_LABELS[i] for i in grounding.motion_labels}
        assert bool(done) == (query.event.verb != "exist")
        assert ("stop" in done) == (query.event.then == "stop")


def test_more_sentences_about_a_scene():
    examples = [make_example(7, index=i, sentences=3) for i in range(8)]
    alone = [make_example(7, index=i) for i in range(8)]
    assert sum(len(e.groundings) for e in examples) > 16
    for example, single in zip(examples, alone, strict=True):
        assert example.scene.digest() == single.scene.digest()
        assert example.groundings[0].sentence == single.groundings[0].sentence
        facts = observe(example.scene)
        answers = [(g.thing, (g.start_frame, g.end_frame)) for g in example.groundings]
        assert [the_answer(parse(g.sentence), facts) for g in example.groundings] == answers
        assert len(set(answers)) == len(answers)


@pytest.mark.parametrize("settings", [{"height": 95}, {"height": 40}, {"frames": 20}, {"fps": 0}])
def test_settings_that_cannot_be(settings):
    with pytest.raises(InputError, match="must be"):
        Settings(**settings)


def test_an_unknown_kind():
    with pytest.raises(InputError, match="unknown kind of sentence 'dance'; choose one of appearance, motion"):
        make_example(0, kind="dance")
