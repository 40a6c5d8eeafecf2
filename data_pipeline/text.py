"""The text that a model reads: sentence, and subject before it for some models, cleaned as its training data was."""

from __future__ import annotations

import re

from stvg_jax.errors import InputError

_WORD = re.compile(r"\w*[A-Za-z]\w*")


def model_text(subject: str | None, sentence: str, rule: str) -> str:
    """Joins the phrase that names the target and the sentence (reference: `models/pipeline.py`).

    Args:
        subject: such as "the man"; None for a model that reads the sentence alone.
        sentence: as given.
        rule: data set whose cleaning applies. "hcstvg": lower case. "vidstg": words only, lower case (without the
            reference's list of typing errors, which is particular to its annotations). The annotated subjects are in
            lower case; one that was found at the beginning of a sentence is not.

    Raises:
        InputError: if the sentence has no word in the Latin alphabet, or the subject is empty.
    """
    if not _WORD.search(sentence):
        raise InputError(f"the sentence {sentence!r} has no English word in it; describe what to look for")
    if subject is not None and not subject.strip():
        raise InputError("the subject is empty; give the words that name the target, or leave it to be found")
    if rule == "vidstg":
        sentence = " ".join(_WORD.findall(sentence))
    return (sentence if subject is None else f"{subject} {sentence}").lower()
