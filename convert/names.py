"""Names of tensors as training tools write them and as a format knows them.

`torch.compile`, DistributedDataParallel, FSDP and others insert a part into names, at any place. A trainer that holds
the model as an attribute puts the name of the attribute before all of them. Beside the model a trainer may keep its own
tensors (a loss, metrics) and a second set of weights (student and teacher).
"""

from __future__ import annotations

import collections
import dataclasses
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from stvg_jax.convert.rules import Format
from stvg_jax.core.errors import InputError, quoted

# Inserted parts. No name of a released model has one of them.
WRAPPERS = frozenset(
    [
        "module",  # DataParallel, DistributedDataParallel, AveragedModel, DeepSpeed
        "_module",  # Opacus
        "_orig_mod",  # torch.compile
        "_fsdp_wrapped_module",
        "_fpw_module",  # FSDP of PyTorch 1.11
        "_checkpoint_wrapped_module",  # activation checkpointing
        "_forward_module",  # Lightning Fabric
        "_original_module",
    ]
)
_MAX_PREFIX_PARTS = 8
_MAX_PREFIXES = 30
# Tensors that trainers write beside a model's. A name that a format knows is never taken for one of them.
_COUNTER = re.compile(r"(?:\w+\.)?(?:n_averaged|initted|decay|num_updates|steps?|epochs?|global_step|iterations?)")
_COMPANION = re.compile(
    r"(?:(?:cpu|cuda|torch)_)?rng_states?"
    r"|(?:criterion|criteria|loss|losses|\w+_loss|loss_f(?:n|unc|unction)|\w*metrics?)\d*(?:\..*)?"
    r"|(?:train|valid|val|test)_\w*(?:metric|loss|acc|accuracy|map|iou|recall|precision)s?\d*(?:\..*)?"
)
_OF_THE_TRAINER = "of the training (a loss, a metric, a counter), not of the model"
_OTHER_WEIGHTS = "another set of weights"
_COPY = "a copy of another tensor under a name without dots"
# LitEma keeps "model_ema.layers0weight" for "layers.0.weight", mmcv's EMAHook "ema_layers_0_weight".
_DOTLESS = re.compile(r"(?:model_ema|ema_model|ema)[._]([^.]+)")


@dataclasses.dataclass(frozen=True)
class NameSet:
    """The tensors of one model among those of a dict.

    Attributes:
        format: the format whose names they have.
        prefix: common beginning of their names in the file, with its dot; "" for none.
        tensors: tensors by the name that the format knows.
        spelled: names in the file, by the name that the format knows.
        removed: number of names that had a part which a tool inserted, by that part.
        beside: reasons why tensors are left out, by the name in the file.
        unexpected: other names in the file that do not have the prefix.
        has_copies: whether some of the tensors left out are copies under names without dots.
    """

    format: Format
    prefix: str
    tensors: dict[str, Any]
    spelled: dict[str, str]
    removed: dict[str, int]
    beside: dict[str, str]
    unexpected: list[str]
    has_copies: bool

    @property
    def wrapping(self) -> dict[str, Any]:
        """Prefix and parts removed from the names, for a report."""
        return {"prefix": self.prefix, "parts": self.removed}


def bare(name: str) -> str:
    """`name` without the parts that tools insert. The last part always belongs to the tensor."""
    *parts, last = name.split(".")
    return ".".join([*(part for part in parts if part not in WRAPPERS), last])


def find_name_sets(tensors: Mapping[str, Any], formats: Sequence[Format], where: str) -> list[NameSet]:
    """The models among the tensors of a dict, each under a prefix of its own.

    Args:
        tensors: the tensors of one dict, by name.
        formats: formats to look for; the first that fits is taken.
        where: name of the dict in messages.

    Returns:
        Sets that hold at least half of the tensors together, not counting those of a trainer; otherwise none.

    Raises:
        InputError: two names are equal without the inserted parts, or there are too many sets.
    """
    names: dict[str, str] = {}
    clash = None
    for name in tensors:
        first = names.setdefault(bare(name), name)
        clash = clash or (first is not name and (first, name))
    prefixes = _prefixes(names, formats)
    if clash and prefixes:
        raise InputError(
            f"{where} holds {quoted(clash[0])} and {quoted(clash[1])}, which are two names of one tensor; choose the "
            "dict that holds the model with --node"
        )
    if len(prefixes) > _MAX_PREFIXES:
        raise InputError(f"{where} holds more than {_MAX_PREFIXES} models; choose one with --node")
    prefixes = {prefix: fmt for prefix, fmt in prefixes.items() if not _is_part(prefix, prefixes, names)}
    owners = _owners(names, prefixes)
    strangers = set(names).difference(*owners.values()) if owners else set(names)
    if sum(map(len, owners.values())) < sum(_reason(name, tensors[names[name]], ()) is None for name in strangers):
        return []
    return [_name_set(tensors, names, prefix, fmt, owners) for prefix, fmt in prefixes.items()]


