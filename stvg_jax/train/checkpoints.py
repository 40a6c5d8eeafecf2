"""Checkpoints of a training run, which are saved in the background and checked for damage when they are read.

DIR/STEP/                the state after STEP steps, written by Orbax
DIR/STEP/checksums.json  crc32 and size of every file in it
DIR/scores.json          scores of the checkpoints that were evaluated
DIR/damaged/STEP/        a checkpoint that failed its checksums and was replaced by an older one

Orbax writes into a temporary folder and renames it when all hosts are done. The checksums are written before that, on
the same thread, so a checkpoint with its final name has them: one without is damaged or is not of this library. Orbax
alone does not notice a flipped bit.

All hosts call every function here at the same place of their main threads, because Orbax synchronises hosts there by
device collectives. Its background thread uses the coordination service, which does not disturb the program.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from stvg_jax.core.errors import InputError, first_line
from stvg_jax.core.files import whole_file
from stvg_jax.parallel.hosts import from_first_host
from stvg_jax.train.checkpoint_contents import (
    FORMAT,
    check_same_arrays,
    describe_arrays,
    find_fault,
    find_sources,
    move_aside,
    named_leaves,
    read_scores,
    write_checksums,
    write_scores,
)
from stvg_jax.train.workdir import require_space

_log = logging.getLogger(__name__)
# Parts of the messages of full disks.
_NO_SPACE = ("no space left", "disk quota", "file too large", "enospc", "edquot", "efbig")


class Checkpoints:
    """The checkpoints in a folder, on a file system that all hosts share.

    Args:
        directory: the folder; made if missing.
        keep: number of newest checkpoints to keep, at least 2, because a damaged one is replaced by an older one.
        keep_best: number of checkpoints with the highest scores to keep besides.
        read_only: whether to change nothing in the folder, for a run that may still go on.

    Raises:
        InputError: the folder cannot be written, or `keep` is too small.
    """

    def __init__(self, directory: Path, *, keep: int = 3, keep_best: int = 1, read_only: bool = False):
        if keep < 2:
            raise InputError(
                f"keep is {keep}; it must be at least 2, as a damaged checkpoint is replaced by an older one"
            )
        # Orbax reports every save at INFO, and prints tracebacks of errors that are raised here too.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self._directory = directory.absolute()
        self._keep, self._keep_best, self._read_only = keep, keep_best, read_only
        self._saving: int | None = None
        self._failed = False
        self._scores = from_first_host(self._open)
        # Compression would save a twelfth of the space and triple the time of a save.
        handlers = {"state": ocp.PyTreeCheckpointHandler(use_compression=False), "about": ocp.JsonCheckpointHandler()}
        if read_only:
            options = ocp.CheckpointManagerOptions(read_only=True)
        else:
            options = ocp.CheckpointManagerOptions(
                create=False,
                cleanup_tmp_directories=True,
                preservation_policy=self,
                async_options=ocp.AsyncOptions(post_finalization_callback=self._seal),
            )
        self._manager = ocp.CheckpointManager(self._directory, options=options, item_handlers=handlers)

    def steps(self) -> list[int]:
        """Steps of the checkpoints, ascending; the last one may not be complete yet."""
        return sorted(self._manager.all_steps())

    def save(self, state: Any, step: int, extra: Mapping[str, Any]) -> bool:
        """Begins to save, and returns when the state is copied to the host, so that its arrays may be donated.

        It waits for the end of the previous save. Old checkpoints are removed when this one is complete.

        Args:
            state: pytree of JAX arrays, none of them empty.
            step: number of steps made.
            extra: JSON values that `restore` returns with the state.

        Returns:
            False if there is a checkpoint of this step already.

        Raises:
            InputError: the previous save failed, or this one cannot begin.
        """
        self.wait()
        if step in self._manager.all_steps():
            return False
        arrays = named_leaves(state)
        about = {"format": FORMAT, "extra": dict(extra), "arrays": describe_arrays(arrays)}
        items = ocp.args.Composite(state=ocp.args.PyTreeSave(arrays), about=ocp.args.JsonSave(about))
        self._saving = step
        with self._explained():
            self._manager.save(step, args=items, force=True)
        return True

    def raise_if_failed(self) -> None:
        """Raises InputError if the last save has failed. It takes less than 0.1 ms, so every step may call it."""
        if not self._manager.is_saving_in_progress():
            self.wait()

    def wait(self) -> None:
        """Waits for the end of the last save.

        Raises:
            InputError: it failed, because the disk is full for example.
        """
        with self._explained():
            self._manager.wait_until_finished()

    def restore(
        self, abstract_state: Any, step: int | None = None, *, inherited: Sequence[tuple[str, str]] = ()
    ) -> tuple[Any, dict[str, Any]] | None:
        """Reads the newest undamaged checkpoint. Newer ones are moved into `damaged`, with a warning for each.

        Args:
            abstract_state: pytree of `jax.ShapeDtypeStruct` with shardings, on any mesh.
            step: step of the only checkpoint to try; None for all.
            inherited: rules (regular expression over an array's whole path, path of another array) for arrays that
                earlier versions did not save: they get the value of the other array.

        Returns:
            The state and `extra`; None if there are no checkpoints.

        Raises:
            InputError: all checkpoints are damaged, in which case they stay in place; or the checkpoint is of another
                model or optimiser.
        """
        self.wait()
        chosen, self._scores = from_first_host(lambda: self._choose(step))
        if chosen is None:
            return None
        self._manager.reload()
        where = self._directory / str(chosen)
        wanted = named_leaves(abstract_state)
        try:
            about = self._manager.restore(chosen, args=ocp.args.Composite(about=ocp.args.JsonRestore()))["about"]
            sources = find_sources(about["arrays"], wanted, inherited)
            check_same_arrays(about, wanted, sources, where)
            saved = {name: leaf for name, leaf in wanted.items() if name not in sources}
            arguments = ocp.checkpoint_utils.construct_restore_args(saved)
            items = ocp.args.Composite(state=ocp.args.PyTreeRestore(saved, restore_args=arguments))
            arrays = self._manager.restore(chosen, args=items)["state"]
        except InputError:
            raise
        except Exception as error:  # Orbax and tensorstore raise many kinds
            raise InputError(
                f"checkpoint {where} is undamaged but cannot be read: {first_line(error)}; give another workdir"
            ) from error
        # Copies, because a training step reuses the memory of each array.
        arrays |= {name: jnp.copy(arrays[source]) for name, source in sources.items()}
        return jax.tree.unflatten(jax.tree.structure(abstract_state), [arrays[name] for name in wanted]), about["extra"]

    def score(self, step: int, value: float | None) -> None:
        """Stores the score of a checkpoint, such as m_vIoU of a validation. Those with the highest scores are kept.

        Args:
            step: one of `steps()`.
            value: the score, not NaN. Only that of host 0 is used.
        """
        self._scores = from_first_host(lambda: self._write_score(step, value))

    def scores(self) -> dict[int, float]:
        """Step -> score, for the checkpoints that were evaluated to the end."""
        present = set(self._manager.all_steps())
        return {int(step): value for step, value in self._scores.items() if int(step) in present}

    def best(self) -> int | None:
        """Step of the checkpoint with the highest score, the earliest of equals; None if there are no scores."""
        return next(iter(self._ranked(self._manager.all_steps())), None)

    def require_space(self, abstract_state: Any) -> None:
        """Raises InputError unless the disk has space for all checkpoints that are kept and the one being written.

        Args:
            abstract_state: pytree with shapes and dtypes.
        """
        size = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(abstract_state))
        number = self._keep + self._keep_best + 1
        steps = self.steps()

        def check() -> None:
            # At least one more checkpoint is written.
            needed = size * max(1, number - len(steps))
            what = f"up to {number} checkpoints of {size / 1e9:,.2f} GB are kept, which takes another"
            require_space(self._directory, needed, what)

        from_first_host(check)

    def close(self) -> None:
        """Waits for the last save and closes the folder.

        Raises:
            InputError: the save failed.
        """
        try:
            self.wait()
        finally:
            # Parts of a save fail separately, and Orbax raises further errors here.
            with contextlib.suppress(Exception) if self._failed else self._explained():
                self._manager.close()

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """True for each checkpoint to keep; Orbax calls it as its `PreservationPolicy` when a save begins."""
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = {*sorted(steps)[-self._keep :], *self._ranked(steps)[: self._keep_best]}
        return [step in kept for step in steps]

    def _ranked(self, steps: Sequence[int]) -> list[int]:
        """Steps with a score, the best first, the earlier of equals before the later."""
        scored = [step for step in sorted(steps) if str(step) in self._scores]
        return sorted(scored, key=lambda step: -self._scores[str(step)])

    def _open(self) -> dict[str, float]:
        """Makes the folder and reads the scores, on host 0."""
        try:
            if not self._read_only:
                self._directory.mkdir(parents=True, exist_ok=True)
                with whole_file(self._directory / "writable"):
                    pass
                (self._directory / "writable").unlink()
            elif not self._directory.is_dir():
                raise InputError(f"there are no checkpoints in {self._directory}; give the folder of another run")
            return read_scores(self._directory)
        except OSError as error:
            raise InputError(
                f"cannot write checkpoints into {self._directory}: {error.strerror}; choose another workdir"
            ) from error

    def _write_score(self, step: int, value: float | None) -> dict[str, float]:
        if value is None or math.isnan(value):
            raise ValueError(f"{value} is not a score")
        present = {str(other) for other in self._manager.all_steps()}
        if str(step) not in present:
            raise ValueError(f"there is no checkpoint of step {step}")
        scores = {name: kept for name, kept in self._scores.items() if name in present} | {str(step): float(value)}
        write_scores(self._directory, scores)
        return scores

    def _seal(self) -> None:
        """Writes the checksums; Orbax calls it on host 0 when all files are written, before it renames the folder."""
        (folder,) = self._directory.glob(f"{self._saving}.orbax-checkpoint-tmp*")
        write_checksums(folder)

    def _choose(self, asked: int | None) -> tuple[int | None, dict[str, float]]:
        """Chooses the checkpoint to read, on host 0, and moves newer, damaged ones aside.

        Returns:
            Its step, and the scores without those of the damaged checkpoints.
        """
        steps = self.steps() if asked is None else [asked]
        damaged: dict[int, str] = {}
        for step in reversed(steps):
            if (fault := find_fault(self._directory / str(step))) is None:
                break
            damaged[step] = fault
        else:
            if not steps:
                return None, self._scores
            faults = "; ".join(f"{step}: {fault}" for step, fault in damaged.items())
            raise InputError(
                f"no checkpoint in {self._directory} can be used: {faults}; restore the files from a backup, or choose "
                "another workdir to start anew"
            )
        for other, fault in damaged.items():
            _log.warning("checkpoint %s/%d is damaged: %s; using step %d", self._directory, other, fault, step)
        scores = {name: score for name, score in self._scores.items() if int(name) not in damaged}
        if damaged and not self._read_only:
            # The run will make these steps again, and save and score them under the same names.
            write_scores(self._directory, scores)
            move_aside(self._directory, damaged)
        return step, scores

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns the errors of a failed save, which have many types, into an InputError."""
        try:
            yield
        except Exception as error:
            self._failed = True
            self._manager.reload()
            rest = [step for step in self.steps() if step != self._saving]
            text = f"{error} {error.__cause__ or ''}".lower()
            remedy = "free space there" if any(sign in text for sign in _NO_SPACE) else "remove the cause"
            raise InputError(
                f"the checkpoint of step {self._saving} could not be written into {self._directory}: "
                f"{first_line(error)}; {remedy} and give the same command again: it continues from "
                f"{f'step {rest[-1]}' if rest else 'the start'}"
            ) from error
