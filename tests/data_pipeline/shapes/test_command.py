import argparse
import json
import re

import pytest

from stvg_jax.commands import prepare_shapes
from stvg_jax.core.errors import InputError


def parse(arguments):
    parser = argparse.ArgumentParser()
    prepare_shapes.add_arguments(parser)
    return parser.parse_args(list(map(str, arguments)))


def test_a_small_dataset(tmp_path, capsys):
    out = tmp_path / "d"
    counts = ["--train", 2, "--val", 0, "--test", 1, "--height", 48, "--frames", 32, "--seed", 5, "--fps", 10]
    prepare_shapes.run(parse([out, *counts, "--processes", 1]))
    output = capsys.readouterr()
    assert output.out == f"shapes/2: 2 train, 0 val, 1 test videos in {out}\n"
    assert re.fullmatch(r"making videos \(3\): \d+\.\d s\n", output.err)
    manifest = json.loads((out / "shapes.json").read_text())
    assert (manifest["seed"], manifest["height"], manifest["frames"], manifest["fps"]) == (5, 48, 32, 10)
    assert len(list((out / "v1_video").iterdir())) == 3


def test_processes_must_be_positive(tmp_path):
    with pytest.raises(InputError, match="--processes is 0; it must be 1 or more"):
        prepare_shapes.run(parse([tmp_path / "d", "--processes", 0]))
    assert not (tmp_path / "d").exists()
