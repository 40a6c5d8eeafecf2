"""Meshes, and batches on their way to devices and back."""

from __future__ import annotations

import argparse
import threading

import jax
import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.parallel import hosts
from stvg_jax.parallel.mesh import ahead, local_rows, make_mesh, to_mesh
from tests.hosts import run_hosts


def test_one_device_is_a_mesh():
    mesh = make_mesh()
    assert mesh.axis_names == ("data", "fsdp")
    batch = {"x": np.arange(6).reshape(3, 2)}
    moved = to_mesh(batch, mesh)
    assert isinstance(moved["x"], jax.Array)
    np.testing.assert_array_equal(local_rows(moved["x"]), batch["x"])


def test_devices_that_cannot_be_divided():
    with pytest.raises(InputError, match="fsdp=2 must divide the number of devices, 1"):
        make_mesh(fsdp=2)


_PROGRAM = """if True:
    import argparse
    import numpy as np
    from stvg_jax.parallel import hosts
    parser = argparse.ArgumentParser()
    hosts.add_arguments(parser)
    hosts.join(parser.parse_args())
    import jax
    from stvg_jax.parallel.mesh import local_rows, to_mesh
    from stvg_jax.parallel.mesh import make_mesh
    for fsdp in (1, 2):
        mesh = make_mesh(fsdp)
        assert mesh.devices.shape == (len(jax.devices()) // fsdp, fsdp)
        rows = np.arange(8) + 100 * jax.process_index()
        moved = to_mesh({"x": rows[:, None]}, mesh)["x"]
        assert moved.shape == (8 * jax.process_count(), 1)
        assert np.array_equal(local_rows(moved)[:, 0], rows)
        print("sum", float(jax.jit(lambda x: x.sum())(moved)))
"""


@pytest.mark.parametrize(("number", "devices"), [(1, 4), (2, 2)])
def test_each_host_holds_its_own_rows(number, devices):
    total = sum(sum(range(100 * host, 100 * host + 8)) for host in range(number))
    for done in run_hosts(["-c", _PROGRAM], hosts=number, devices=devices):
        assert done.returncode == 0, done.stderr
        # Gloo reports its connections on standard output too.
        assert [line for line in done.stdout.splitlines() if line.startswith("sum")] == [f"sum {float(total)}"] * 2


def parse(*arguments):
    parser = argparse.ArgumentParser()
    hosts.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--coordinator", "a:1"], "--coordinator, --hosts and --host together"),
        (["--distributed", "--coordinator", "a:1", "--hosts", "2", "--host", "0"], "--distributed alone"),
        (["--coordinator", "a:1", "--hosts", "2", "--host", "2"], "--host 2 must be from 0 to 1"),
    ],
)
def test_hosts_that_contradict_each_other(arguments, message):
    with pytest.raises(InputError, match=message):
        hosts.join(parse(*arguments))


def test_one_host_needs_nothing():
    hosts.join(parse())
    assert jax.process_count() == 1


def test_work_runs_ahead_of_the_consumer_and_no_further():
    started = [threading.Event() for _ in range(6)]

    def work(i):
        started[i].set()
        return i * i

    results = ahead(range(6), work, depth=2)
    assert next(results) == 0
    assert started[1].wait(5)
    assert not started[4].is_set()
    assert list(results) == [1, 4, 9, 16, 25]


def test_errors_arrive_in_their_place():
    def work(i):
        if i == 2:
            raise InputError("the third")
        return i

    results = ahead(range(5), work)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(InputError, match="the third"):
        next(results)
