"""Signals that ask a run to stop."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

from stvg_jax.train.interruption import Interruption
from tests.hosts import run_hosts
from tests.train.test_checkpoints import arrays, run, start


def test_the_first_signal_raises_a_flag_and_the_handlers_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interruption() as interruption:
        assert not interruption.should_stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.should_stop()
        assert interruption.exit_code == 130
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "the second one ends the process"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_sigterm_saves_and_the_run_goes_on_from_there(tmp_path):
    run(tmp_path / "whole", "--steps", 12)
    options = [tmp_path / "stopped", "--save-every", 2]
    process = start("-m", "tests.train.toy_run", *options, "--steps", 100_000, "--step-seconds", 0.05)
    for _ in range(4):
        process.stdout.readline()
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "SIGTERM: stopping after this step" in err
    last = int(out.splitlines()[-1].removeprefix("step "))
    assert last < 12
    assert run(*options, "--steps", 12).startswith(f"from {last}\n")
    for stopped, whole in zip(*(arrays(tmp_path / n / "final-0.npz") for n in ("stopped", "whole")), strict=True):
        np.testing.assert_array_equal(stopped, whole)


def test_the_second_signal_ends_at_once_even_in_a_long_call():
    program = """if True:
        from stvg_jax.train.interruption import Interruption
        with Interruption() as interruption:
            print("ready", flush=True)
            while not interruption.should_stop():
                pass
            print("asked", flush=True)
            sum(range(10 ** 12))  # one call that handlers in Python would wait for
    """
    process = start("-c", program)
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.stdout.readline() == "asked\n"
    began = time.monotonic()
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert time.monotonic() - began < 10


def test_one_host_is_asked_and_all_stop_at_the_same_step():
    program = """if True:
        import argparse, os, signal
        from stvg_jax.parallel import hosts
        parser = argparse.ArgumentParser()
        hosts.add_arguments(parser)
        hosts.join(parser.parse_args())
        import jax
        from stvg_jax.train.interruption import Interruption
        with Interruption() as interruption:
            for step in range(50):
                if step == 3 and jax.process_index() == 1:
                    os.kill(os.getpid(), signal.SIGTERM)
                if interruption.should_stop():
                    break
            print("stopped", step, interruption.exit_code)
    """
    for done in run_hosts(["-c", program], hosts=2, devices=2):
        assert done.returncode == 0, done.stderr
        assert "stopped 4 143" in done.stdout
