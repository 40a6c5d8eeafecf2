"""Where the tokenizer of a training comes from (`TrainConfig.tokenizer`)."""

from __future__ import annotations

import shutil
from pathlib import Path

from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from stvg_jax.experiment.building import Experiment
from stvg_jax.experiment.exporting import sha256
from stvg_jax.family import Inputs
from stvg_jax.runtime.tokenizer import Tokenizer
from stvg_jax.train.tokenizers import write_word_tokenizer
from stvg_jax.train.workdir import Workdir, from_first_host


def prepare_tokenizer(workdir: Workdir, experiment: Experiment, inputs: Inputs) -> Tokenizer:
    """The tokenizer of a run, written by the first host where the run has none yet. All hosts call it.

    Raises:
        InputError: as `write_tokenizer`, or the run's is not the one that it began with.
    """
    folder = workdir.path / checkpoint.TOKENIZER

    def write() -> None:
        if workdir.previous is None:
            # Of a start that came to nothing, perhaps with another setting.
            shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            write_tokenizer(folder, experiment, inputs)
        # Other numbers for the same words would train on without a sign. Early versions noted no checksum.
        noted = workdir.starts()[-1].get("tokenizer") if workdir.previous is not None else None
        if noted is not None and noted != sha256(folder / "tokenizer.json"):
            raise InputError(
                f"{folder / 'tokenizer.json'} is not the one that the run began with, its checksum in starts.jsonl "
                f"does not fit; restore it, from {workdir.path / 'last'} for example"
            )

    from_first_host(write)
    return Tokenizer(folder, experiment.family.text(experiment.model).max_tokens)


def write_tokenizer(folder: Path, experiment: Experiment, inputs: Inputs) -> None:
    """Makes a folder with the experiment's tokenizer.json.

    Args:
        folder: that is not there yet.
        experiment: whose `train.tokenizer` and `train.initialise` say where it comes from.
        inputs: the training split.

    Raises:
        InputError: there is none, or the model has too small a table for it.
    """
    source = experiment.train.tokenizer
    if source == "words" or source.endswith(".json"):
        texts = inputs.texts(experiment.model, experiment.clip) if source == "words" else read_words(Path(source))
        write_word_tokenizer(folder, texts, experiment.family.text(experiment.model).vocab_size)
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
