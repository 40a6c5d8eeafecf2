"""The dicts of a checkpoint: where the tensors are, by path and name.

Dicts may be shared and may contain themselves, so each is visited once, under the shortest path that leads to it.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from stvg_jax.convert.readers.averages import is_average_key
from stvg_jax.convert.readers.tensors import Opaque, TensorRef
from stvg_jax.core.errors import InputError

MAX_ENTRIES = 300_000  # keys looked at; a training checkpoint of 4,000 tensors has about 50,000
MAX_DEPTH = 12
MAX_KEY = 200  # characters of a key; below longer ones nothing is looked at
_MAX_LIST = 20  # longer lists hold no state dicts
_MAX_CHARACTERS = 50_000_000  # of the names of tensors in dicts below, all nodes together
_NAME_OVERHEAD = 60  # a short string takes as much
_MAX_LOOKED_AT = 10  # entries of a list or a dict, to see what it holds
_MODULE_KEYS = ("_parameters", "_buffers", "_modules")  # of the state of a torch.nn.Module
_OPTIMISER = re.compile(r"optim(izer|iser)?s?(_.*)?|(lr_)?sched.*|(grad_)?scaler.*")


@dataclasses.dataclass
class Node:
    """A dict with tensors.

    Attributes:
        path: the keys that lead to it; () is the whole.
        own: the tensors that it holds itself, by key.
        below: the tensors of the dicts in it, by their keys joined with ".".
    """

    path: tuple[str, ...]
    own: dict[str, TensorRef] = dataclasses.field(default_factory=dict)
    below: dict[str, TensorRef] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """The path as `--node` takes it."""
        return ".".join(self.path)


def find_nodes(tree: Any) -> dict[str, Node]:
    """Every dict of a checkpoint that holds tensors, itself or in dicts below, by its path, keys joined with ".".

    Shorter paths come first, in the order of the file. Not looked at is what lies below a key that is no text or longer
    than `MAX_KEY`, deeper than `MAX_DEPTH`, or in the state of an optimizer, but for a moving average that it keeps. A
    module that was saved as an object is a dict of its tensors and modules; the dicts of a list have their numbers as
    keys.

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
                    raise InputError("the checkpoint's tensors have too many and too long names: no checkpoint")
    found: dict[str, Node] = {}
    for node in nodes.values():
        if node.own or node.below:
            found.setdefault(node.name, node)
    return found


def node_at(tree: Any, name: str) -> Node | None:
    """The node at a path, which may be another path of a dict that `find_nodes` has elsewhere."""
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
    """Whether there is a tensor that is no single number, as the average of a loss would be."""
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
            raise InputError(f"the checkpoint's dicts have more than {MAX_ENTRIES:,} entries: no checkpoint")
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
