"""Small changes to source files, by the operators of cosmic-ray and four more, and random draws of them."""

from __future__ import annotations

import ast
import collections
import dataclasses
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import cosmic_ray.plugins
import parso.python.tree as tree
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator

_BINARY = (
    "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul Mod_FloorDiv Pow_Mul BitAnd_BitOr BitOr_BitAnd BitXor_BitOr "
    "LShift_RShift RShift_LShift"
)
_COMPARISONS = "Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is"
_OTHERS = (
    "NumberReplacer AddNot ReplaceTrueWithFalse ReplaceFalseWithTrue ReplaceAndWithOr ReplaceOrWithAnd "
    "ReplaceUnaryOperator_Delete_USub ReplaceUnaryOperator_Delete_Not ReplaceUnaryOperator_Delete_Invert "
    "ReplaceBreakWithContinue ReplaceContinueWithBreak ZeroIterationForLoop ExceptionReplacer"
)
_SYMMETRIC = ("max", "min", "maximum", "minimum", "swapaxes")


class _Own(Operator):
    @classmethod
    def examples(cls):
        return ()


class SwapArguments(_Own):
    """f(a, b) -> f(b, a), unless f is symmetric."""

    def mutation_positions(self, node):
        called = node.get_previous_leaf() if node.type == "trailer" and node.children[0] == "(" else None
        if called and called.value not in _SYMMETRIC and len(_positional(node)) > 1:
            first, second, *_ = _positional(node)
            yield first.start_pos, second.end_pos

    def mutate(self, node, index):
        first, second, *_ = _positional(node)
        children = node.children[1].children
        i, j = children.index(first), children.index(second)
        children[i], children[j] = second, first
        return node


class DropKeyword(_Own):
    """f(a, b=c) -> f(a), except `strict` of `zip`, which only documents a fact."""

    def mutation_positions(self, node):
        for argument in _keywords(node):
            yield argument.start_pos, argument.end_pos

    def mutate(self, node, index):
        argument = _keywords(node)[index]
        if node.children[1] is argument:
            del node.children[1]
        else:
            children = node.children[1].children
            at = children.index(argument)
            del children[max(at - 1, 0) : max(at + 1, 2)]
        return node


class DropCall(_Own):
    """f(a) as a statement -> None."""

    def mutation_positions(self, node):
        if node.type == "simple_stmt" and node.children[0].type in ("atom_expr", "power"):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node, index):
        node.children[0] = tree.Keyword("None", node.start_pos, node.children[0].get_first_leaf().prefix)
        return node


class ReturnNone(_Own):
    """return a -> return None."""

    def mutation_positions(self, node):
        if node.type == "return_stmt" and node.children[1].get_code().strip() != "None":
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        node.children[1] = tree.Keyword("None", node.start_pos, " ")
        return node


def _arguments(trailer) -> list:
    inner = trailer.children[1] if len(trailer.children) == 3 else None
    return [] if inner is None else inner.children if inner.type == "arglist" else [inner]


def _positional(trailer) -> list:
    return [a for a in _arguments(trailer) if a.type not in ("argument", "operator")]


def _keywords(node) -> list:
    if node.type != "trailer" or node.children[0] != "(":
        return []
    given = [a for a in _arguments(node) if a.type == "argument" and a.children[1] == "="]
    return [a for a in given if a.children[0] != "strict"]


def _operators() -> dict[str, Operator]:
    names = [f"ReplaceBinaryOperator_{name}" for name in _BINARY.split()]
    names += [f"ReplaceComparisonOperator_{name}" for name in _COMPARISONS.split()]
    released = {name: cosmic_ray.plugins.get_operator(f"core/{name}")() for name in [*names, *_OTHERS.split()]}
    return released | _own()


def _own() -> dict[str, Operator]:
    return {kind.__name__: kind() for kind in (SwapArguments, DropKeyword, DropCall, ReturnNone)}


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change: the place number `occurrence` in the file at `path` where `operator` applies."""

    path: str
    line: int
    operator: str
    occurrence: int

    @property
    def key(self) -> str:
        return f"{self.path}:{self.line} {self.operator} {self.occurrence}"

    def applied(self, source: str) -> str:
        """The file's text with the change."""
        return mutate_code(source, _operators()[self.operator], self.occurrence)


def all_mutants(root: Path, path: str) -> dict[int, dict[int, list[Mutant]]]:
    """All changes of a file, by line and column."""
    source = (root / path).read_text(encoding="utf-8")
    untouched = list(_untouched(ast.parse(source)))
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    nodes = list(ast_nodes(get_ast(source)))
    for name, operator in _operators().items():
        places = ((node, start) for node in nodes for start, _ in operator.mutation_positions(node))
        for occurrence, (node, (line, column)) in enumerate(places):
            if not (_is_star(node) or any(first <= (line, column) < end for first, end in untouched)):
                found[line][column].append(Mutant(path, line, name, occurrence))
    return found


def _is_star(node) -> bool:
    """True for a star of a signature or a call, which cosmic-ray mistakes for a product."""
    return node.type == "operator" and node.parent.type in ("parameters", "param", "argument", "arglist")


def _untouched(module: ast.Module) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Places of annotations, decorators, texts of errors and notices, and code for type checkers only."""
    for node in ast.walk(module):
        parts = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        parts += getattr(node, "decorator_list", [])
        if isinstance(node, ast.Raise) or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            parts.append(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[0] in ("print", "warnings", "log"):
            parts.append(node)
        for part in parts:
            if part is not None:
                yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def draw(root: Path, sources: Sequence[str], seed: int, count: int) -> list[Mutant]:
    """`count` changes on as many lines of these files and folders, each line as likely as any other."""
    paths = [p for s in sources for p in ([root / s] if s.endswith(".py") else sorted((root / s).rglob("*.py")))]
    lines = [places for path in paths for _, places in sorted(all_mutants(root, str(path.relative_to(root))).items())]
    rng = random.Random(seed)
    drawn = []
    for places in rng.sample(lines, min(count, len(lines))):
        mutants = [mutant for _, column in sorted(places.items()) for mutant in column]
        # Changes by our own four operators are easier to notice.
        weights = [1 if mutant.operator in _own() else 3 for mutant in mutants]
        drawn += rng.choices(mutants, weights)
    return drawn
