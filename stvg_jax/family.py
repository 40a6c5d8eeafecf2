"""The contract between a family of models and the code that trains, evaluates, converts and describes models.

A family is a module that exports `FAMILY`, and a line in `stvg_jax.core.registry`. The rest of the library uses this
record and knows no family by name. Functions of a family that need more than the model (data, evaluation) import it
when they are called, so that loading a model stays quick.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import jax
import numpy as np
from flax import nnx

from stvg_jax.nn.declare import PureModule

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.loading.needs import NeededFrames
    from stvg_jax.eval.config import EvalConfig
    from stvg_jax.models.loading import LoadedModel
    from stvg_jax.runtime.memory import Rows

# (regular expression over a whole parameter path, name of a group or a use); the first that matches decides.
Rules = tuple[tuple[str, str], ...]
Batch = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class TextSize:
    """Sizes of a model's text input.

    Attributes:
        vocab_size: rows of the token table.
        max_tokens: tokens of the longest text, including start and end tokens.
        tokenizer: kind of tokenizer that a released model was trained with, "roberta" or "bert".
    """

    vocab_size: int
    max_tokens: int
    tokenizer: str = "roberta"


class Loader(Protocol):
    """Batches of one split: a function of seed and step, the same for any number of hosts.

    Attributes:
        steps_per_epoch: batches in an epoch, or in an evaluation.
        sent: names of the arrays of a batch that are sent to the devices.
    """

    steps_per_epoch: int
    sent: tuple[str, ...]

    @property
    def largest_clip(self) -> tuple[int, int, int]:
        """Upper bounds of the sizes of a row of a batch: (frames, height, width)."""
        ...

    def batches(self, first_step: int = 0, end: int | None = None) -> Iterator[Batch]:
        """This host's rows of the batches from `first_step` to before `end`. Every batch has `sample`, int32 [b]:
        the index of a row's sample, negative for a row that fills up the batch."""
        ...


class Inputs(Protocol):
    """One split of a dataset.

    Attributes:
        samples: the samples, each with an `id`.
        sentences: sentences by people, for a warning about languages other than English.
        identity: JSON values that identify this data when an evaluation is continued.
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
            training: whether to shuffle and augment samples and to add targets.
            batch_size: samples in a batch of all hosts.
            hosts: (index of this host, number of hosts).
            seed: seed of all draws.
            only: indices of the samples to evaluate; None for all.
        """
        ...

    def texts(self, config: Any, clip: Any) -> list[str]:
        """Texts that a model reads in training, from which a tokenizer is made."""
        ...


class Record(Protocol):
    """Answer to one sample, stored as a line of JSON."""

    @property
    def id(self) -> str: ...

    def to_line(self) -> str: ...


@dataclasses.dataclass(frozen=True)
class Report:
    """Result of an evaluation.

    Attributes:
        measures: name -> value, such as "declarative/m_vIoU".
        overall: measure that decides the best checkpoint; higher is better.
        text: tables for the terminal.
    """

    measures: Mapping[str, float]
    overall: float
    text: str


class Change(Protocol):
    """The samples of an evaluation, asked in another way.

    Attributes:
        name: name of the folder of its results, within that of the evaluation.
        inputs: the split as it is asked; its samples have the same ids and order.
        unchanged: ids of the samples that are asked as before, whose answers are taken over.
    """

    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> Inputs: ...
    @property
    def unchanged(self) -> Collection[str]: ...

    def effect(self, report: Report, changed: Report, out: Path) -> str:
        """Table of both results and their difference, for the terminal; also written into `out`, the folder of the
        change."""
        ...


