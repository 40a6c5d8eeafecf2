"""The dicts of a checkpoint: where the tensors are, by path and name, and which are moving averages.

Dicts may be shared and may contain themselves, so each is visited once, under the shortest path that leads to it.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from stvg_jax.convert.readers.tensors import Opaque, TensorRef
from stvg_jax.core.errors import InputError

# As in "model_ema", "EMACallback", "swa_state_dict", "averaged_model", "shadow".
_AVERAGE = r"ema|emas|swa|polyak|avg|averaged?|shadow"
_IN_PATH = re.compile(
    rf"(?<![a-zA-Z])({_AVERAGE}|model_?ema|ema_?model)(?![a-z])"
    r"|(?<![A-Z])(EMA|SWA|Ema|Swa|Avg|Averaged?|Polyak|Shadow)(?![a-z])"
)
# Plain weights that a moving average keeps within itself: ema-pytorch's `online_model`, the copy put back after a test.
_KEPT = re.compile(r"(?:^|\.)(?:online_model|backup|collected_params)(?:\.|$)")
# Words for the averaged values, where a key has one.
_OF_WEIGHTS = re.compile(r"model|module|network|net|param|parameter|weight|buffer|state|dict|moving|list|copy")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def is_average_path(path: str) -> bool:
    """True if a path, keys joined with ".", leads to a moving average."""
    return _IN_PATH.search(path) is not None and _KEPT.search(path) is None


def is_average_key(key: str) -> bool:
    """True if a key is made of words for averages and weights only: "ema_params", not Adam's "exp_avg"."""
    words = [word.lower() for word in _WORD.findall(key)]
    averages = [re.fullmatch(_AVERAGE, word) is not None for word in words]
    return any(averages) and all(
        average or _OF_WEIGHTS.fullmatch(word.removesuffix("s")) for word, average in zip(words, averages, strict=True)
    )


MAX_ENTRIES = 300_000  # keys looked at; a training checkpoint of 4,000 tensors has about 50,000
MAX_DEPTH = 12
MAX_KEY = 200  # characters of a key; nothing below a longer one is searched
_MAX_LIST = 20  # longer lists hold no state dicts
_MAX_CHARACTERS = 50_000_000  # of the names of tensors in dicts below, all nodes together
_NAME_OVERHEAD = 60  # a short string takes as much
_MAX_LOOKED_AT = 10  # entries of a list or a dict that show what it holds
_MODULE_KEYS = ("_parameters", "_buffers", "_modules")  # of the state of a torch.nn.Module
_OPTIMISER = re.compile(r"optim(izer|iser)?s?(_.*)?|(lr_)?sched.*|(grad_)?scaler.*")


@dataclasses.dataclass
class Node:
    """A dict with tensors.

    Attributes:
        path: the keys that lead to it; () for the whole checkpoint.
        own: its own tensors, by key.
        below: the tensors of the dicts in it, by their keys joined with ".".
    """

    path: tuple[str, ...]
    own: dict[str, TensorRef] = dataclasses.field(default_factory=dict)
    below: dict[str, TensorRef] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """The path as a value of `--node`."""
        return ".".join(self.path)


def find_nodes(tree: Any) -> dict[str, Node]:
    """All dicts of a checkpoint that hold tensors, themselves or in dicts below, by path (keys joined with ".").

    Shorter paths come first, in the order of the file. Skipped are keys that are not text or longer than `MAX_KEY`,
    dicts deeper than `MAX_DEPTH`, and the state of an optimizer, except a moving average in it. A module that was saved
    as an object counts as a dict of its tensors and modules; the dicts of a list have their numbers as keys.

    Raises:
        InputError: there are more than `MAX_ENTRIES` entries, or their names are too long.
    """
    nodes: dict[tuple[str, ...], Node] = {}
    characters = 0
    for path, items in _walk(tree):
        node = nodes.setdefault(path, Node(path))
        for key, value in items:
            if isinstance(value, TensorRef) and type(key) is str:
                node.own[key] = value
                for length in range(len(path)):
                    name = ".".join((*path[length:], key))
                    nodes[path[:length]].below[name] = value
                    characters += len(name) + _NAME_OVERHEAD
                if characters > _MAX_CHARACTERS:
                    raise InputError("the checkpoint's tensors have too many and too long names; it holds no model")
    found: dict[str, Node] = {}
    for node in nodes.values():
        if node.own or node.below:
            found.setdefault(node.name, node)
    return found


