"""Trees as flat dictionaries: of parameters by path, "encoder/layers/0/ffn/up/kernel", of settings by dotted name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stvg_jax.core.errors import InputError, quoted


def flatten(tree: dict[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries (keys of any type) -> path to leaf, in the tree's order."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            flat.update(flatten(value, f"{path}/"))
        else:
            flat[path] = value
    return flat


def unflatten(flat: Mapping[str, Any]) -> dict[Any, Any]:
    """Inverse of `flatten`; parts of a path that are numbers become ints, which are Flax's keys of lists."""
    tree: dict[Any, Any] = {}
    for path, value in flat.items():
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("/"))
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
    return tree


def settings_by_name(value: Any, name: str = "") -> dict[str, Any]:
    """Values in nested dictionaries of settings, by dotted name; an empty dictionary is a value.

    The parts of a list that holds dictionaries are named by their numbers; any other list is a value.
    """
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        value = dict(enumerate(value))
    if not isinstance(value, dict) or not value:
        return {name: value}
    parts = [settings_by_name(part, f"{name}.{key}" if name else key) for key, part in value.items()]
    return {key: leaf for part in parts for key, leaf in part.items()}


def differing_settings(before: Any, now: Any, defaults: Any = None) -> dict[str, list[Any]]:
    """Settings that differ between nested dictionaries of JSON values: dotted name -> [before, now].

    Args:
        before, now: the settings; None stands for one that is missing.
        defaults: nested likewise. A setting that `before` lacks, because its version did not have it yet, counts as
            having its default.
    """
    earlier, later = settings_by_name(before), settings_by_name(now)
    known = settings_by_name(json.loads(json.dumps(defaults))) if defaults else {}
    earlier = {name: known[name] for name in later.keys() & known.keys() if name not in earlier} | earlier
    names = sorted(earlier.keys() | later.keys())
    return {name: [earlier.get(name), later.get(name)] for name in names if earlier.get(name) != later.get(name)}


def check_same_parameters(found: Mapping[str, Any], expected: Mapping[str, Any], where: str) -> None:
    """Compares the paths and shapes of two flat trees.

    Args:
        found: path -> anything with a `.shape`.
        expected: the same for the parameters of the model.
        where: name of the source of `found` for the message.

    Raises:
        InputError: they differ; a line each for missing (-), extra (+) and wrongly shaped (!) parameters.
    """
    # Either side may come from a file.
    lines = [f"- missing   {_shown(p)} {tuple(expected[p].shape)}" for p in expected if p not in found]
    lines += [f"+ unexpected {_shown(p)} {tuple(found[p].shape)}" for p in found if p not in expected]
    lines += [
        f"! {p} has shape {tuple(found[p].shape)}, the model needs {tuple(expected[p].shape)}"
        for p in expected
        if p in found and tuple(found[p].shape) != tuple(expected[p].shape)
    ]
    if lines:
        raise InputError(f"{where} does not fit the model, {len(lines)} parameters differ:\n" + "\n".join(lines))


def _shown(path: str) -> str:
    return path if path.isprintable() and len(path) <= 200 else quoted(path, 200)
