"""Configurations: strict from mapping to dataclass, and every file of the project."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import ml_collections
import numpy as np
import pytest

from stvg_jax.core.config import build, load_config_file
from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import FAMILIES, default_config, get_family, make_model
from stvg_jax.experiment.building import Experiment
from stvg_jax.nn.declare import PureModule

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted(path for path in CONFIGS.glob("*.py") if "def get_config" in path.read_text())


@dataclasses.dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    sizes: tuple[int, ...] = (1, 2)
    window: tuple[int, int] = (7, 7)


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner = Inner()
    name: str = "x"
    count: int = 3
    limit: int | None = None
    flag: bool = False

    def __post_init__(self):
        if self.count < 1:
            raise ValueError(f"count is {self.count}; it must be positive")


def test_fields_are_built_and_the_rest_keeps_its_default():
    assert build(Outer, {}) == Outer()
    made = build(Outer, {"inner": {"rate": 1, "sizes": [4], "window": [8, 7]}, "limit": 5, "flag": True})
    assert made == Outer(inner=Inner(rate=1.0, sizes=(4,), window=(8, 7)), limit=5, flag=True)
    assert isinstance(made.inner.rate, float)
    assert build(Outer, {"limit": None, "inner": {"sizes": []}}).inner.sizes == ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nmae": "x"}, "config.nmae is unknown; config has inner, name, count, limit, flag"),
        ({"inner": {"rat": 1.0}}, "config.inner.rat is unknown; config.inner has rate, sizes, window"),
        ({"inner": 3}, "config.inner is 3; it must be a mapping"),
        ({"count": "3"}, "config.count is '3'; it must be a whole number"),
        ({"count": 3.0}, "config.count is 3.0; it must be a whole number"),
        ({"count": True}, "config.count is True; it must be a whole number"),
        ({"count": None}, "config.count is None; it must be a whole number"),
        ({"count": 0}, "config: count is 0; it must be positive"),
        ({"flag": 1}, "config.flag is 1; it must be True or False"),
        ({"limit": 1.5}, "config.limit is 1.5; it must be a whole number"),
        ({"inner": {"rate": True}}, "config.inner.rate is True; it must be a number"),
        ({"inner": {"rate": "fast"}}, "config.inner.rate is 'fast'; it must be a number"),
        ({"inner": {"sizes": 3}}, "config.inner.sizes is 3; it must be a list"),
        ({"inner": {"sizes": "12"}}, "config.inner.sizes is '12'; it must be a list"),
        ({"inner": {"sizes": [1, 2.5]}}, "config.inner.sizes[1] is 2.5; it must be a whole number"),
        ({"inner": {"window": [8, 7, 7]}}, "config.inner.window is [8, 7, 7]; it must have 2 values"),
        ([("name", "x")], "config is [('name', 'x')]; it must be a mapping"),
    ],
)
def test_anything_else_is_named(values, message):
    with pytest.raises(InputError) as caught:
        build(Outer, values)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", FAMILIES)
def test_defaults_survive_json(name):
    kind = get_family(name).config
    assert build(kind, json.loads(json.dumps(default_config(name)))) == kind()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_of_the_project(path):
    assert __import__(f"stvg_jax.configs.{path.stem}", fromlist=["get_config"]).get_config().is_locked
    config = load_config_file(path)
    assert json.loads(json.dumps(config))["name"] in FAMILIES
    declared = PureModule(make_model(config["name"], config["model"], np.float32)).declarations
    size = sum(int(np.prod(d.shape)) for d in declared.values())
    assert 5e5 < size < 5e6 if path.stem.startswith("shapes") else size > 100e6
    with pytest.raises(InputError, match="takes no argument, got 'fast'|shapes:fast is unknown; the phases are"):
        load_config_file(Path(f"{path}:fast"))


def shapes_phase(name: str, phase: str) -> Experiment:
    file = name if phase in ("", "boxes") else "shapes"
    return Experiment.build(load_config_file(Path(f"{CONFIGS / file}.py:{phase}")))


def fits(start: Experiment, leave_out: tuple[str, ...], follower: Experiment) -> bool:
    """True if all parameters of `start` but those left out are some of the follower's."""
    declared, wanted = (
        {path: leaf.shape for path, leaf in experiment.module.declarations.items()} for experiment in (start, follower)
    )
    kept = {k: v for k, v in declared.items() if not any(re.fullmatch(pattern, k) for pattern in leave_out)}
    return kept != {} and kept.items() <= wanted.items()


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("shapes", ["verbs", "pointing", "backbones"]),
        ("shapes_cg", ["verbs", "pointing", "backbones"]),
        ("shapes_stcat", ["images"]),
        ("shapes_tubedetr", ["images"]),
    ],
)
def test_phases_of_shapes_follow_one_another(name, before):
    """Backwards from the last: each starts from one that reads the same and has its parameters but those left out."""
    phases, follower = [""], shapes_phase(name, "")
    while follower.train.initialise:
        (start,) = follower.train.initialise
        phases.append(re.fullmatch(r"runs/shapes_((cg|stcat|tubedetr)_)?(\w+)/last", start)[3])
        experiment = shapes_phase(name, phases[-1])
        assert fits(experiment, follower.train.leave_out, follower), phases[-1]
        assert experiment.model.reads_subject == follower.model.reads_subject, phases[-1]
        follower = experiment
    assert phases == ["", "boxes", *before]


