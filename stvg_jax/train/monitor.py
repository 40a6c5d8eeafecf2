"""Metrics of a training: lines on the terminal, TensorBoard, and JSON lines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stvg_jax.core.files import read_json_lines, sealed_line, whole_file
from stvg_jax.core.progress import duration_text

METRICS = "metrics.jsonl"


class Monitor:
    """Writer of metrics. It does nothing on hosts other than the first.

    Args:
        folder: folder for metrics.jsonl and TensorBoard's files.
        total_steps: steps of the whole training.
        first_step: steps made before this start; metrics that an earlier start has written for later steps are dropped.
        batch_size: samples in a step.
        active: True on the first host.
    """

    def __init__(self, folder: Path, *, total_steps: int, first_step: int, batch_size: int, active: bool):
        self._total, self._first, self._batch_size = total_steps, first_step, batch_size
        self._start = self._window_start = time.monotonic()
        self._window_step = first_step
        self._waited = 0.0
        self._writer = None
        if active:
            _drop_later(folder, first_step)
            self._lines = (folder / METRICS).open("a", encoding="utf-8")
            self._writer = _tensorboard(folder)

    def waited(self, seconds: float) -> None:
        """Adds time in which a step could not begin because its batch was not ready."""
        self._waited += seconds

    def log(self, step: int, metrics: Mapping[str, np.ndarray]) -> None:
        """Writes metrics, and a line on the terminal.

        Args:
            step: number of updates made, the last of which the metrics belong to.
            metrics: name -> scalar, or [k] for a value of each decoder layer, of which the last is written.
        """
        if self._writer is None:
            return
        now = time.monotonic()
        elapsed, steps = max(now - self._window_start, 1e-9), step - self._window_step
        scalars = {}
        for name, value in metrics.items():
            value = np.asarray(value, np.float64)
            scalars[name] = float(value if value.ndim == 0 else value[-1])
        scalars["videos_per_second"] = steps * self._batch_size / elapsed
        scalars["input_wait_share"] = self._waited / elapsed
        self.write(step, scalars)
        left = (now - self._start) / max(step - self._first, 1) * (self._total - step)
        told = f"loss {scalars['loss']:.3f}, gradient {scalars['gradient_norm']:.3g}"
        print(
            f"step {step:,} of {self._total:,}: {told}, {scalars['videos_per_second']:.2f} videos/s, "
            f"waiting for input {scalars['input_wait_share']:.0%}, {duration_text(left)} left",
            flush=True,
        )
        self._window_start, self._window_step, self._waited = now, step, 0.0

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes scalars without a line on the terminal."""
        if self._writer is not None:
            self._writer.write_scalars(step, scalars)
            self._lines.write(sealed_line({"step": step, **scalars}))
            self._lines.flush()

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Writes pictures, uint8 [h, w, 3] by name, to TensorBoard."""
        if self._writer is not None:
            self._writer.write_images(step, {name: image[None] for name, image in images.items()})

    def pause(self) -> None:
        """Restarts the measurement of speed after work that is not training, such as a validation."""
        self._window_start, self._waited = time.monotonic(), 0.0

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._lines.close()


def _tensorboard(folder: Path):
    from clu.metric_writers import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"))


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Lines of a run's metrics.jsonl; a last line that a kill has cut short is left out.

    Raises:
        InputError: another line is damaged.
    """
    return read_json_lines(folder / METRICS, {"step": int}, others=(int, float), may_be_cut=True)


def _drop_later(folder: Path, step: int) -> None:
    """Drops metrics of later steps: a run that was killed may have gone further than its last checkpoint."""
    kept = [line for line in read_metrics(folder) if line["step"] <= step]
    with whole_file(folder / METRICS) as file:
        file.writelines(map(sealed_line, kept))
