"""Settings of a training, other than learning rates and losses."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Section `train` of an experiment.

    Attributes:
        split: split to train on.
        batch_size: samples in a step, on all devices of all hosts; the papers use 32.
        parts: number of parts in which each device computes its rows, one after another. More parts need less memory
            and give the same result.
        fsdp: devices that share one copy of the parameters, the optimiser's state and the moving average.
        dtype: dtype of the computation, "float32" or "bfloat16"; parameters stay float32.
        remat: policy for results that are computed again in the backward pass (`stvg_jax.nn.remat.POLICIES`).
        seed: seed of new parameters, order of samples, augmentation and dropout.
        initialise: checkpoints to start from: folders made by `stvg-jax convert` or by a training, or names (`stvg-jax
            checkpoints`); the last that has a parameter decides. Parameters that none of them has are drawn.
        leave_out: regular expressions over paths of parameters that are not taken from those checkpoints, such as
            "target_queries/.*words.*" for other attribute vocabularies.
        tokenizer: a folder with tokenizer.json, or a checkpoint with one; "words" for one token per word of the
            training sentences; a JSON file for one token per entry of its list `words`, if a later training will need
            more words than this one; "" for the tokenizer of the first checkpoint in `initialise` that has one.
        log_every: steps between two lines of metrics.
        save_every: steps between two checkpoints.
        keep: number of latest checkpoints that are kept, besides the best one.
        validate_every: steps between two validations; 0 for a single one at the end.
        validate_split: split to validate on; "" for no validation.
        examples: number of validation samples, always the same ones, that are drawn with their tubes.
        max_steps: length of the training in steps, for the schedules too; 0 for `config.schedule.epochs` epochs.
    """

    split: str = "train"
    batch_size: int = 32
    parts: int = 1
    fsdp: int = 1
    dtype: str = "bfloat16"
    remat: str = "layers"
    seed: int = 0
    initialise: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    tokenizer: str = ""
    log_every: int = 20
    save_every: int = 500
    keep: int = 3
    validate_every: int = 500
    validate_split: str = "test"
    examples: int = 4
    max_steps: int = 0

    def __post_init__(self) -> None:
        # A damaged checkpoint needs another to go back to.
        least = {"batch_size": 1, "parts": 1, "fsdp": 1, "log_every": 1, "save_every": 1, "keep": 2}
        for name, number in least.items():
            if getattr(self, name) < number:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {number}")
        for name in ("seed", "validate_every", "examples", "max_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
