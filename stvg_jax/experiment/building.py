"""Experiments: configurations as the objects that a training needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from stvg_jax.core.config import build
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.registry import build_config, get_family
from stvg_jax.eval.config import EvalConfig
from stvg_jax.family import Family
from stvg_jax.models.loading import DTYPES
from stvg_jax.nn.declare import PureModule
from stvg_jax.nn.remat import check_policy
from stvg_jax.train.config import TrainConfig
from stvg_jax.train.optim import OptimConfig, assign_groups, assign_uses
from stvg_jax.train.schedules import Rates, ScheduleConfig, make_rates
from stvg_jax.train.step import Task


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A configuration, checked and built. Nothing is allocated yet.

    Attributes:
        config: the configuration as nested dictionaries.
        family: family of the model.
        model: configuration of the model, with the step sizes of this machine.
        module: the model as a pure function with declared parameters.
        task: task of the training.
        groups: parameter path -> group of learning rates.
        uses: parameter path -> use, for parameters that some batches do not use.
        losses: section `loss` of the configuration.
        clip, learning_rates, schedule, optim, train, eval: the sections with these names.
    """

    config: Mapping[str, Any]
    family: Family
    model: Any
    module: PureModule
    task: Task
    groups: dict[str, str]
    uses: dict[str, str]
    clip: Any
    losses: Any
    learning_rates: Any
    schedule: ScheduleConfig
    optim: OptimConfig
    train: TrainConfig
    eval: EvalConfig

    @classmethod
    def build(cls, config: Mapping[str, Any]) -> Experiment:
        """Builds an experiment.

        Raises:
            InputError: a section or a setting is missing, unknown or not allowed.
        """

        def section(kind: type, name: str) -> Any:
            return build(kind, config.get(name, {}), f"config.{name}")

        for name, kind in (("name", str), ("model", Mapping)):
            if not isinstance(config.get(name), kind):
                found = f"is of type {type(config[name]).__name__}" if name in config else "is missing"
                raise InputError(
                    f"config.{name} {found}; config.name must be the model's name and config.model its settings"
                )
        family = get_family(config["name"])
        train, evaluation = section(TrainConfig, "train"), section(EvalConfig, "eval")
        clip = section(family.clip, "clip")
        if family.evaluator is None and train.validate_split:
            raise InputError(
                f"config.train.validate_split is {train.validate_split!r}, but {config['name']} only serves as a start "
                "for the training of other models and cannot be evaluated; set it to ''"
            )
        if train.dtype not in DTYPES:
            raise InputError(f"config.train.dtype is {quoted(train.dtype)}; choose one of {', '.join(DTYPES)}")
        check_policy(train.remat)
        model = family.fit(build_config(config["name"], config["model"]), clip, training=True)
        if family.evaluator is not None:
            family.evaluator(clip).check(evaluation, model)
        module = PureModule(family.model(model, dtype=DTYPES[train.dtype]))
        losses = section(family.losses, "loss")
        return cls(
            config=config,
            family=family,
            model=model,
            module=module,
            task=family.task(module, losses),
            groups=assign_groups(module.declarations, family.groups(model)),
            uses=assign_uses(module.declarations, family.uses(model)),
            clip=clip,
            losses=losses,
            learning_rates=section(family.learning_rates, "learning_rates"),
            schedule=section(ScheduleConfig, "schedule"),
            optim=section(OptimConfig, "optim"),
            train=train,
            eval=evaluation,
        )

    def defaults(self) -> dict[str, Any]:
        """Settings of the sections that this object holds, and of the loader, as they are where a configuration leaves
        them out."""
        from stvg_jax.data_pipeline.loading.config import LoaderSettings

        names = ("model", "clip", "learning_rates", "schedule", "optim", "train", "eval")
        sections = {name: getattr(self, name) for name in names} | {"loss": self.losses}
        found = {name: dataclasses.asdict(type(section)()) for name, section in sections.items()}
        return found | {"loader": dataclasses.asdict(LoaderSettings())}

    def rates(self, total_steps: int) -> Rates:
        """Learning rates of a training with so many steps (`stvg_jax.train.schedules`)."""
        return make_rates(dataclasses.asdict(self.learning_rates), self.schedule, total_steps)

    def total_steps(self, steps_per_epoch: int) -> int:
        """Number of updates of the whole training."""
        return self.train.max_steps or self.schedule.epochs * steps_per_epoch
