import itertools

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.shapes.draws import Draws
from stvg_jax.data_pipeline.shapes.sentences import WORDS, parse, word_query
from stvg_jax.data_pipeline.shapes.vocabulary import (
    BESIDE,
    EXIST,
    MOVES,
    ORDINAL,
    RANK,
    RELATED,
    SIDES,
    STOP,
    VERBS,
    WHEN,
    Event,
    Noun,
    Query,
    When,
    Where,
)

NOUNS = [Noun("small", "red", "square"), Noun(None, "blue", "star"), Noun("big", None, "circle"), Noun("big", "white")]
OTHER = Noun(None, "green", "triangle")
EVENTS = [
    *map(Event, VERBS),
    *(Event(a, then=b) for a, b in itertools.permutations(("left", "down", "grow", "blink", "turn red"), 2)),
    *(Event(move, then=STOP) for move in MOVES),
    *(Event(verb, other=OTHER) for verb in RELATED),
]
QUERIES = [
    *(Query(noun, Event(EXIST)) for noun in (*NOUNS, Noun())),
    *(Query(noun, event) for noun in NOUNS for event in EVENTS),
    *(
        Query(noun, Event(verb), When(relation, Query(OTHER, Event(anchor))))
        for noun in NOUNS
        for verb in ("left", "spin")
        for relation in WHEN
        for anchor in ("appear", "vanish", "right", "turn white")
    ),
    *(Query(NOUNS[1], Event(verb), When(relation)) for relation in (*ORDINAL, *RANK) for verb in ("up", "blink")),
    *(Query(NOUNS[1], Event(EXIST), When(relation)) for relation in RANK),
    *(Query(noun, Event(verb), where=Where(r, OTHER)) for noun in NOUNS for r in BESIDE for verb in ("up", "shrink")),
    *(Query(noun, Event(verb), where=Where(r)) for noun in NOUNS for r in SIDES for verb in ("up", "shrink")),
]


@pytest.mark.parametrize("variant", range(8))
def test_what_is_worded_is_read_back(variant):
    words = set()
    for number, query in enumerate(QUERIES):
        sentence, subject = word_query(query, Draws("wording", variant, number))
        assert parse(sentence) == query, sentence
        assert subject in sentence and subject.split()[0] in ("the", "a", "an")
        words |= set(sentence.replace(",", "").split())
    assert words <= set(WORDS)


def test_every_word_is_used():
    sentences = (word_query(query, Draws(i, n))[0] for i in range(12) for n, query in enumerate(QUERIES))
    words = {word for sentence in sentences for word in sentence.replace(",", "").split()}
    # No sentence here names these; the anchor's "purple triangle" and its like are as good as the others.
    assert set(WORDS) - words <= {"purple", "yellow"}


@pytest.mark.parametrize(
    "sentence", ["", "the red square dances", "a man in red stands up", "the red square moves up in the evening"]
)
def test_other_sentences_are_refused(sentence):
    with pytest.raises(InputError, match="not a sentence of the shapes dataset"):
        parse(sentence)


def test_articles_agree():
    sentences = {word_query(Query(Noun(), Event(EXIST)), Draws(i))[0] for i in range(60)}
    assert "there is an object" in sentences and "there is a shape" in sentences
    assert not any("a object" in sentence or "an shape" in sentence for sentence in sentences)
