"""The contract between a kind of model and everything that trains, evaluates, converts and describes models.

A family is one module that exports `FAMILY` and one line in `stvg_jax.core.registry`. The rest of the library asks
the record and knows no family by name. Functions that need more than the model itself (data, evaluation) import what
they use when they are called, so that loading a model stays quick.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import jax
import numpy as np
from flax import nnx

from stvg_jax.nn.functional import PureModule

if TYPE_CHECKING:
    from stvg_jax.eval.config import EvalConfig
    from stvg_jax.models.loading import LoadedModel
    from stvg_jax.runtime.memory import Rows

# (regular expression over a whole parameter path, name of a group or a use); the first that matches decides.
Rules = tuple[tuple[str, str], ...]
Batch = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class TextSize:
    """The tokenizer that a model can work with.

    Attributes:
        vocab_size: rows of the token table.
        max_tokens: the longest text, start and end tokens included.
    """

    vocab_size: int
    max_tokens: int


class Loader(Protocol):
    """Batches of one split as a function of (seed, step), the same ones for any number of hosts.

    Attributes:
        steps_per_epoch: batches in an epoch, or in the whole evaluation.
        sent: names of the arrays of a batch that go to the devices.
    """

    steps_per_epoch: int
    sent: tuple[str, ...]

    @property
    def largest_clip(self) -> tuple[int, int, int]:
        """(frames, rows, columns) that no row of a batch exceeds."""
        ...

    def batches(self, first_step: int = 0, last_step: int | None = None) -> Iterator[Batch]:
        """This host's rows of the batches of these steps. Every batch has `sample`, int32 [b]: the index of a row's
        sample, negative for a row that fills up the batch."""
        ...


class Inputs(Protocol):
    """One split of a dataset.

    Attributes:
        samples: with an `id` each.
        sentences: of people, to warn of those in other languages than English.
        identity: JSON values that tell this data from any other, for evaluations that are continued.
    """

    @property
    def samples(self) -> Sequence[Any]: ...
    @property
    def sentences(self) -> Sequence[str]: ...
    @property
    def identity(self) -> Mapping[str, Any]: ...

    def loader(
        self,
        config: Any,
        clip: Any,
        tokenizer: Any,
        *,
        training: bool,
        batch_size: int,
        hosts: tuple[int, int],
        seed: int = 0,
        only: Sequence[int] | None = None,
    ) -> Loader:
        """Batches of the samples.

        Args:
            config, clip: sections `model` and `clip` of the experiment (`Family.config`, `Family.clip`).
            tokenizer: text to int32 token ids (`stvg_jax.runtime.tokenizer.Tokenizer`).
            training: whether to shuffle, augment and give targets.
            batch_size: samples in a batch over all hosts.
            hosts: (index of this host, their number).
            seed: that all draws depend on.
            only: indices of samples to evaluate; None for all.
        """
        ...

    def texts(self, config: Any, clip: Any) -> list[str]:
        """All texts that a model reads in training, to make a tokenizer of their words."""
        ...


class Record(Protocol):
    """The answer to one sample, kept as a line of JSON."""

    @property
    def id(self) -> str: ...

    def to_line(self) -> str: ...


@dataclasses.dataclass(frozen=True)
class Report:
    """The end of an evaluation.

    Attributes:
        measures: name -> value, such as "validation/declarative/m_vIoU" without its first part.
        overall: the measure by which the best checkpoint is chosen; higher is better.
        text: tables for a terminal.
    """

    measures: Mapping[str, float]
    overall: float
    text: str


class Evaluator(Protocol):
    """Answers of a model, one record per sample, and their measures (`stvg_jax.eval.runner` has the loop).

    Attributes:
        unit: of the progress bar, such as "sample".
        rows: of a batch for each sample.
    """

    unit: str
    rows: int

    def check(self, config: EvalConfig) -> None:
        """Raises InputError for settings that this evaluation does not know."""
        ...

    def outputs(self, model: nnx.Module, batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """Traced on each device: its rows of a batch -> arrays [b, ...]."""
        ...

    def answers(self, batch: Batch, outputs: Mapping[str, np.ndarray], samples: Sequence[Any]) -> list[Record]:
        """Records of the samples in a host's rows; filling rows give none."""
        ...

    def from_line(self, line: bytes) -> Record:
        """The inverse of `Record.to_line`; ValueError for anything else."""
        ...

    def report(
        self, records: Sequence[Any], model: LoadedModel, inputs: Any, config: EvalConfig, out: Path, *, examples: int
    ) -> Report:
        """Writes the results into `out`, with pictures of `examples` samples in `out/examples`.

        Args:
            records: of all samples, in the order of `inputs.samples`.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Family:
    """A kind of model.

    Attributes:
        config: dataclass of section `model`.
        clip: dataclass of section `clip`, the videos as the model wants them.
        model: (config, dtype=...) -> module whose parameters are declared.
        losses: dataclass of section `loss`.
        learning_rates: dataclass of section `learning_rates`, a float for each group.
        groups: config -> rules that put parameters into groups of learning rates; "frozen" is not trained.
        uses: config -> rules for parameters that some batches do not use (`stvg_jax.train.optim`).
        task: (pure module, losses) -> what is trained (`stvg_jax.train.task.Task`).
        text: config -> the tokenizer that the model can work with; None reads no text.
        fit: (config, clip, training=...) -> config with the step sizes that suit this machine, where none are set.
        least_bytes: (config, rows) -> memory that a device needs at least.
        batch: (experiment's configuration, config, clip, rows=..., frames=..., width=..., tokens=...) -> a training
            batch in shapes; None for frames or width takes the usual one.
        inputs: (experiment's configuration, split) -> data.
        evaluator: makes what evaluates; None for a model that is only a start for others.
        protocol: how a question about a clip becomes rows of a batch, and their answers one; of the family's own kind.
        formats: modules that export the `FORMAT` of a released checkpoint (`stvg_jax.convert.rules.Format`).
    """

    config: type
    clip: type
    model: Callable[..., nnx.Module]
    losses: type
    learning_rates: type
    groups: Callable[[Any], Rules]
    task: Callable[[PureModule, Any], Any]
    text: Callable[[Any], TextSize]
    fit: Callable[..., Any]
    least_bytes: Callable[[Any, Rows], int]
    batch: Callable[..., dict[str, jax.ShapeDtypeStruct]]
    inputs: Callable[[Mapping[str, Any], str], Inputs]
    uses: Callable[[Any], Rules] = lambda config: ()
    evaluator: Callable[[], Evaluator] | None = None
    protocol: Any = None
    formats: tuple[str, ...] = ()

    def declarations(self, config: Any) -> dict[str, Any]:
        """Path -> declaration (`stvg_jax.nn.declare.Declared`) of every parameter of such a model."""
        return PureModule(self.model(config, dtype=np.float32)).declarations
