"""The order of things in the loop, with a state that only counts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.train.loop import Plan, run
from stvg_jax.train.monitor import Monitor, read_metrics
from tests.damage import damaged_objects


@dataclasses.dataclass
class Counting:
    step: int


class Log:
    """Stands for everything that the loop calls, and remembers the calls."""

    def __init__(self, stop_after: int = 10**9, bad: int | None = None):
        self.calls: list[tuple] = []
        self._stop_after, self._bad, self._asked = stop_after, bad, 0

    def feed(self, first):
        self.calls.append(("feed", first))
        return ((f"batch {n}", {"n": n}) for n in range(first, 10**6))

    def train_step(self, state, batch):
        assert batch["n"] == state.step
        loss = np.nan if batch["n"] == self._bad else 1.0
        return Counting(state.step + 1), {"loss": np.float32(loss), "gradient_norm": np.float32(1)}

    def check(self, number, metrics, batch):
        assert batch == f"batch {number}"
        if not np.isfinite(metrics["loss"]):
            raise ArithmeticError(number)

    def stop(self):
        self._asked += 1
        return self._asked >= self._stop_after

    def save(self, state, step):
        assert state.step == step
        self.calls.append(("save", step))

    def validate(self, state, step):
        self.calls.append(("validate", step))

    # As a monitor.
    def log(self, step, metrics):
        self.calls.append(("log", step))

    def waited(self, seconds):
        assert seconds >= 0

    def pause(self):
        self.calls.append(("pause",))


def go(log, plan, first=0):
    state, step = run(
        Counting(first),
        log.train_step,
        log.feed,
        plan,
        monitor=log,
        save=log.save,
        validate=log.validate,
        check=log.check,
        stop=log.stop,
    )
    assert state.step == step
    return step


def test_a_whole_training():
    log = Log()
    assert go(log, Plan(total_steps=5, log_every=2, save_every=3, validate_every=0)) == 5
    expected = [("feed", 0), ("log", 2), ("save", 3), ("pause",), ("log", 4), ("log", 5), ("save", 5)]
    assert log.calls == [*expected, ("validate", 5), ("pause",)]


def test_it_goes_on_from_the_state():
    log = Log()
    assert go(log, Plan(5, 10, 10, 0), first=3) == 5
    assert log.calls[0] == ("feed", 3)


def test_a_stop_saves_and_does_not_validate():
    log = Log(stop_after=4)
    assert go(log, Plan(100, 100, 100, 4)) == 4
    assert ("save", 4) in log.calls
    assert ("validate", 4) not in log.calls


@pytest.mark.parametrize("bad", [3, 4])
def test_what_is_not_finite_is_never_saved(bad):
    """Neither the step after which a checkpoint is due, nor one before it, whose numbers are looked at late."""
    log = Log(bad=bad)
    with pytest.raises(ArithmeticError, match=str(bad)):
        go(log, Plan(100, 1, 5, 0))
    assert not any(call[0] == "save" for call in log.calls)


def test_a_finished_training_does_nothing():
    log = Log()
    assert go(log, Plan(5, 1, 1, 1), first=5) == 5
    assert log.calls == [("feed", 5)]


def metrics(loss):
    return {"loss": np.float32(loss), "gradient_norm": np.float32(2), "box_l1": np.array([3, 2, 1], np.float32)}


def test_metrics_are_written_once_however_often_a_run_is_continued(tmp_path, capsys):
    for first, losses in ((0, (5, 4, 3)), (2, (2.5, 2))):
        monitor = Monitor(tmp_path, total_steps=9, first_step=first, batch_size=4, active=True)
        for number, loss in enumerate(losses, first + 1):
            monitor.log(number, metrics(loss))
        monitor.close()
    lines = read_metrics(tmp_path)
    assert [(line["step"], line["loss"]) for line in lines] == [(1, 5), (2, 4), (3, 2.5), (4, 2)]
    assert lines[0]["box_l1"] == 1
    assert "step 4 of 9: loss 2.000" in capsys.readouterr().out
    assert list((tmp_path / "tensorboard").glob("events*"))


def test_a_torn_line_is_dropped(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 3.0}\n{"step": 2, "lo')
    Monitor(tmp_path, total_steps=9, first_step=5, batch_size=4, active=True).close()
    assert [line["step"] for line in read_metrics(tmp_path)] == [1]


def test_other_hosts_write_nothing(tmp_path):
    monitor = Monitor(tmp_path, total_steps=9, first_step=0, batch_size=4, active=False)
    monitor.log(1, metrics(1))
    monitor.close()
    assert list(tmp_path.iterdir()) == []


def test_damaged_metrics_are_told_with_the_line(tmp_path):
    file, good = tmp_path / "metrics.jsonl", '{"step": 1, "loss": 2.5}'
    damaged = [text for _, text in damaged_objects({"step": 1})]
    for text in [*damaged, '{"step": 1, "loss": "2.5"}', '{"step": 1, "loss": null}', good[:9], "", "\0\0"]:
        file.write_text(f"{good}\n{text}\n{good}\n")
        with pytest.raises(InputError, match="^line 2 of .*metrics.jsonl is damaged: ") as error:
            read_metrics(tmp_path)
        assert len(str(error.value).splitlines()) == 1
    # A last line that a kill has cut short is no damage.
    for cut in ("", good[:9], "\0\0"):
        file.write_text(f"{good}\n{cut}")
        assert read_metrics(tmp_path) == [{"step": 1, "loss": 2.5}]