class Evaluator(Protocol):
    """Answers of a model, one record per sample, and their measures. The loop is in `stvg_jax.eval.runner`.

    Attributes:
        unit: unit of the progress bar, such as "sample".
        rows: number of rows of a batch for each sample, which follow one another.
    """

    unit: str
    rows: int

    def check(self, config: EvalConfig, model: Any) -> None:
        """Raises InputError for settings that the evaluator cannot use.

        Args:
            config: settings of the evaluation.
            model: section `model` (`Family.config`).
        """
        ...

    def change(self, inputs: Any, config: EvalConfig) -> Change | None:
        """Another way to ask the same samples, whose effect the settings ask for; None for settings that ask for none.

        Raises:
            InputError: the samples cannot be asked that way.
        """
        ...

    def outputs(self, model: nnx.Module, batch: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """Outputs [b, ...] of a device's rows of a batch; traced on each device."""
        ...

    def answers(self, batch: Batch, outputs: Mapping[str, np.ndarray], samples: Sequence[Any]) -> Sequence[Record]:
        """Records of the samples in a host's rows; rows that fill up the batch have none."""
        ...

    def from_line(self, line: bytes) -> Record:
        """The inverse of `Record.to_line`; raises ValueError for anything else."""
        ...

    def report(
        self, records: Sequence[Any], model: LoadedModel, inputs: Any, config: EvalConfig, out: Path, *, examples: int
    ) -> Report:
        """Writes the results into `out`, with pictures of `examples` samples in `out/examples`.

        Args:
            records: records of all samples, in the order of `inputs.samples`.
            model: the evaluated model.
            inputs: the evaluated split.
            config: settings of the evaluation.
            out: folder for the results.
            examples: number of samples to draw.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Further:
    """Further questions of an evaluation, which follow from the answers so far.

    Attributes:
        name: name of the folder of their answers, within that of the evaluation.
        evaluator: evaluator of the answers; its report is that of the evaluation.
        inputs: the questions, as samples.
    """

    name: str
    evaluator: Evaluator
    inputs: Any


@runtime_checkable
class StagedEvaluator(Evaluator, Protocol):
    """An evaluator that asks further: videos and texts are encoded first, for example, and pairs of them that go well
    together are then compared."""

    def keep(self, folder: Path, config: EvalConfig) -> None:
        """Called on every host before the first answer. In this folder, which all hosts share, the evaluator may keep
        what the further questions that the settings ask for need of its answers, and their records do not hold."""
        ...

    def further(self, records: Sequence[Any], model: LoadedModel, inputs: Any, config: EvalConfig) -> Further | None:
        """The questions that follow, the same on all hosts, which all call this; None for none, after which `report`
        is called.

        Args:
            records, model, inputs, config: as for `report`.
        """
        ...


@dataclasses.dataclass(frozen=True)
class Family:
    """A family of models with one architecture.

    Attributes:
        config: dataclass of section `model`.
        clip: dataclass of section `clip`, the settings of the model's clips.
        released_clip: name of a dataset's rules (`Dataset.rules`), or None for the usual ones -> settings of the clips
            of the models that were released for it; raises ValueError if there are none.
        needed_frames: settings of clips -> frames that such a model needs of a store; None for a model that reads none.
        model: (config, dtype=...) -> module with declared parameters.
        losses: dataclass of section `loss`.
        learning_rates: dataclass of section `learning_rates`, a float for each group.
        groups: config -> rules that assign parameters to groups of learning rates; the group "frozen" is not trained.
        uses: config -> rules for parameters that some batches do not use (`stvg_jax.train.optim`).
        task: (pure module, losses) -> task of the training (`stvg_jax.train.task.Task`).
        text: config -> sizes of the text input.
        fit: (config, clip, training=...) -> config with step sizes for this machine, where none are set.
        least_bytes: (config, rows) -> lower bound of the memory of a device.
        batch: (experiment's configuration, config, clip, rows=..., frames=..., width=..., tokens=...) -> shapes of a
            training batch; None for frames or width stands for the usual number.
        inputs: (experiment's configuration, split) -> data.
        evaluator: settings of clips -> evaluator; None for a model that only serves as a start for others.
        protocol: split of a question about a clip into rows of a batch, and merge of their answers; used only by the
            family itself.
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
    released_clip: Callable[[str | None], Any] | None = None
    needed_frames: Callable[[Any], NeededFrames] | None = None
    uses: Callable[[Any], Rules] = lambda config: ()
    evaluator: Callable[[Any], Evaluator] | None = None
    protocol: Any = None
    formats: tuple[str, ...] = ()

    def declarations(self, config: Any) -> dict[str, Any]:
        """Declarations of a model's parameters, path -> `stvg_jax.nn.declare.Declared`."""
        return PureModule(self.model(config, dtype=np.float32)).declarations