def _prefixes(names: Collection[str], formats: Sequence[Format]) -> dict[str, Format]:
    """Formats by prefix ("", or ending in a dot): behind it, names match all patterns of the format's signature."""
    found: dict[str, Format] = {}
    for fmt in formats:
        prefixes = None
        for pattern in fmt.signature:
            search = re.compile(rf"((?:[^.]*\.){{0,{_MAX_PREFIX_PARTS}}}?){pattern}")
            matches = {match[1]: None for name in names if (match := search.fullmatch(name))}
            prefixes = matches if prefixes is None else {prefix: None for prefix in prefixes if prefix in matches}
            if not prefixes:
                break
        for prefix in prefixes or ():
            found.setdefault(prefix, fmt)
    return found


def _is_part(prefix: str, found: Mapping[str, Format], names: Collection[str]) -> bool:
    """True if the names with `prefix` are a part of a larger model, such as its text encoder."""
    larger = [other for other in found if other != prefix and prefix.startswith(other)]
    sample = next(name for name in names if name.startswith(prefix))
    return any(found[other].knows(sample.removeprefix(other)) for other in larger)


def _owners(names: Collection[str], prefixes: Collection[str]) -> dict[str, list[str]]:
    """The names that belong to each prefix: those for which it is the longest."""
    owners: dict[str, list[str]] = {prefix: [] for prefix in prefixes}
    longest_first = sorted(prefixes, key=len, reverse=True)
    for name in names:
        owner = next((prefix for prefix in longest_first if name.startswith(prefix)), None)
        if owner is not None:
            owners[owner].append(name)
    return owners


def _name_set(
    tensors: Mapping[str, Any], names: Mapping[str, str], prefix: str, fmt: Format, owners: Mapping[str, list[str]]
) -> NameSet:
    own = set(owners[prefix])
    others = {name for other, owned in owners.items() if other != prefix for name in owned}
    squeezed = {_squeezed(name.removeprefix(prefix)) for name in own}
    beside, unexpected, spelled = {}, [], {}
    for name, original in names.items():
        short = name.removeprefix(prefix)
        reason = _OTHER_WEIGHTS if name in others else _reason(short, tensors[original], squeezed)
        if name in own and (reason is None or fmt.knows(short)):
            spelled[short] = original
        elif reason is not None:
            beside[original] = reason
        else:
            unexpected.append(original)
    removed: collections.Counter[str] = collections.Counter()
    for name in spelled.values():
        removed.update(set(name.split(".")[:-1]) & WRAPPERS)
    return NameSet(
        format=fmt,
        prefix=prefix,
        tensors={short: tensors[name] for short, name in spelled.items()},
        spelled=spelled,
        removed=dict(sorted(removed.items())),
        beside=beside,
        unexpected=unexpected,
        has_copies=_COPY in beside.values(),
    )


def _reason(name: str, tensor: Any, squeezed: Collection[str]) -> str | None:
    """The reason to leave out a tensor of this name; None if it belongs to a model."""
    if _COUNTER.fullmatch(name) and math.prod(tensor.shape) == 1:
        return _OF_THE_TRAINER
    copied = _DOTLESS.fullmatch(name)
    if copied and _squeezed(copied[1]) in squeezed:
        return _COPY
    return _OF_THE_TRAINER if _COMPANION.fullmatch(name) else None


def _squeezed(name: str) -> str:
    return name.replace(".", "").replace("_", "")
