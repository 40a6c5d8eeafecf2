"""The tokenizer of a training, from the source that `TrainConfig.tokenizer` names."""

from __future__ import annotations

import shutil
from pathlib import Path

from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.experiment.building import Experiment
from stvg_jax.experiment.exporting import sha256
from stvg_jax.family import Inputs
from stvg_jax.models.names import find_checkpoint
from stvg_jax.parallel.hosts import from_first_host
from stvg_jax.runtime.tokenizer import Tokenizer, write_word_tokenizer
from stvg_jax.train.workdir import Workdir


def prepare_tokenizer(workdir: Workdir, experiment: Experiment, inputs: Inputs) -> Tokenizer:
    """Loads the tokenizer of a run; the first host writes it for a new run. All hosts call it.

    Raises:
        InputError: as `write_tokenizer`, or the file has changed since the run began.
    """
    folder = workdir.path / checkpoint.TOKENIZER

    def write() -> None:
        if workdir.previous is None:
            # An earlier start that ended before its first checkpoint may have had another tokenizer.
            shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            write_tokenizer(folder, experiment, inputs)
        # Other ids for the same words would go unnoticed. Early versions did not note the checksum.
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
        folder: the folder, which does not exist yet.
        experiment: the experiment; `train.tokenizer` and `train.initialise` name the source.
        inputs: the training split.

    Raises:
        InputError: no source has a tokenizer, or it has more tokens than the model's token table.
    """
    source = experiment.train.tokenizer
    if source == "words" or source.endswith(".json"):
        texts = inputs.texts(experiment.model, experiment.clip) if source == "words" else read_words(Path(source))
        write_word_tokenizer(folder, texts, experiment.family.text(experiment.model).vocab_size)
        return
    if source:
        where = f"in {quoted(source)}, which config.train.tokenizer names"
        places = [Path(source), Path(source) / checkpoint.TOKENIZER]
    else:
        where = "in the checkpoints of config.train.initialise, and config.train.tokenizer is empty"
        starts = [find_checkpoint(start, grounds=False) for start in experiment.train.initialise]
        places = [start / checkpoint.TOKENIZER for start in starts]
    place = next((place for place in places if (place / "tokenizer.json").is_file()), None)
    if place is None:
        raise InputError(
            f"there is no tokenizer {where}; set config.train.tokenizer to a folder with tokenizer.json, to a "
            "checkpoint, to 'words', or to a JSON file with a list `words`"
        )
    folder.mkdir(parents=True)
    shutil.copy(place / "tokenizer.json", folder / "tokenizer.json")


def read_words(path: Path) -> list[str]:
    """Reads the list `words` of a JSON file, such as vocabulary.json of the dataset "shapes".

    Raises:
        InputError: the file is missing, or has no list of words.
    """
    from stvg_jax.core.json_files import read_json

    try:
        content = read_json(path)
    except InputError as error:
        raise InputError(f"config.train.tokenizer: {error}") from error
    words = content.get("words") if isinstance(content, dict) else None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise InputError(f'config.train.tokenizer: {path} has no list `words` of text; write {{"words": [...]}}')
    return words
