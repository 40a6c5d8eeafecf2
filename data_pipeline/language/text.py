"""The text that a model reads: sentence, and subject before it for some models, cleaned as its training data was."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from stvg_jax.core.characters import has_surrogate
from stvg_jax.core.errors import InputError, quoted

_RUN, _LETTER = re.compile(r"\w+"), re.compile("[A-Za-z]")
# Before normalisation, which makes a space and an accent of some of them.
_APOSTROPHES = str.maketrans(dict.fromkeys("\u02bc\u2018\u201b\u2032\u00b4`", "'"))
_HYPHEN = re.compile("[\u2010\u2011\u2212]|(?<=\\w)[\u2012\u2013](?=\\w)")
_SPACES, _INVISIBLE = ("Zs", "Zl", "Zp"), "Cf"


def plain(sentence: str) -> str:
    """A sentence in the characters of a keyboard, as far as they mean the same.

    Hyphens of every kind become "-", dashes within a word too; spaces of every width become " "; what has no width,
    such as a soft hyphen, goes; wide and joined letters become plain ones, and an accent joins its letter (NFKC). The
    apostrophe of printed text, U+2019, stays.
    """
    if sentence.isascii():
        return sentence
    text = unicodedata.normalize("NFKC", sentence.translate(_APOSTROPHES))
    kinds = [unicodedata.category(character) for character in text]
    text = "".join(" " if k in _SPACES else c for c, k in zip(text, kinds, strict=True) if k != _INVISIBLE)
    return _HYPHEN.sub("-", text)


def english_words(text: str) -> list[str]:
    """Runs of letters and digits with an English letter among them, as the released code takes them for words.

    One expression for both would try every place within a long run of digits against the rest of it.
    """
    return [run for run in _RUN.findall(text) if _LETTER.search(run)]


def check_text(text: str, what: str) -> None:
    """Refuses text that no tokenizer can read.

    Args:
        text: any.
        what: what it is, for the message.

    Raises:
        InputError: it holds a lone surrogate.
    """
    if has_surrogate(text):
        raise InputError(
            f"{what} {quoted(text)} holds half of a character (a lone surrogate): it was cut within one, or is not "
            "text in UTF-8; write it whole"
        )


def _words_only(sentence: str) -> str:
    """A sentence without punctuation and without words that have no English letter, as the released code cleans VidSTG
    (without its list of typing errors, which is particular to the annotations)."""
    return " ".join(english_words(sentence)).lower()


# By the names that configurations and checkpoints hold (`clip.sampling`), as `frame_rules.FRAME_RULES`.
TEXT_RULES: dict[str, Callable[[str], str]] = {"hcstvg": str.lower, "vidstg": _words_only}


def model_text(subject: str | None, sentence: str, rule: str) -> str:
    """Joins the phrase that names the target and the sentence (reference: `models/pipeline.py`).

    Args:
        subject: such as "the man"; None for a model that reads the sentence alone. It is read as it is given, as the
            released code reads that of an annotation: RoBERTa tells "The" from "the".
        sentence: as given.
        rule: how the sentence is cleaned, a key of `TEXT_RULES`.

    Raises:
        InputError: if the sentence has no word in the Latin alphabet, the subject is empty, either holds half of a
            character, or there is no such rule.
    """
    check_text(sentence, "the sentence")
    if not _LETTER.search(sentence):
        raise InputError(f"the sentence {quoted(sentence)} has no English word in it; describe what to look for")
    if subject is not None:
        check_text(subject, "the subject")
    if subject is not None and not subject.strip():
        raise InputError("the subject is empty; give the words that name the target, or leave it to be found")
    if rule not in TEXT_RULES:
        raise InputError(f"unknown text rule {quoted(rule)}; choose one of {', '.join(TEXT_RULES)}")
    sentence = TEXT_RULES[rule](sentence)
    return sentence if subject is None else f"{subject} {sentence}"