def node_at(tree: Any, name: str) -> Node | None:
    """The node at a path; a dict may have other paths than the one in `find_nodes`."""
    rest, value = name, tree
    while rest:
        items = [(k, v) for k, v in _items(value) if type(k) is str and (rest == k or rest[:-1].startswith(f"{k}."))]
        if not items:
            return None
        key, value = max(items, key=lambda item: len(item[0]))
        rest = rest[len(key) + 1 :]
    found = find_nodes(value).get("")
    return found and Node((name,), found.own, found.below)


def find_unnamed(tree: Any) -> list[str]:
    """The paths of tensors without names: in a list, by number, or one for each parameter in the state of an optimizer,
    where "*" stands for the parameter."""
    return [
        ".".join((*path, key))
        for path, items in _walk(tree)
        for key, value in items
        if type(key) is str and len(key) <= MAX_KEY and _holds_unnamed(value)
    ]


def _holds_unnamed(value: Any) -> bool:
    if isinstance(value, Opaque):
        value = value.sequence or value.mapping
    if isinstance(value, (list, tuple)):
        return _any_array(value)
    items = list(itertools.islice(value.items(), _MAX_LOOKED_AT)) if isinstance(value, dict) else []
    if not all(type(key) is int or (type(key) is str and key.isdecimal()) for key, _ in items):
        return False
    # PyTorch's optimizers have a dict for each parameter.
    return _any_array(v for _, v in items) or any(isinstance(v, dict) and _any_array(v.values()) for _, v in items)


def _any_array(values: Iterable[Any]) -> bool:
    """True if there is a tensor of more than a single number, unlike the average of a loss."""
    return any(isinstance(value, TensorRef) and value.shape for value in itertools.islice(values, _MAX_LOOKED_AT))


def _walk(tree: Any) -> Iterator[tuple[tuple[str, ...], list[tuple[Any, Any]]]]:
    """(path, items) of every dict, shortest paths first, in the order of the file."""
    entries, seen = 0, {id(tree)}
    pending: collections.deque[tuple[tuple[str, ...], Any, bool]] = collections.deque([((), tree, False)])
    while pending:
        path, node, is_optimiser = pending.popleft()
        items = _items(node)
        entries += len(items)
        if entries > MAX_ENTRIES:
            raise InputError(f"the checkpoint's dicts have more than {MAX_ENTRIES:,} entries; it holds no model")
        if is_optimiser and isinstance(node, (dict, Opaque)):
            items = list(_averages(items))
        yield path, items
        for key, value in items:
            if not isinstance(value, (dict, list, tuple, Opaque)) or id(value) in seen or len(path) == MAX_DEPTH:
                continue
            if type(key) is str and len(key) <= MAX_KEY:
                seen.add(id(value))
                within = is_optimiser and not is_average_key(key)
                pending.append(((*path, key), value, within or _OPTIMISER.fullmatch(key) is not None))


def _averages(items: list[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """The entries of an optimizer's state that are moving averages, or where one may lie."""
    for key, value in items:
        if type(key) is not str:
            continue
        if is_average_key(key) or _OPTIMISER.fullmatch(key):
            yield key, value
        elif key == "state" and isinstance(value, dict):
            first = next(iter(value.values()), None)
            of_parameter = itertools.islice(first.items(), _MAX_LOOKED_AT) if isinstance(first, dict) else ()
            for name, tensor in of_parameter:
                if isinstance(tensor, TensorRef) and type(name) is str and is_average_key(name):
                    yield f"state.*.{name}", (tensor,)


def _items(node: Any) -> list[tuple[Any, Any]]:
    """The entries of a dict, the dicts of a short list, the tensors and modules of a module, or the entries and
    attributes of another object."""
    if isinstance(node, dict):
        return list(node.items())
    if isinstance(node, (list, tuple)) and len(node) <= _MAX_LIST:
        return [(str(i), value) for i, value in enumerate(node) if isinstance(value, (dict, Opaque))]
    if not isinstance(node, Opaque):
        return []
    state = node.state if type(node.state) is dict else {}
    parts = [part for key in _MODULE_KEYS if type(part := state.get(key)) is dict]
    if len(parts) == len(_MODULE_KEYS):
        return [item for part in parts for item in part.items()]
    return [*node.mapping.items(), *state.items()]
