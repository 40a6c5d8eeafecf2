"""Where the tokenizer of a training comes from (`TrainConfig.tokenizer`)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from stvg_jax.experiment.building import Experiment
from stvg_jax.train.tokenizers import write_word_tokenizer

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.annotations import Sample


def write_tokenizer(folder: Path, experiment: Experiment, samples: Sequence[Sample]) -> None:
    """Makes a folder with the experiment's tokenizer.json.

    Args:
        folder: that is not there yet.
        experiment: whose `train.tokenizer` and `train.initialise` say where it comes from.
        samples: of the training split.

    Raises:
        InputError: there is none, or the model has too small a table for it.
    """
    source = experiment.train.tokenizer
    if source == "words" or source.endswith(".json"):
        texts = _training_texts(experiment, samples) if source == "words" else read_words(Path(source))
        write_word_tokenizer(folder, texts, experiment.model.config.roberta.vocab_size)
        return
    places = [Path(source)] if source else []
    places += [Path(start) / checkpoint.TOKENIZER for start in experiment.train.initialise]
    place = next((place for place in places if (place / "tokenizer.json").is_file()), None)
    if place is None:
        raise InputError(
            "there is no tokenizer: config.train.tokenizer must be a folder with tokenizer.json, 'words' or a JSON "
            "file with a list `words`, or a checkpoint in config.train.initialise must have one"
        )
    folder.mkdir(parents=True)
    shutil.copy(place / "tokenizer.json", folder / "tokenizer.json")


def read_words(path: Path) -> list[str]:
    """The list `words` of a JSON file, such as shapes' vocabulary.json.

    Raises:
        InputError: it is missing, or has no list of words.
    """
    from stvg_jax.core.json_files import read_json

    try:
        content = read_json(path)
    except InputError as error:
        raise InputError(f"config.train.tokenizer: {error}") from error
    words = content.get("words") if isinstance(content, dict) else None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise InputError(f"config.train.tokenizer: {path} has no list `words` of words")
    return words


def _training_texts(experiment: Experiment, samples: Sequence[Sample]) -> list[str]:
    """What the model reads in training, as it is and mirrored."""
    from stvg_jax.data_pipeline.loading.directions import swap_directions
    from stvg_jax.data_pipeline.text import model_text

    reads_subject, sampling = experiment.model.config.reads_subject, experiment.clip.sampling
    texts = [model_text(s.subject if reads_subject else None, s.sentence, sampling) for s in samples]
    return texts + [swap_directions(text) for text in texts]
