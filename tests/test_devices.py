"""The line of a command about the machine, and messages of libraries that it holds back."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import jax
import pytest

from stvg_jax import devices
from stvg_jax.core.errors import InputError, how_to_install
from stvg_jax.devices import describe_devices, silence_libraries
from tests.hosts import ROOT, environment

ADVICE = f"this machine has an NVIDIA GPU, which this JAX cannot use; for one that can: {how_to_install('cuda')}"


def made(platform, kind, count=1):
    return [SimpleNamespace(platform=platform, device_kind=kind)] * count


@pytest.mark.parametrize(
    ("found", "hosts", "nvidia", "lines"),
    [
        (made("cpu", "cpu"), 1, False, ["device: CPU, 2 cores"]),
        (made("cpu", "cpu", 8), 1, False, ["device: CPU, 2 cores, as 8 devices"]),
        (made("gpu", "NVIDIA H100"), 1, True, ["device: NVIDIA H100"]),
        (made("gpu", "NVIDIA H100", 8), 1, True, ["device: NVIDIA H100, 8 of them"]),
        (made("tpu", "TPU v5e", 16), 4, False, ["device: TPU v5e, 16 of them, on 4 hosts"]),
        (made("cpu", "cpu"), 1, True, ["device: CPU, 2 cores", ADVICE]),
    ],
)
def test_devices_are_told_in_a_line(monkeypatch, found, hosts, nvidia, lines):
    for name in ("JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    assert describe_devices(found, hosts, nvidia=nvidia, cores=2) == lines


@pytest.mark.parametrize(
    ("name", "value"), [("JAX_PLATFORMS", "cpu"), ("CUDA_VISIBLE_DEVICES", ""), ("CUDA_VISIBLE_DEVICES", "-1")]
)
def test_a_gpu_that_is_hidden_by_a_variable_needs_no_installation(monkeypatch, name, value):
    for other in ("JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, value)
    lines = describe_devices(made("cpu", "cpu"), 1, nvidia=True, cores=1)
    assert lines == [
        "device: CPU, 1 core",
        f"this machine has an NVIDIA GPU, which is not used because {name}={value!r} is set",
    ]


def test_a_gpu_is_seen_by_the_files_of_its_driver(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(devices, "_NVIDIA", (str(tmp_path / "nvidia0"),))
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    devices.tell_device()
    assert "GPU" not in capsys.readouterr().err
    (tmp_path / "nvidia0").touch()
    devices.tell_device()
    assert "device: CPU" in (told := capsys.readouterr().err)
    assert "this machine has an NVIDIA GPU" in told


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (RuntimeError("Unable to initialize backend 'cuda'\nand more"), "Unable to initialize backend 'cuda'"),
        (AssertionError(), "none of the kind asked for"),
    ],
)
def test_devices_that_jax_cannot_use_are_told(monkeypatch, error, why):
    def fail():
        raise error

    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(jax, "devices", fail)
    with pytest.raises(InputError, match=f"no device to compute on .{why}.; change JAX_PLATFORMS='cuda'"):
        devices.tell_device()


def test_what_the_user_has_set_stays():
    variables = {"TF_CPP_MIN_LOG_LEVEL": "0", "CUDA_VISIBLE_DEVICES": "1"}
    silence_libraries(variables)
    assert variables["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert variables["CUDA_VISIBLE_DEVICES"] == "1"
    assert variables["ABSL_MIN_LOG_LEVEL"] == "3"


def test_a_log_file_gets_no_bars():
    program = """if True:
        from stvg_jax.devices import silence_libraries
        silence_libraries()
        from tqdm import tqdm
        from stvg_jax.core.progress import Terminal
        list(tqdm(range(3)))
        with Terminal().stage("working"), Terminal().bar("counting", 2, "thing") as step:
            step(2)
    """
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment(), check=True, capture_output=True)
    assert b"\r" not in done.stderr
    assert [line.split(b":")[0] for line in done.stderr.splitlines()] == [b"counting (2)", b"working"]


def test_nothing_needs_the_locks_of_unix_to_be_imported():
    """As on Windows, where there is no fcntl."""
    program = """if True:
        import sys
        sys.modules["fcntl"] = None
        import stvg_jax.train.workdir, data_pipeline.shards, stvg_jax.cli
    """
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment(), check=True)
