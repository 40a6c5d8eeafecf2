"""Words that are swapped in the sentence of a mirrored picture, and words that stay."""

import pytest

from stvg_jax.data_pipeline.language.directions import swap_directions

SIDES = [
    ("the adult on the left ?", "the adult on the right ?"),
    ("A man walks from left to right.", "A man walks from right to left."),
    ("The woman on the right watches the dog", "The woman on the left watches the dog"),
    ("the man on the right behind the car", "the man on the left behind the car"),
    ("the child on the right in the room", "the child on the left in the room"),
    ("the man on the left the woman hugs", "the man on the right the woman hugs"),
    ("the leftmost man and the rightmost one", "the rightmost man and the leftmost one"),
    ("the left-most dog", "the right-most dog"),
    ("in the upper-left corner", "in the upper-right corner"),
    ("in the top right corner", "in the top left corner"),
    ("raises his left hand", "raises his right hand"),
    ("raises his left and right hands", "raises his right and left hands"),
    ("a left-handed man, on the right-hand side", "a right-handed man, on the left-hand side"),
    ("the boy's left arm", "the boy's right arm"),
    ("turns left and leaves", "turns right and leaves"),
    ("turned right into the street", "turned left into the street"),
    ("walks right, then left.", "walks left, then right."),
    ("the dog ran left", "the dog ran right"),
    ("looks left and right", "looks right and left"),
    ("moves slightly left", "moves slightly right"),
    ("is left of the dog", "is right of the dog"),
    ("the second left", "the second right"),
    ("the car on the far left", "the car on the far right"),
    ("left person in blue", "right person in blue"),
    ("LEFT side, Right side", "RIGHT side, Left side"),
    ("running leftwards", "running rightwards"),
    ("the right man right next to the left dog", "the left man right next to the right dog"),
]
NO_SIDES = [
    "The man left the room.",
    "the woman who left",
    "he's left the house",
    "the man in front left the table",
    "He stands up and left.",
    "the man left and closed the door",
    "walks forward, then left the room",
    "she left him alone",
    "the bag that was left behind",
    "quickly left with the dog",
    "what is left on the table",
    "eats the leftovers",
    "walks right up to the man",
    "stands right behind him",
    "sits right in front of the screen",
    "right away he runs",
    "is all right",
    "bends at a right angle",
    "a bright copyright sign, upright",
    "",
]


@pytest.mark.parametrize(("sentence", "mirrored"), SIDES)
def test_sides_are_swapped_and_swapped_back(sentence, mirrored):
    assert swap_directions(sentence) == mirrored
    assert swap_directions(mirrored) == sentence


@pytest.mark.parametrize("sentence", NO_SIDES)
def test_other_meanings_stay(sentence):
    assert swap_directions(sentence) == sentence
