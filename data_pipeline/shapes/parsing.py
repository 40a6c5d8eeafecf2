"""English into queries: the inverse of `data_pipeline.shapes.wording`, with a grammar of its own."""

from __future__ import annotations

import re

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.shapes.queries import Event, Noun, Query, When, Where
from stvg_jax.data_pipeline.shapes.vocabulary import COLOURS, EXIST, SHAPES, STOP

_SIZE = {"small": "small", "little": "small", "big": "big", "large": "big"}
_COLOUR = "|".join(COLOURS)
_SHAPE = "|".join(SHAPES)
_NOUN = rf"(?:(?:{'|'.join(_SIZE)}) )?(?:(?:{_COLOUR}) )?(?:{_SHAPE}|object|shape)"
_PLACE = (
    rf"(?:on the (?:left|right)(?: side)?|at the (?:top|bottom)"
    rf"|(?:to the (?:left|right) of|above|below|under|closest to|nearest to) the {_NOUN})"
)
_OPENING = re.compile(
    rf"^(?:there is |find )?(?:the|an?) (?:(first|last) )?({_NOUN})(?: (?:that is )?({_PLACE}))?\b(.*)$"
)
_BESIDE = {
    "to the left of": "left of",
    "to the right of": "right of",
    "under": "below",
    "nearest to": "closest to",
}
# Pattern of a verb phrase -> deed; the first that fits the whole phrase counts.
_DEEDS = (
    (r"(?:moves|goes)(?: to the)? (left|right)", r"\1"),
    (r"(?:moves|goes) (up|down)", r"\1"),
    (r"rises", "up"),
    (r"falls", "down"),
    (r"grows|(?:gets|becomes) bigger", "grow"),
    (r"shrinks|(?:gets|becomes) smaller", "shrink"),
    (r"spins|rotates", "spin"),
    (r"blinks|flickers", "blink"),
    (r"appears|comes into view", "appear"),
    (r"vanishes|disappears", "vanish"),
    (r"stops|stands still|stays where it is", STOP),
    (rf"(?:turns|becomes|changes to) ({_COLOUR})", r"turn \1"),
)
_RELATED = (
    (r"passes (?:above|over)", "pass above"),
    (r"passes (?:below|under)", "pass below"),
    (r"moves towards|approaches|comes closer to", "approach"),
    (r"(?:moves|goes) away from", "retreat"),
    (r"follows", "follow"),
)
_ANCHOR = rf"(after|before|while|as) the ({_NOUN}) (.+)"


def parse(sentence: str) -> Query:
    """What `sentence` asks.

    Raises:
        InputError: a sentence that the dataset does not make.
    """
    main, when = sentence, None
    if match := re.fullmatch(rf"{_ANCHOR}, (the .+)", sentence) or re.fullmatch(rf"(the .+?) {_ANCHOR}", sentence):
        *parts, main = match.groups() if match[1] in ("after", "before", "while", "as") else _rotated(match.groups())
        when = When("while" if parts[0] == "as" else parts[0], _noun(parts[1]), _event(parts[2], sentence))
    match = _OPENING.match(main)
    if not match:
        raise _unreadable(sentence)
    rank, noun, place, rest = match.groups()
    rest = re.sub(r"^ (?:that |which )?", "", rest)
    if tail := re.search(r" (first|last)$", rest):
        rank, rest = tail[1], rest[: tail.start()]
    if tail := re.search(r" (?:for the (first|second) time|again)$", rest):
        when, rest = When(f"{tail[1] or 'second'} time"), rest[: tail.start()]
    if rank:
        when = When({"first": "earliest", "last": "latest"}[rank])
    event = _event(rest, sentence)
    if event.deed == "appear":
        event = Event(EXIST)
    return Query(_noun(noun), event, when, _where(place) if place else None)


def _rotated(groups):
    main, *anchor = groups
    return [*anchor, main]


def _unreadable(sentence: str) -> InputError:
    return InputError(f"{sentence!r} is not a sentence of the shapes dataset; docs/shapes.md lists their forms")


def _noun(phrase: str) -> Noun:
    words = phrase.split()
    size = next((_SIZE[w] for w in words if w in _SIZE), None)
    colour = next((w for w in words if w in COLOURS), None)
    return Noun(size, colour, words[-1] if words[-1] in SHAPES else None)


def _where(place: str) -> Where:
    if side := re.match(r"on the (?:left|right)|at the (?:top|bottom)", place):
        return Where(side[0])
    relation, phrase = re.match(rf"(.+) the ({_NOUN})$", place).groups()
    return Where(_BESIDE.get(relation, relation), _noun(phrase))


def _event(phrase: str, sentence: str) -> Event:
    if phrase in ("", "is shown", "is in the picture"):
        return Event(EXIST)
    if match := re.fullmatch(r"(?:first )?(.+?)(?:,| and) then (.+)", phrase):
        return Event(_deed(match[1], _DEEDS, sentence), then=_deed(match[2], _DEEDS, sentence))
    if match := re.fullmatch(rf"(.+) the ({_NOUN})", phrase):
        return Event(_deed(match[1], _RELATED, sentence), other=_noun(match[2]))
    return Event(_deed(phrase, _DEEDS, sentence))


def _deed(phrase: str, table: tuple[tuple[str, str], ...], sentence: str) -> str:
    for pattern, deed in table:
        if match := re.fullmatch(pattern, phrase):
            return match.expand(deed)
    raise _unreadable(sentence)
