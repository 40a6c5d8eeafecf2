"""What a person sees of a training: lines on the terminal, TensorBoard, and metrics as JSON lines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stvg_jax.core.files import read_json_lines, sealed_line, whole_file

METRICS = "metrics.jsonl"


class Monitor:
    """Writes metrics. On hosts but the first it does nothing.

    Args:
        folder: for metrics.jsonl and TensorBoard's files.
        total_steps: of the whole training.
        first_step: where this run begins; what an earlier run has written of later steps is dropped.
        batch_size: samples in a step.
        active: whether this is the first host.
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
        """Notes time in which a step could not begin because its batch was not there."""
        self._waited += seconds

    def log(self, step: int, metrics: Mapping[str, np.ndarray]) -> None:
        """Writes the metrics of the step that led to `step`, and a line for people.

        Args:
            step: updates made so far.
            metrics: name -> scalar, or [k], one for each decoder layer.
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
            f"waiting for input {scalars['input_wait_share']:.0%}, {_duration(left)} left",
            flush=True,
        )
        self._window_start, self._window_step, self._waited = now, step, 0.0

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes scalars without a line for people."""
        if self._writer is not None:
            self._writer.write_scalars(step, scalars)
            self._lines.write(sealed_line({"step": step, **scalars}))
            self._lines.flush()

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Shows pictures, uint8 [h, w, 3] by name, in TensorBoard."""
        if self._writer is not None:
            self._writer.write_images(step, {name: image[None] for name, image in images.items()})

    def pause(self) -> None:
        """Begins a new window: what happened since the last one, such as a validation, is not training."""
        self._window_start, self._waited = time.monotonic(), 0.0

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._lines.close()


def _tensorboard(folder: Path):
    from clu.metric_writers import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"))


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """All that is in a run's metrics.jsonl; a last line that a kill cut short is passed over.

    Raises:
        InputError: another line is damaged.
    """
    return read_json_lines(folder / METRICS, {"step": int}, others=(int, float), may_be_cut=True)


def _drop_later(folder: Path, step: int) -> None:
    """Keeps the metrics up to `step`; a run that died may have gone further than its checkpoint."""
    kept = [line for line in read_metrics(folder) if line["step"] <= step]
    with whole_file(folder / METRICS) as file:
        file.writelines(map(sealed_line, kept))


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"
