"""Choosing the weights of a checkpoint that holds several: plain ones, their moving average, another model's."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from stvg_jax.convert.formats import check_format, get_format, known_formats, recognise
from stvg_jax.convert.names import NameSet, bare, find_name_sets
from stvg_jax.convert.readers import Node, find_nodes
from stvg_jax.convert.readers.nodes import find_unnamed, is_average_path, node_at
from stvg_jax.convert.rules import Format
from stvg_jax.core.errors import InputError, quoted

TOP = "(top level)"
_MAX_LISTED = 20
_MAX_CANDIDATES = 500
_MAX_TENSORS = 5_000  # a whole model has about 1,000
_MIN_SHARE = 0.25  # of a model's tensors in its moving average, which often lacks those that are not trained


@dataclasses.dataclass(frozen=True)
class Weights:
    """One set of weights in a checkpoint.

    Attributes:
        path: value for `--node`: the keys that lead to the dict and the prefix of the names, joined with ".".
        names: the tensors, and what was removed from their names.
        is_average: whether they are a moving average.
    """

    path: str
    names: NameSet
    is_average: bool

    @property
    def label(self) -> str:
        """The path for messages, quoted if it is long or would disturb a terminal."""
        if self.path in ("", "."):
            return TOP
        return self.path if self.path.isprintable() and len(self.path) <= 120 else quoted(self.path)


def choose_weights(
    tree: Any, source: str, *, format: str = "auto", weights: str = "auto", node: str | None = None
) -> Weights:
    """The weights of a checkpoint to convert.

    If there are several, the moving average is taken; several averages, or several sets without one, are refused.

    Args:
        tree: content of the checkpoint.
        source: its name in messages.
        format: a name from `convert.formats.known_formats`, or "auto" to recognise it by the tensors' names.
        weights: "ema" for the moving average only, "model" for other weights only, "auto" for the rule above.
        node: path of the weights, of a dict that holds them, or of a prefix of names in it; None looks everywhere.

    Raises:
        InputError: there are no such weights, or more than one.
    """
    formats = list(known_formats().values()) if format == "auto" else [get_format(format)]
    nodes = find_nodes(tree)
    if not nodes:
        raise InputError(f"{source} holds no tensors with names")
    if node is not None:
        nodes = _at(tree, nodes, node, formats, source)
    found = _candidates(nodes, formats, tree, source)
    if not found:
        names = max((n.own for n in nodes.values()), key=len)
        if format == "auto":
            recognise(names, source)
        check_format(formats[0], names, source)
        raise InputError(f"{source} is not of format {formats[0].name}: most of its tensors have other names")
    wanted = [w for w in found if weights == "auto" or w.is_average == (weights == "ema")]
    if not wanted:
        if weights == "ema" and node is None:
            _refuse_unread_average(tree, nodes, found, source)
        kind = "moving average" if weights == "ema" else "weights other than a moving average"
        raise InputError(f"{source} holds no {kind}{_under(node)}; there are: {_listed(w.path for w in found)}")
    if weights == "auto" and node is None and not any(w.is_average for w in wanted):
        _refuse_unread_average(tree, nodes, wanted, source)
    best = _without_equals([w for w in wanted if w.is_average] or wanted)
    if len(best) > 1:
        raise InputError(
            f"{source} holds several weights{_under(node)}: {_listed(w.path for w in best)}; choose one with --node"
        )
    if best[0].names.has_copies and weights == "auto" and node is None:
        raise InputError(
            f"{source} holds {best[0].label} twice, the second time under names without dots, and either may be the "
            "moving average; take the one whose names have dots with --weights model"
        )
    if (count := len(best[0].names.tensors)) > _MAX_TENSORS:
        raise InputError(f"{source} holds {count:,} tensors; no known model has more than {_MAX_TENSORS:,}")
    return best[0]


def _candidates(nodes: Mapping[str, Node], formats: Sequence[Format], tree: Any, source: str) -> list[Weights]:
    found: dict[frozenset[int], Weights] = {}
    for node in nodes.values():
        where = f"{source}, {quoted(node.name)}," if node.path else source
        sets = find_name_sets(node.own, formats, where) if node.own else []
        if not sets and node.below:
            # Sets of different dicts may clash here; each dict is also searched by itself.
            with contextlib.suppress(InputError):
                sets = find_name_sets({**node.own, **node.below}, formats, where)
        for names in sets:
            path = ".".join(filter(None, (node.name, names.prefix.removesuffix("."))))
            # The same tensors may be found again from an inner dict, whose path is kept.
            found[frozenset(map(id, names.tensors.values()))] = Weights(path, names, _is_average(path, tree))
        if len(found) > _MAX_CANDIDATES:
            raise InputError(f"{source} holds more than {_MAX_CANDIDATES} sets of weights; choose one with --node")
    return [w for tensors, w in found.items() if not any(tensors < larger for larger in found)]


def _without_equals(weights: Sequence[Weights]) -> list[Weights]:
    """The weights without repetitions, as of a dict that was saved under two keys."""
    found: dict[frozenset, Weights] = {}
    for w in weights:
        values = ((name, id(t.storage), t.start, t.shape, t.strides) for name, t in w.names.tensors.items())
        found.setdefault(frozenset(values), w)
    return list(found.values())


def _is_average(path: str, tree: Any) -> bool:
    """True if weights are a moving average, judged by their path.

    Two trainers keep the average as `state_dict` and the plain weights under another key: mmengine as `ema_state_dict`,
    Lightning as `current_model_state`.
    """
    if isinstance(tree, dict) and "state_dict" in tree:
        meta = tree.get("meta")
        first = path.split(".")[0]
        if isinstance(meta, dict) and "mmengine_version" in meta and "ema_state_dict" in tree:
            return first == "state_dict"
        if "current_model_state" in tree and "averaging_state" in tree:
            return first == "state_dict"
    return is_average_path(path)


def _at(tree: Any, nodes: dict[str, Node], name: str, formats: Sequence[Format], source: str) -> dict[str, Node]:
    """The node at `name`, or the tensors of a node whose names begin with the rest of `name`."""
    name = "" if name in (".", TOP) else name
    # A prefix of names ends in a dot, and may be given with it.
    for spelled in dict.fromkeys((name, name.removesuffix("."))):
        if found := nodes.get(spelled) or node_at(tree, spelled):
            return {spelled: found}
    name = name.removesuffix(".")
    for node in reversed(nodes.values()):
        if node.path and not name.startswith(f"{node.name}."):
            continue
        prefix = name.removeprefix(f"{node.name}.") + "."
        spelled = {(n if n.startswith(prefix) else bare(n)): t for n, t in node.own.items()}
        tensors = {n.removeprefix(prefix): t for n, t in spelled.items() if n.startswith(prefix)}
        if tensors:
            return {name: Node((name,), tensors)}
    weights = [w.path for w in _candidates(nodes, formats, tree, source)]
    known = f"weights at: {_listed(weights)}" if weights else f"some at: {_listed(nodes)}"
    raise InputError(f"{source} has no tensors at {quoted(name)}; there are {known}")


def _refuse_unread_average(tree: Any, nodes: Mapping[str, Node], plain: Sequence[Weights], source: str) -> None:
    """Raises InputError if there is a moving average that cannot be read beside the `plain` weights that were found."""
    way_out = "which cannot be converted; take the plain weights with --weights model"
    if paths := [path for path in find_unnamed(tree) if is_average_path(path)]:
        raise InputError(
            f"{source} holds a moving average without names, tensors in a list or by number at {_listed(paths)}, "
            f"{way_out}"
        )
    # Averages of something else, such as a loss, are of few tensors.
    enough = max(_MIN_SHARE * min(len(w.names.tensors) for w in plain), 2)
    taken = {w.path for w in plain}
    paths = [n for n, node in nodes.items() if len(node.own) >= enough and n not in taken and is_average_path(n)]
    if paths:
        raise InputError(
            f"{source} holds a moving average at {_listed(paths)} whose tensors have other names than those of a model "
            f"that is known, {way_out}"
        )


def _under(node: str | None) -> str:
    return "" if node is None else f" at {quoted(node)}"


def _listed(paths: Any) -> str:
    paths = list(paths)
    shown = ", ".join(quoted(path, 60) if path else TOP for path in paths[:_MAX_LISTED])
    return shown + (f" and {len(paths) - _MAX_LISTED} more" if len(paths) > _MAX_LISTED else "")
