"""The command of the guide."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow


def run(*arguments):
    command = [sys.executable, "-m", "stvg_jax.data_pipeline.tfds", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_beam_on_two_processes(manual, tmp_path):
    options = "runner=DirectRunner,direct_running_mode=multi_processing,direct_num_workers=2"
    done = run("vidstg/both", "--data_dir", tmp_path, "--manual_dir", manual, f"--beam_pipeline_options={options}")
    assert done.returncode == 0, done.stderr
    assert "num_examples=4" in done.stdout
    assert (tmp_path / "vidstg" / "both" / "1.0.0" / "dataset_info.json").is_file()


def test_a_configuration_of_ones_own(tmp_path):
    config = '{"name": "tiny", "train": 2, "val": 1, "test": 0, "height": 64}'
    done = run("shapes", "--config", config, "--data_dir", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "'train': <SplitInfo num_examples=2" in done.stdout


def test_bad_input_ends_in_a_message(tmp_path):
    done = run("hcstvg/v1", "--data_dir", tmp_path, "--manual_dir", tmp_path / "nothing")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "error: Manual directory" in done.stderr
