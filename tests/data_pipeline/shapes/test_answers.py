import pytest

from stvg_jax.data_pipeline.shapes.answers import answers, the_answer
from stvg_jax.data_pipeline.shapes.facts import observe
from stvg_jax.data_pipeline.shapes.sentences import parse
from tests.data_pipeline.shapes.scenes import scene, thing


def answer(sentence, *things):
    return the_answer(parse(sentence), observe(scene(*things)))


RED = thing("small red square", 40, 50, ("up", 10, 22), ("left", 27, 37), ("up", 42, 52))
BLUE = thing("big blue circle", 110, 50, ("right", 23, 31), visible=(0, 41))


@pytest.mark.parametrize(
    "sentence, expected",
    [
        ("the red square that goes left", (0, (27, 37))),
        ("the red square moves up for the first time", (0, (10, 22))),
        ("the red square moves up again", (0, (42, 52))),
        ("the red square rises after the blue circle vanishes", (0, (42, 52))),
        ("before the blue circle moves right, the red square rises", (0, (10, 22))),
        ("the small object first moves up, then moves left", (0, (10, 37))),
        ("the small object moves left and then moves up", (0, (27, 52))),
        ("the blue circle", (1, (0, 41))),
        ("the big shape moves right, then stops", (1, (23, 41))),
        # not to be answered: twice, never, the other way round, none such
        ("the red square moves up", None),
        ("the red square moves down", None),
        ("the red square moves up, then spins", None),
        ("the blue circle moves right again", None),
        ("the green square moves up", None),
        ("the red square rises after the blue circle spins", None),
        # it moves up before the circle has stopped moving and after: too close to call
        ("the red square moves left after the blue circle moves right", None),
        ("there is an object", None),
    ],
)
def test_one_scene(sentence, expected):
    assert answer(sentence, RED, BLUE) == expected


def test_while():
    spinning = thing("big blue star", 110, 50, ("spin", 40, 60))
    assert answer("the red square moves up while the blue star spins", RED, spinning) == (0, (42, 52))
    half = thing("big blue star", 110, 50, ("spin", 46, 60))
    assert answer("the red square moves up while the blue star spins", RED, half) is None


def test_what_changes_is_described_as_it_was_when_the_event_began():
    turning = thing("small red square", 40, 50, ("turn blue", 10, 20), ("up", 30, 40))
    assert answer("the red square turns blue", turning) == (0, (10, 20))
    assert answer("the blue square moves up", turning) == (0, (30, 40))
    assert answer("the red square moves up", turning) is None
    assert answer("the red square", turning) is None


def test_a_thing_that_is_red_for_a_while_makes_red_ambiguous():
    turning = thing("small green square", 40, 50, ("turn red", 10, 20), ("up", 30, 40))
    red = thing("small red square", 110, 50, ("up", 42, 55))
    facts = observe(scene(turning, red))
    assert answers(parse("the red square moves up"), facts) == [(0, (30, 40)), (1, (42, 55))]
    assert answer("the green square turns red", turning, red) == (0, (10, 20))


def test_who_is_first():
    a = thing("small red square", 30, 50, ("up", 10, 20))
    b = thing("big red square", 90, 50, ("up", 30, 40))
    assert answer("the first red square that moves up", a, b) == (0, (10, 20))
    assert answer("the red square that moves up last", a, b) == (1, (30, 40))
    assert answer("the first red square that moves up", a) is None
    close = thing("big red square", 90, 50, ("up", 12, 20))
    assert answer("the first red square that moves up", a, close) is None
    c, d = (thing("small red star", x, 50, visible=(x // 3, 60)) for x in (30, 90))
    assert answer("the red star that appears last", c, d) == (1, (30, 60))


PLACES = [
    ("to the left of", (30, 50), (130, 50)),
    ("to the right of", (130, 50), (30, 50)),
    ("above", (80, 20), (80, 80)),
    ("below", (80, 80), (80, 20)),
    ("closest to", (50, 50), (150, 90)),
]


@pytest.mark.parametrize("words, here, there", PLACES)
def test_beside(words, here, there):
    mark = thing("small blue circle", 80, 50)
    target, other = (thing("small red square", *xy, ("spin", s, s + 10)) for xy, s in ((here, 10), (there, 30)))
    assert answer(f"the red square {words} the blue circle spins", mark, target, other) == (1, (10, 20))
    same_side = thing("small red square", here[0], here[1] + 0.5, ("spin", 30, 40))
    assert answer(f"the red square {words} the blue circle spins", mark, target, same_side) is None
    assert answer(f"the red square {words} the blue circle spins", target, other) is None


def test_what_is_rather_beside_is_not_below():
    mark, aside = thing("small blue circle", 80, 50), thing("small red square", 130, 75, ("spin", 10, 20))
    assert answer("the red square below the blue circle spins", mark, aside) is None


@pytest.mark.parametrize(
    "words, here, there",
    [
        ("on the left", (30, 50), (130, 50)),
        ("on the right", (130, 50), (30, 50)),
        ("at the top", (80, 20), (80, 80)),
        ("at the bottom", (80, 80), (80, 20)),
    ],
)
def test_sides_of_the_picture(words, here, there):
    target, other = (thing("small red square", *xy, ("spin", s, s + 10)) for xy, s in ((here, 10), (there, 30)))
    assert answer(f"the red square {words} spins", target, other) == (0, (10, 20))
    middle = thing(
        "small red square", 79 if words == "on the left" else 81, 49 if "top" in words else 51, ("spin", 10, 20)
    )
    assert answer(f"the red square {words} spins", middle) is None


def test_towards_away_and_past():
    mark = thing("small blue circle", 80, 50)
    comes = thing("small red square", 135, 50, ("left", 10, 20), ("right", 30, 40))
    assert answer("the red square approaches the blue circle", mark, comes) == (1, (10, 20))
    assert answer("the red square moves away from the blue circle", mark, comes) == (1, (30, 40))
    passing = thing("small red square", 65, 80, ("right", 10, 20))
    wide = thing("small red square", 50, 80, ("right", 10, 16), ("right", 16, 24))
    assert answer("the red square passes below the blue circle", mark, passing) is None  # it is not past it
    assert answer("the red square passes below the blue circle", mark, wide) == (1, (10, 24))
    assert answer("the red square passes above the blue circle", mark, wide) is None


def test_following():
    leader = thing("small blue circle", 80, 50, ("right", 10, 20))
    follower = thing("small red square", 50, 52, ("right", 10, 20))
    assert answer("the red square follows the blue circle", leader, follower) == (1, (10, 20))
    assert answer("the blue circle follows the red square", leader, follower) is None
    late = thing("small red square", 50, 52, ("right", 30, 40))
    assert answer("the red square follows the blue circle", leader, late) is None


def test_stopping_needs_rest():
    goes_on = thing("small red square", 80, 50, ("up", 10, 20), ("left", 20, 30))
    assert answer("the red square moves up, then stops", goes_on) is None
    rests = thing("small red square", 80, 50, ("up", 10, 20), ("left", 40, 50))
    assert answer("the red square moves up, then stops", rests) == (0, (10, 40))
