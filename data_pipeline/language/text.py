"""The text that a model reads: a sentence, for some models after its subject, cleaned like the training data."""

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

    Hyphens of all kinds, and dashes within a word, become "-". Spaces of any width become " ". Characters without a
    width, such as soft hyphens, are removed. Wide and joined letters become plain ones, and an accent is joined to its
    letter (NFKC). The apostrophe of printed text, U+2019, stays.
    """
    if sentence.isascii():
        return sentence
    text = unicodedata.normalize("NFKC", sentence.translate(_APOSTROPHES))
    kinds = [unicodedata.category(character) for character in text]
    text = "".join(" " if k in _SPACES else c for c, k in zip(text, kinds, strict=True) if k != _INVISIBLE)
    return _HYPHEN.sub("-", text)


def english_words(text: str) -> list[str]:
    """Runs of letters and digits with an English letter in them, which are the words of the released code.

    A single regular expression for both would take quadratic time on a long run of digits.
    """
    return [run for run in _RUN.findall(text) if _LETTER.search(run)]


def check_text(text: str, what: str) -> None:
    """Refuses text that no tokenizer can read.

    Args:
        text: any text.
        what: name of the text in the message.

    Raises:
        InputError: it holds a lone surrogate.
    """
    if has_surrogate(text):
        raise InputError(
            f"{what} {quoted(text)} holds half of a character (a lone surrogate): it was cut within one, or is not "
            "text in UTF-8; write it whole"
        )


def _words_only(sentence: str) -> str:
    """A sentence in lower case, without punctuation and words without an English letter, as in the released code.

    That code also corrects a list of typing errors in the annotations of VidSTG.
    """
    return " ".join(english_words(sentence)).lower()


# By the names in configurations and checkpoints (`clip.sampling`), like `frame_rules.FRAME_RULES`.
TEXT_RULES: dict[str, Callable[[str], str]] = {
    "hcstvg": str.lower,
    "vidstg": _words_only,
    # As annotated.
    "tubedetr_hcstvg": str,
    "tubedetr_vidstg": str,
}


def model_text(subject: str | None, sentence: str, rule: str) -> str:
    """Joins the phrase that names the target and the sentence (released code: `models/pipeline.py`).

    Args:
        subject: such as "the man"; None for a model that reads only the sentence. Its case is kept, as in the released
            code: RoBERTa distinguishes "The" from "the".
        sentence: the sentence as written.
        rule: rule that cleans the sentence, a key of `TEXT_RULES`.

    Raises:
        InputError: the sentence has no word in the Latin alphabet, the subject is empty, one of them holds half of a
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