def test_there_are_files():
    assert len(FILES) >= 3


def write(path, text):
    path.write_text(text)
    return path


def test_files_that_will_not_do(tmp_path):
    cases = {
        tmp_path / "none.py": "does not exist; the library has",
        tmp_path: "is a folder",
        write(tmp_path / "settings.yaml", "model: ta_stvg"): "is not a Python file",
        tmp_path / "configs" / "none.py": "does not exist; the library has",
        write(tmp_path / "config.json", "{}"): "is not a Python file",
        write(tmp_path / "empty.py", ""): "has no function get_config",
        write(tmp_path / "list.py", "def get_config(arg):\n    return [arg]\n"): "must return a ConfigDict, not list",
    }
    for path, message in cases.items():
        with pytest.raises(InputError, match=message) as caught:
            load_config_file(path)
        assert str(path) in str(caught.value)


FAILURES = {
    "def get_config(:\n": "line 1: SyntaxError: invalid syntax",
    "\n\nimport nowhere_at_all\n": "line 3: ModuleNotFoundError: No module named 'nowhere_at_all'",
    "raise SystemExit(3)\n": "line 1: SystemExit: 3",
    "import sys\nsys.exit('no \\x1b[31mred')\n": r"line 2: SystemExit: no \x1b[31mred",
    "def get_config(arg=''):\n    return {}['data']\n": "line 2: KeyError: 'data'",
    "def get_config():\n    return 1\n": "get_config() takes 0 positional arguments but 1 was given",
    "def get_config(arg):\n    return get_config(arg)\n": "line 2: RecursionError: maximum recursion depth exceeded",
    "import ml_collections\ndef get_config(arg):\n    c = ml_collections.ConfigDict()\n    c.c = c\n    return c\n": (
        "RecursionError: maximum recursion depth exceeded"
    ),
    "from ml_collections import ConfigDict, config_dict\ndef get_config(arg):\n"
    "    return ConfigDict({'a': config_dict.required_placeholder(int)})\n": "RequiredValueError: None value found",
    "def __getattr__(name):\n    return {}[name]\n": "line 2: KeyError: 'get_config'",
    "from stvg_jax.core.registry import get_family\n\nget_family('x')\n": "line 3: model 'x' is unknown",
    "get_config = 3\n": "TypeError: 'int' object is not callable",
    "class Odd(BaseException):\n    def __str__(self):\n        raise self\nraise Odd\n": "line 4: Odd: without a",
    "raise ValueError('a' * 10**6)\n": f"line 1: ValueError: '{'a' * 200}'...",
    "import ml_collections\ndef get_config(arg):\n    return ml_collections.ConfigDict({'a': {'b': object()}})\n": (
        "config.a.b is of type object; it must be a number, text, a list or a section"
    ),
}


@pytest.mark.parametrize(("text", "message"), FAILURES.items(), ids=range(len(FAILURES)))
def test_whatever_a_file_raises_is_one_line_with_its_place(tmp_path, text, message):
    path = write(tmp_path / "mine.py", text)
    with pytest.raises(InputError) as caught:
        load_config_file(path)
    told = str(caught.value)
    assert told.startswith(f"configuration {path}")
    assert message in told
    assert len(told.splitlines()) == 1
    assert len(told) < 500


@pytest.mark.parametrize("name", ["", ".", "/", ":", ":phase"])
def test_a_name_that_is_none(name):
    with pytest.raises(InputError, match="names no file"):
        load_config_file(Path(name))


@pytest.mark.parametrize("content", [b"x = '\xff'\n", b"x = 1\0\n"])
def test_a_file_that_is_no_text(tmp_path, content):
    (tmp_path / "mine.py").write_bytes(content)
    with pytest.raises(InputError, match="configuration .*mine.py.*SyntaxError: "):
        load_config_file(tmp_path / "mine.py")


