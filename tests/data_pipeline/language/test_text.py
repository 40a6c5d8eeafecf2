import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.language.attributes import attribute_words
from stvg_jax.data_pipeline.language.text import english_words, model_text, plain


def test_plain_characters():
    assert plain("a man \u2013 the man\u2019s dog") == "a man \u2013 the man\u2019s dog"
    assert plain("t\u2011shirt\u00a0\u200bx\u2013y \u2012 \uff21\uff0d\ufb02") == "t-shirt x-y \u2012 A-fl"
    assert plain("isn\u00b4t\u00ad\u2060\u200e") == "isn't"


def test_attribute_words_see_through_unusual_hyphens_and_spaces():
    usual = attribute_words("The man in the red T-shirt and blue jeans sits down.")
    assert attribute_words("The\u00a0man in the red T\u2011shirt and\u200b blue jeans sits\u3000down.") == usual
    assert "t-shirt" in usual[0] and "sit" in usual[1]


def test_english_words_take_linear_time():
    assert english_words("A2 42, T\u00e9-shirt \u4e00 _x 7_") == ["A2", "T\u00e9", "shirt", "_x"]
    # Of a million digits: over an hour, if every place among them were tried.
    assert english_words("4" * 1_000_000 + " b") == ["b"]


def test_the_model_s_text():
    assert model_text("The Man", "The Man sits.", "hcstvg") == "The Man the man sits."
    assert model_text(None, "The Man, 2 m tall, sits.", "vidstg") == "the man m tall sits"
    # What the releases read as it is stays as it is.
    assert model_text(None, "The man\u2019s\u00a0t\u2011shirt", "hcstvg") == "the man\u2019s\u00a0t\u2011shirt"


@pytest.mark.parametrize(
    ("subject", "sentence", "message"),
    [
        (None, "the red \ud83d square", r"the sentence 'the red \\ud83d square' holds half of a character"),
        (None, "caf\udce9 man", r"the sentence 'caf\\udce9 man' holds half"),
        ("the \ude00", "the man", r"the subject 'the \\ude00' holds half"),
        (None, "\x1b[31;1" + "7" * 100_000, r"the sentence '\\x1b\[31;17+'\.\.\. has no English word"),
        (" ", "the man", "the subject is empty"),
    ],
)  # fmt: skip
def test_text_that_cannot_be_read(subject, sentence, message):
    with pytest.raises(InputError, match=message) as caught:
        model_text(subject, sentence, "hcstvg")
    assert len(str(caught.value)) < 400


def test_an_unknown_rule_is_refused_with_those_that_are_known():
    with pytest.raises(InputError, match="unknown text rule 'ava'; choose one of hcstvg, vidstg"):
        model_text(None, "a man walks", "ava")
