"""An experiment's configuration as the objects that training needs: where a model family meets the trainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from flax import nnx

from stvg_jax.core.config import build
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.eval.config import EvalConfig
from stvg_jax.grounding.inference.clip import ClipConfig
from stvg_jax.grounding.step_sizes import fit_backend
from stvg_jax.grounding.task import GroundingTask
from stvg_jax.models.loading import DTYPES
from stvg_jax.models.registry import get_family, make_model, whole_config
from stvg_jax.nn.functional import PureModule
from stvg_jax.nn.remat import check_policy
from stvg_jax.train.config import TrainConfig
from stvg_jax.train.optim import OptimConfig, assign_groups, assign_uses
from stvg_jax.train.schedules import Rates, ScheduleConfig, make_rates


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A configuration, checked and built. Nothing is allocated yet.

    Attributes:
        config: as nested dictionaries.
        model: the model, its parameters declared only.
        sizes: its whole configuration, as nested dictionaries.
        module: the same as a pure function.
        task: losses on it.
        groups: parameter path -> group of learning rates.
        uses: parameter path -> use, of parameters that some batches do not use.
        grounds: whether the model gives tubes, and so can be evaluated.
        clip, learning_rates, schedule, optim, train, eval: sections of the configuration.
    """

    config: Mapping[str, Any]
    model: nnx.Module
    sizes: Mapping[str, Any]
    module: PureModule
    task: GroundingTask
    groups: dict[str, str]
    uses: dict[str, str]
    grounds: bool
    clip: ClipConfig
    learning_rates: Any
    schedule: ScheduleConfig
    optim: OptimConfig
    train: TrainConfig
    eval: EvalConfig

    @classmethod
    def build(cls, config: Mapping[str, Any]) -> Experiment:
        """Builds an experiment.

        Raises:
            InputError: for a configuration that is not one of an experiment.
        """

        def section(kind: type, name: str) -> Any:
            return build(kind, config.get(name, {}), f"config.{name}")

        for name, kind in (("name", str), ("model", Mapping)):
            if not isinstance(config.get(name), kind):
                found = f"is a {type(config[name]).__name__}" if name in config else "is missing"
                raise InputError(f"config.{name} {found}; an experiment names its model and has its settings")
        family = get_family(config["name"])
        train, clip = section(TrainConfig, "train"), section(ClipConfig, "clip")
        if train.validate_split and not family.grounds:
            raise InputError(
                f"config.train.validate_split={train.validate_split}: a {config['name']} gives no tubes that could be "
                "measured; set it to ''"
            )
        if train.dtype not in DTYPES:
            raise InputError(f"config.train.dtype is {quoted(train.dtype)}; choose one of {', '.join(DTYPES)}")
        check_policy(train.remat)
        fitted = fit_backend(whole_config(config["name"], config["model"]), clip.resolution, training=True)
        model = make_model(config["name"], fitted, DTYPES[train.dtype])
        module = PureModule(model)
        return cls(
            config=config,
            model=model,
            sizes=fitted,
            module=module,
            task=GroundingTask(module, section(family.losses, "loss")),
            groups=assign_groups(module.declarations, family.rules(model.config)),
            uses=assign_uses(module.declarations, model.config.uses),
            grounds=family.grounds,
            clip=clip,
            learning_rates=section(family.learning_rates, "learning_rates"),
            schedule=section(ScheduleConfig, "schedule"),
            optim=section(OptimConfig, "optim"),
            train=train,
            eval=section(EvalConfig, "eval"),
        )

    def rates(self, total_steps: int) -> Rates:
        """Learning rates of a training of so many steps (`stvg_jax.train.schedules`)."""
        return make_rates(dataclasses.asdict(self.learning_rates), self.schedule, total_steps)

    def total_steps(self, steps_per_epoch: int) -> int:
        """Updates of the whole training."""
        return self.train.max_steps or self.schedule.epochs * steps_per_epoch