def test_ctrl_c_in_a_file_is_still_one(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        load_config_file(write(tmp_path / "mine.py", "raise KeyboardInterrupt\n"))


def test_the_projects_own_files_are_found_from_anywhere(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert load_config_file(Path("configs/shapes.py:boxes")) == load_config_file(CONFIGS / "shapes.py:boxes")
    assert (
        capsys.readouterr().err == f"configs/shapes.py does not exist: using the library's own, {CONFIGS}/shapes.py\n"
    )
    assert load_config_file(Path("shapes"))["name"] == "ta_stvg"
    # The user's own file of that name comes first.
    (tmp_path / "configs").mkdir()
    write(tmp_path / "configs" / "shapes.py", "def get_config(arg):\n    raise InterruptedError\n")
    with pytest.raises(InputError, match="configuration configs/shapes.py, line 2: InterruptedError"):
        load_config_file(Path("configs/shapes.py"))


WRONG = {
    "clip.resolution=0": "resolution 0: the model's grid needs at least 32 pixels, and takes at most 4096",
    "clip.resolution=-3": "resolution -3: the model's grid needs at least 32 pixels, and takes at most 4096",
    "clip.resolution=100000": "resolution 100000: the model's grid needs at least 32 pixels, and takes at most 4096",
    "clip.frames_per_pass=0": "frames_per_pass is 0; it must be positive",
    "clip.sample_fps=0": "sample_fps is 0.0; it must be positive",
    "clip.sample_fps=nan": "config.clip.sample_fps is nan; it must be a finite number",
    "clip.sampling=x": "sampling is 'x'; choose one of hcstvg, vidstg",
    "train.dtype=int8": "config.train.dtype is 'int8'; choose one of float32, bfloat16",
    "train.remat=x": "remat 'x' is unknown",
    "train.seed=99999999999": "config.train.seed is 99999999999; it must be a finite number, of at most 2147483647",
    "schedule.drop_factor=inf": "config.schedule.drop_factor is inf; it must be a finite number",
    "model.resnet.width=0": "config.model.resnet.width is 0; it must be at least 1",
    "model.swin.heads=(0,)": "config.model.swin.heads is (0,); it must be at least 1",
    "model.swin.window=(1,-1,1)": "config.model.swin.window is (1, -1, 1); it must be at least 1",
    "model.transformer.heads=5": "channels, which 5 heads cannot share equally",
    "name=x": "model 'x' is unknown",
}


@pytest.mark.parametrize(("setting", "message"), WRONG.items())
def test_settings_of_which_nothing_can_be_made(setting, message):
    with pytest.raises(InputError) as caught:
        Experiment.build(load_config_file(Path("shapes"), [f"--config.{setting}"]))
    assert message in str(caught.value)


@pytest.mark.parametrize("without", ["name", "model"])
def test_an_experiment_names_its_model(without):
    config = load_config_file(Path("shapes"))
    del config[without]
    with pytest.raises(InputError, match=f"config.{without} is missing"):
        Experiment.build(config)


def test_the_argument_is_passed_on(tmp_path):
    text = "import ml_collections\n\n\ndef get_config(arg):\n    return ml_collections.ConfigDict({'a': {'b': arg}})\n"
    loaded = load_config_file(Path(f"{write(tmp_path / 'mine.py', text)}:small"))
    assert loaded == {"a": {"b": "small"}}
    assert not isinstance(loaded["a"], ml_collections.ConfigDict)


def test_bare_names_are_files_of_the_project():
    assert load_config_file(Path("ta_stvg_vidstg")) == load_config_file(CONFIGS / "ta_stvg_vidstg.py")
    with pytest.raises(InputError, match="the library has alpro_didemo, alpro_msrvtt, cg_stvg_hcstvg1, "):
        load_config_file(Path("vidstg"))


def test_overrides_are_parsed_by_the_type_of_what_they_replace():
    overrides = ["--config.model.sampling_threshold=1", "--config.model.resnet.blocks=(1,1,2,1)"]
    config = load_config_file(Path("ta_stvg_vidstg"), overrides=overrides)
    assert config["model"]["sampling_threshold"] == 1.0
    assert config["model"]["resnet"]["blocks"] == (1, 1, 2, 1)
    assert isinstance(config["model"]["sampling_threshold"], float)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.model.threshold=1", "config.model.threshold is unknown; config.model has actioness_threshold, "),
        ("--config.name.first=1", "config.name.first is unknown; config.name is a single value"),
        ("--config.clip.resolution=high", "config.clip.resolution=high: .*; give a value of the type it replaces"),
        ("--config.clip.resolution", "'--config.clip.resolution' changes no setting; write --config.SECTION.KEY=VALUE"),
    ],
)
def test_overrides_that_will_not_do(override, message):
    with pytest.raises(InputError, match=message):
        load_config_file(Path("ta_stvg_vidstg"), overrides=[override])
