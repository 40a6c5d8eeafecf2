"""Exchange of "left" and "right" in a sentence, for a mirrored picture.

Whole words are exchanged, "left", "leftmost", "left-hand", "leftwards", "upper-left" and so on, but not if they do not
mean a side: "the man left the room", "what is left", "leftovers", "right away", "right behind him", "all right". The
meaning of a single "left" or "right" is decided from the words beside it by the rules below. They were written for
sentences about actions in a video and checked on all sentences of VidSTG's test split, where all 186 mean a side.
Without other evidence "left" counts as the verb and "right" as the side.
"""

from __future__ import annotations

import re

from stvg_jax.data_pipeline.language.lexicon import word_set

_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|[.,;:!?()]")
_SIDED = re.compile(r"^(left|right)(?=(?:most|hand|handed|ward|wards|side|sided)?$)", re.IGNORECASE)
_ANY = re.compile("left|right", re.IGNORECASE)
_OPPOSITE = {"left": "right", "right": "left"}


_POSSESSIVES = word_set("his her its their my your our one's")
_OBJECTS = word_set("the a an this that these those him them it me us you") | _POSSESSIVES
# Words before a side, whatever follows.
_LEADS_SIDE = _POSSESSIVES | word_set(
    "the a to on at in onto into toward towards by facing far further farther upper lower slightly extreme extremely "
    "very hard sharp sharply leftmost rightmost second third fourth fifth stage screen camera"
)
# Words before a side, unless those that follow make "left" a verb: "the man in front left the room".
_LEADS_SIDE_WEAKLY = word_set("from top bottom front back rear")
_TURNS = word_set("turn veer swerve bend bent lean leant tilt rotate spin spun pan steer swing swung")
_MOVES = word_set(
    "look face point move walk run go step head glance gaze stare shift slide drive ride fly wave kick throw pull push "
    "roll jump dance swim sway stretch stand sit lie stay crawl hop skate ski march travel pass "
    "ran went threw slid drove rode flew swam stood sat lay"
)
# Things with a left and a right, and words that follow a side.
_SIDED_THINGS = word_set(
    "of side hand hands arm arms leg legs foot feet eye ear cheek shoulder knee elbow wrist palm fist finger fingers "
    "thumb ankle hip thigh heel toe toes corner edge half part end lane wall paw wing wheel front rear back shoe boot "
    "glove sleeve pocket breast chest ribs temple nostril eyebrow third seat most"
)
_DIRECTIONS = word_set("left right forward forwards backward backwards straight")
_JOINING = word_set("and or nor then to")
# Words after "left" in the sense of "remaining".
_REMAINING = word_set("alone behind over")
# Words after "right" in the sense of "just" or "directly".
_RIGHT_HERE = word_set("away now then there here")
_RIGHT_NEAR = word_set(
    "after before as when behind beside besides next near under underneath beneath below above over in into inside "
    "outside at by on onto through across along alongside around between against off out up down back past until where "
    "opposite"
)
# Words after "right" in the sense of "correct" or "of 90 degrees".
_RIGHT_THINGS = word_set("angle angles time moment answer reason")
# Words whose "'s" is short for "is" or "has".
_SHORTENED = word_set("he she it who what that there where")
_NOT_SIDED = word_set("left-over left-overs all-right right-angle right-angled")


def swap_directions(text: str) -> str:
    """The text for the mirrored picture; case and all other words stay the same."""
    if not _ANY.search(text):
        return text
    tokens = list(_TOKEN.finditer(text))
    words = [token[0].lower().replace("’", "'") for token in tokens]
    pieces, end = [], 0
    for position, token in enumerate(tokens):
        pieces += [text[end : token.start()], _swap(token[0]) if _means_side(words, position) else token[0]]
        end = token.end()
    return "".join([*pieces, text[end:]])


def _swap(word: str) -> str:
    """The opposite of a word or of the parts of a compound with hyphens."""
    return "-".join(
        _SIDED.sub(lambda match: _in_case_of(match[0], _OPPOSITE[match[0].lower()]), p) for p in word.split("-")
    )


def _in_case_of(model: str, word: str) -> str:
    if model.isupper():
        return word.upper()
    return word.capitalize() if model[0].isupper() else word


def _means_side(words: list[str], position: int) -> bool:
    word = words[position]
    if word in _NOT_SIDED:
        return False
    if word not in _OPPOSITE:
        return True
    # With empty words around the sentence the rules need no special cases for its ends.
    before, after = [*words[:position][::-1], "", "", ""][:3], [*words[position + 1 :], "", "", ""][:3]
    return _left_means_side(before, after) if word == "left" else _right_means_side(before, after)


def _left_means_side(before: list[str], after: list[str]) -> bool:
    """True if "left" means a side, given the three words before it, nearest first, and the three after it.

    Words beyond the sentence are empty.
    """
    if before[0] in _LEADS_SIDE or _is_form_of(before[0], _TURNS) or _is_noun_possessive(before[0]):
        return True
    if after[0] in _OBJECTS:
        return False
    if (
        _beside_another_direction(before, after)
        or after[0] in _SIDED_THINGS
        or before[0] in _LEADS_SIDE_WEAKLY
        or _is_form_of(before[0], _MOVES)
    ):
        return True
    return not before[0] and after[0] not in _REMAINING


def _right_means_side(before: list[str], after: list[str]) -> bool:
    """True if "right" means a side; see `_left_means_side`."""
    if before[0] == "all" or after[0] in _RIGHT_THINGS:
        return False
    if _beside_another_direction(before, after):
        return True
    if before[0] in _LEADS_SIDE or _is_noun_possessive(before[0]):
        return True
    if after[0] in _RIGHT_HERE or after[:2] == ["in", "front"]:
        return False
    return after[0] not in _RIGHT_NEAR or _is_form_of(before[0], _TURNS)


def _beside_another_direction(before: list[str], after: list[str]) -> bool:
    """True beside another direction: "left and right", "forward, then left", "from left to right"."""
    before, after = ([word for word in side if word != ","] for side in (before, after))
    return (before[0] in _JOINING and before[1] in _DIRECTIONS) or (after[0] in _JOINING and after[1] in _DIRECTIONS)


def _is_noun_possessive(word: str) -> bool:
    """True for "man's", not for "he's"."""
    return word.endswith(("'s", "s'")) and word[:-2] not in _SHORTENED


def _is_form_of(word: str, verbs: frozenset[str]) -> bool:
    """True if a word is one of these verbs, with any regular ending."""
    stems = {word}
    for ending in ("s", "es", "ed", "d", "ing"):
        if word.endswith(ending):
            stem = word.removesuffix(ending)
            stems |= {stem, stem + "e"} | ({stem[:-1]} if stem[-2:-1] == stem[-1:] else set())
    return bool(stems & verbs)
