"""Samples with other subjects than the annotated ones."""

import dataclasses

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.annotations.subjects import SUBJECT_RULES, with_subjects
from tests.grounding.evaluation.cases import make_sample


def samples(*subjects: str, category: str = "person"):
    return [make_sample(str(i), subject=subject, category=category) for i, subject in enumerate(subjects)]


def subjects(rule: str, *groups) -> list[str]:
    return [sample.subject for sample in with_subjects([sample for group in groups for sample in group], rule)]


def test_nothing_else_changes():
    before = samples("the man", "the woman in red")
    for rule in SUBJECT_RULES:
        for old, new in zip(before, with_subjects(before, rule), strict=True):
            assert dataclasses.replace(new, subject=old.subject).__dict__ == old.__dict__


def test_rules_without_a_choice():
    asked = [
        make_sample("0", sentence="In the hall, The Man in black sits down.", subject="man"),
        make_sample("1", sentence="who holds the cup", subject="a child"),
    ]
    assert subjects("annotated", asked) == ["man", "a child"]
    assert subjects("found", asked) == ["the man in black", "who"]
    assert subjects("none", asked) == ["", ""]


def test_a_wrong_subject_is_of_another_category_without_a_common_word():
    people, dogs = samples("the brown man", "a boy"), samples("a brown dog", "dogs", "the white dog", category="dog")
    for subject in subjects("wrong", people):
        assert subject in ("the brown man", "a boy")
    first, second, *others = subjects("wrong", people, dogs)
    assert first in ("dogs", "the white dog") and second in ("a brown dog", "dogs", "the white dog")
    assert others[0] == "a boy" and set(others[1:]) <= {"the brown man", "a boy"}


def test_of_one_category_it_is_of_the_other_sex():
    people = samples("the man", "a woman in the man's coat", "the tall boy", "the child", "the person")
    man, woman, boy, child, person = subjects("wrong", people)
    assert man == boy == "a woman in the man's coat"
    assert woman in ("the man", "the tall boy")
    assert child != "the child" and person != "the person"


def test_question_words_and_pronouns_are_right_for_anything():
    asked = samples("who", "the man", "what", "he", "the one")
    assert subjects("wrong", asked[:2], samples("the dog", category="dog")) == ["the dog", "the dog", "the man"]
    with pytest.raises(InputError, match="sample '1' has the subject 'the man', and no other sample of the split"):
        with_subjects(asked[1:], "wrong")


def test_the_choice_depends_on_the_sample():
    animals = ("a cat", "a horse", "a cow", "a bird", "a sheep")
    people = [make_sample(str(i), subject="the man") for i in range(40)]
    chosen = subjects("wrong", people, samples(*animals, category="animal"))[:40]
    assert set(chosen) == set(animals)
    assert subjects("wrong", people[::-1], samples(*animals, category="animal"))[:40] == chosen[::-1]


def test_an_unknown_rule():
    with pytest.raises(InputError, match="unknown subject rule 'mine'; choose one of annotated, found, wrong, none"):
        with_subjects(samples("the man"), "mine")
