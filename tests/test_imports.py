"""Imports between the rooms of the package, and the cost of importing it."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Folders at the top, and the name of each where it is installed.
PACKAGES = {
    "stvg_jax": "stvg_jax",
    "configs": "stvg_jax.configs",
    "convert": "stvg_jax.convert",
    "data_pipeline": "stvg_jax.data_pipeline",
}
# From the bottom up: a module imports its own layer and those below it. What is not listed stands on `core` alone.
LAYERS = (
    "nn",
    "backbones parallel runtime",
    "family",
    "models",
    "train eval",
    "grounding retrieval",
    "experiment",
    "serve",
    "commands",
    "cli",
)
HEAVY = ("tensorflow", "torch", "av", "decord", "transformers")


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    top, *parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([PACKAGES.get(top, top), *parts]).removesuffix(".__init__")


def imports(path: Path, *, everywhere: bool) -> Iterator[str]:
    """Modules that a file imports; at its top level, or inside functions too. `from a import b` gives "a.b"."""
    nodes = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not _is_for_type_checkers(node) and (everywhere or not _is_function(node)):
            nodes.extend(ast.iter_child_nodes(node))


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def layer(name: str) -> int:
    part = (name.split(".") + [""])[1]
    return next((number for number, parts in enumerate(LAYERS, 1) if part in parts.split()), 0)


def offences(packages: tuple[str, ...], allowed, *, everywhere: bool) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for package in packages
        for path in sources(package)
        for name in imports(path, everywhere=everywhere)
        if not allowed(module_name(path), name)
    ]


def test_the_rules_see_imports(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(
        "import a.b\nif X:\n    from c import d, e\n\nclass C:\n    import f\n\ndef g():\n    from h import i\n"
    )
    assert set(imports(file, everywhere=False)) == {"a.b", "c.d", "c.e", "f"}
    assert set(imports(file, everywhere=True)) == {"a.b", "c.d", "c.e", "f", "h.i"}
    assert [layer(name) for name in ("stvg_jax.nn.layers", "stvg_jax", "stvg_jax.cli", "stvg_jax.grounding.types")] == [
        1, 0, 10, 6,
    ]  # fmt: skip


def test_layers_are_imported_from_above_only():
    """Not inside functions either."""

    def allowed(module, name):
        return not within(name, "stvg_jax") or layer(name) <= layer(module)

    assert offences(("stvg_jax",), allowed, everywhere=True) == []


def test_tasks_never_import_each_other():
    tasks = ("stvg_jax.grounding", "stvg_jax.retrieval")

    def allowed(module, name):
        return not within(module, *tasks) or not within(name, *(task for task in tasks if not within(module, task)))

    assert offences(("stvg_jax",), allowed, everywhere=True) == []


def test_core_imports_nothing_of_ours():
    def allowed(module, name):
        return not within(module, "stvg_jax.core") or not within(name, "stvg_jax") or within(name, "stvg_jax.core")

    assert offences(("stvg_jax",), allowed, everywhere=True) == []


def test_core_imports_no_jax_at_the_top():
    def allowed(module, name):
        return not within(module, "stvg_jax.core") or not within(name, "jax", "jaxlib", "flax", "optax", "orbax", "clu")

    assert offences(("stvg_jax",), allowed, everywhere=False) == []


def test_configurations_are_imported_by_name_only():
    assert offences(("stvg_jax",), lambda module, name: not within(name, "stvg_jax.configs"), everywhere=True) == []


def test_no_circle_at_the_top():
    paths = {module_name(path): path for package in PACKAGES for path in sources(package)}
    known = {
        module: {name if name in paths else name.rpartition(".")[0] for name in imports(path, everywhere=False)}
        for module, path in paths.items()
    }
    # The package itself, whose names are imported when they are used.
    graph = {module: names & paths.keys() - {"stvg_jax"} for module, names in known.items() if module != "stvg_jax"}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(graph)


def test_data_pipeline_stands_on_core_and_never_imports_jax():
    def allowed(module, name):
        if within(name, "stvg_jax"):
            return within(name, "stvg_jax.core", "stvg_jax.data_pipeline")
        return not within(name, "jax", "jaxlib", "flax", "optax", "orbax")

    assert offences(("data_pipeline",), allowed, everywhere=True) == []


def test_leaves_are_imported_by_a_few_and_inside_functions():
    users = ("models", "grounding", "retrieval", "experiment", "serve", "commands")

    def at_the_top(module, name):
        return not within(name, "stvg_jax.data_pipeline", "stvg_jax.convert")

    def anywhere(module, name):
        return at_the_top(module, name) or within(module, *(f"stvg_jax.{part}" for part in users))

    assert offences(("stvg_jax",), at_the_top, everywhere=False) == []
    assert offences(("stvg_jax",), anywhere, everywhere=True) == []


def test_convert_stands_on_core():
    """It asks the families, through `stvg_jax.core.registry`, for all that it must know of models."""

    def allowed(module, name):
        return not within(name, "stvg_jax") or within(name, "stvg_jax.core", "stvg_jax.convert", "stvg_jax.__version__")

    assert offences(("convert",), allowed, everywhere=True) == []


def test_configs_know_sections_and_models():
    training = ("train.config", "train.optim", "train.schedules")
    loading = ("data_pipeline.loading.config", "data_pipeline.loading.caption_pairs")
    parts = ("configs", "core", *loading, "eval.config", "grounding", "retrieval", *training)

    def allowed(module, name):
        if within(name, "stvg_jax.grounding.evaluation", "stvg_jax.retrieval.evaluation"):
            return False
        return not within(name, "stvg_jax") or within(name, *(f"stvg_jax.{part}" for part in parts))

    assert offences(("configs",), allowed, everywhere=True) == []


def test_nothing_imports_the_tests():
    assert offences((*PACKAGES, "benchmarks"), lambda module, name: not within(name, "tests"), everywhere=True) == []


def run(program: str) -> str:
    """The output of a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_is_quick_and_loads_neither_jax_nor_a_decoder():
    program = """if True:
        import sys, time
        start = time.perf_counter()
        import stvg_jax
        assert time.perf_counter() - start < 1
        assert not {"jax", "av", "flax", "numpy"} & set(sys.modules)
    """
    run(program)


