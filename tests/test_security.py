"""Sentences of docs/security.md that no other test holds to."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from stvg_jax.core.config import load_config_file
from stvg_jax.core.errors import first_line
from stvg_jax.core.files import whole_file

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
SOURCES = [path for name in ("stvg_jax", "data_pipeline", "convert", "configs") for path in (ROOT / name).rglob("*.py")]


def test_every_test_that_the_page_names_is_there():
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCUMENT)
    assert len(named) > 20
    for file, function in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not function or re.search(rf"^def {function}\(", text, re.MULTILINE), f"{file}::{function}"


def test_a_configuration_is_run(tmp_path):
    marker = tmp_path / "run"
    program = f"import ml_collections\nopen({str(marker)!r}, 'w').close()\n"
    (tmp_path / "config.py").write_text(program + "get_config = lambda arg: ml_collections.ConfigDict()")
    load_config_file(tmp_path / "config.py")
    assert marker.exists()


def test_pickles_are_loaded_from_the_cache_alone():
    """Everything else that Python could take for code: `eval`, `exec`, unpickling, modules by name."""
    found = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or (name := ast.unparse(node.func)) not in _LOADERS:
                continue
            # Numpy refuses pickles unless it is told otherwise.
            pickles = any(k.arg == "allow_pickle" and ast.unparse(k.value) != "False" for k in node.keywords)
            if name != "np.load" or pickles:
                found.setdefault(str(path.relative_to(ROOT)), set()).add(name)
    assert found.pop("stvg_jax/runtime/compilation.py") == {"pickle.load"}
    assert found.pop("stvg_jax/core/config.py") == {"spec.loader.exec_module", "importlib.import_module"}
    # By names that stand in this library's own source.
    own = {f"stvg_jax/{folder}__init__.py" for folder in ("", "commands/", "grounding/inference/draw/")}
    own |= {"stvg_jax/core/registry.py", "convert/formats/__init__.py", "data_pipeline/datasets/registry.py"}
    own |= {"convert/hub.py"}
    own |= {"data_pipeline/shards/records.py", "stvg_jax/grounding/inference/export/objects.py"}
    assert found.keys() <= own
    assert all(names == {"importlib.import_module"} for names in found.values())


_LOADERS = {"eval", "exec", "compile", "__import__", "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads"}
_LOADERS |= {"spec.loader.exec_module", "importlib.import_module", "runpy.run_path", "yaml.load", "torch.load"}
_LOADERS |= {"np.load", "numpy.load", "shelve.open", "os.system", "subprocess.call", "os.popen"}


def test_two_modules_make_connections():
    clients = {"urllib", "http", "requests", "httpx", "aiohttp", "ftplib", "huggingface_hub", "smtplib", "xmlrpc"}
    users = set()
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] in clients for name in names):
                users.add(str(path.relative_to(ROOT)))
        # The name of this machine is asked for, in locks.
        assert set(re.findall(r"\bsocket\.(\w+)", text)) <= {"gethostname"}, path
    assert users == {"stvg_jax/core/hub.py", "data_pipeline/video/network.py"}
    callers = {path for path in SOURCES if "data_pipeline.video.network" in path.read_text(encoding="utf-8")}
    assert {str(path.relative_to(ROOT)) for path in callers} == {"stvg_jax/commands/ground.py"}


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(tmp_path):
    (tmp_path / "other.txt").write_text("to stay as it is")
    (tmp_path / "answer.json").symlink_to(tmp_path / "other.txt")
    with whole_file(tmp_path / "answer.json") as file:
        file.write("{}")
    assert (tmp_path / "other.txt").read_text() == "to stay as it is"
    assert not (tmp_path / "answer.json").is_symlink()


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("one\ntwo", "one"),
        ("", "ValueError"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("a\u202eb\ud83d", r"a\u202eb\ud83d"),
        ("Größe", "Größe"),
        ("x" * 5_000, "x" * 300),
    ],
)
def test_messages_of_other_libraries_are_bounded_and_printable(message, shown):
    assert first_line(ValueError(message)) == shown