def test_importing_the_library_loads_no_decoder_and_no_other_framework():
    """All of it but the drawing of videos, which encodes them with PyAV."""
    names = [module_name(path) for path in sources("stvg_jax")]
    names = [n for n in names if not within(n, "stvg_jax.grounding.inference.draw")]
    assert "stvg_jax.grounding.inference.grounder" in names
    program = f"""if True:
        import importlib, sys
        for name in {names}:
            importlib.import_module(name)
        print(*(set({HEAVY}) & set(sys.modules)))
    """
    assert run(program).split() == []


@pytest.mark.parametrize(
    "command",
    [
        "",
        "ground",
        "demo",
        "checkpoints",
        "convert",
        "push",
        "serve",
        "eval",
        "score",
        "prepare frames",
        "prepare labels",
        "prepare shapes",
        "train",
        "inspect",
    ],
)
def test_help_needs_neither_jax_nor_a_decoder(command):
    program = f"""if True:
        import sys
        for name in ("jax", "flax", "numpy", "av", "tensorflow"):
            sys.modules[name] = None
        from stvg_jax.cli import main
        main({[*command.split(), "--help"]})
    """
    assert "usage: stvg-jax" in run(program)


def test_what_is_below_grounding_imports_without_it():
    """Trainer, evaluation loop and rules of conversion know no task."""
    below = ("core", "nn", "backbones", "parallel", "runtime", "models", "train", "eval")
    names = [module_name(path) for part in below for path in sources(f"stvg_jax/{part}")]
    names += ["stvg_jax.family", "stvg_jax.convert.rules"]
    program = f"""if True:
        import importlib, sys
        sys.modules["stvg_jax.grounding"] = None
        for name in {names}:
            importlib.import_module(name)
        print(len(sys.modules) > len({names}))
    """
    assert run(program).split() == ["True"]
