"""Checkpoints of a training run: written while it goes on, whole or not at all, and known to be undamaged when read.

DIR/STEP/                the state after STEP steps and what goes with it, by Orbax
DIR/STEP/checksums.json  crc32 and size of every file in it
DIR/scores.json          of the checkpoints that were evaluated
DIR/damaged/STEP/        what failed its checksums and was passed over

Orbax writes into a temporary folder and renames it when all hosts are done. The checksums are made before that
renaming, on the thread that writes, so a checkpoint with its final name has them: one without is damaged or is not of
this library. Orbax alone does not notice a flipped bit.

Everything here is called by all hosts at the same place of their main threads, because Orbax lets hosts meet in device
collectives there; its background thread uses the coordination service, which does not disturb the program's own.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

from stvg_jax.core.errors import InputError, first_line, quoted
from stvg_jax.core.files import check_kinds, whole_file
from stvg_jax.core.json_files import parse_json
from stvg_jax.core.tree import check_same_parameters
from stvg_jax.train.workdir import from_first_host, require_space

_log = logging.getLogger(__name__)
_CHECKSUMS = "checksums.json"
_SCORES = "scores.json"
_DAMAGED = "damaged"
_FORMAT = "stvg_jax.train/1"
# Rewritten by Orbax while it renames the folder; reading a state does not need it.
_ORBAX_METADATA = "_CHECKPOINT_METADATA"
_CHUNK = 1 << 22
_READERS = 4
_NO_SPACE = ("no space left", "disk quota", "file too large", "enospc", "edquot", "efbig")


class Checkpoints:
    """The checkpoints in a folder, on a file system that all hosts share.

    Args:
        directory: made if missing.
        keep: newest checkpoints to keep, at least 2: a damaged one needs another to go back to.
        keep_best: checkpoints with the highest scores to keep besides.
        read_only: to read the checkpoints of a run that may still go on; nothing in the folder is changed.

    Raises:
        InputError: the folder cannot be written, or `keep` is too small.
    """

    def __init__(self, directory: Path, *, keep: int = 3, keep_best: int = 1, read_only: bool = False):
        if keep < 2:
            raise InputError(f"keep is {keep}; at least 2 checkpoints are needed to survive damage to the newest")
        # Orbax narrates every save at INFO, and prints a traceback for errors that are raised here too.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self._directory = directory.absolute()
        self._keep, self._keep_best, self._read_only = keep, keep_best, read_only
        self._saving: int | None = None
        self._failed = False
        self._scores = from_first_host(self._open)
        # Compression would save a twelfth of the space and make a save take three times as long.
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
        """Steps of the checkpoints, ascending; the last may still be being written."""
        return sorted(self._manager.all_steps())

    def save(self, state: Any, step: int, extra: Mapping[str, Any]) -> bool:
        """Begins to save and returns when the state is copied to the host: its arrays may be donated then.

        Waits for the save before, if that still goes on. Old checkpoints are removed after this one is complete.

        Args:
            state: pytree of jax arrays, none of them empty.
            step: number of steps that led to it.
            extra: JSON values to get back with it.

        Returns:
            False if there is a checkpoint of this step already.

        Raises:
            InputError: the save before failed, or this one cannot begin.
        """
        self.wait()
        if step in self._manager.all_steps():
            return False
        arrays = _named_leaves(state)
        about = {"format": _FORMAT, "extra": dict(extra), "arrays": _describe(arrays)}
        items = ocp.args.Composite(state=ocp.args.PyTreeSave(arrays), about=ocp.args.JsonSave(about))
        self._saving = step
        with self._explained():
            self._manager.save(step, args=items, force=True)
        return True

    def raise_if_failed(self) -> None:
        """InputError if the last save has ended and failed. Takes less than 0.1 ms: call it every step."""
        if not self._manager.is_saving_in_progress():
            self.wait()

    def wait(self) -> None:
        """Returns when the last save is complete.

        Raises:
            InputError: it failed, for want of space for instance.
        """
        with self._explained():
            self._manager.wait_until_finished()

    def restore(
        self, abstract_state: Any, step: int | None = None, *, inherited: Sequence[tuple[str, str]] = ()
    ) -> tuple[Any, dict[str, Any]] | None:
        """Reads the newest undamaged checkpoint; newer ones are moved into `damaged`, with a warning each.

        Args:
            abstract_state: pytree of `jax.ShapeDtypeStruct` with shardings, on any mesh.
            step: reads this one or none.
            inherited: rules (regular expression over an array's whole path, path of another array) for arrays that
                earlier versions did not save: they start with the other's value.

        Returns:
            The state and `extra`, or None if there are no checkpoints.

        Raises:
            InputError: all are damaged (they stay where they are then), or it is of another model or optimiser.
        """
        self.wait()
        chosen, self._scores = from_first_host(lambda: self._choose(step))
        if chosen is None:
            return None
        self._manager.reload()
        where = self._directory / str(chosen)
        wanted = _named_leaves(abstract_state)
        try:
            about = self._manager.restore(chosen, args=ocp.args.Composite(about=ocp.args.JsonRestore()))["about"]
            sources = _sources(about["arrays"], wanted, inherited)
            _check_same_arrays(about, wanted, sources, where)
            saved = {name: leaf for name, leaf in wanted.items() if name not in sources}
            arguments = ocp.checkpoint_utils.construct_restore_args(saved)
            items = ocp.args.Composite(state=ocp.args.PyTreeRestore(saved, restore_args=arguments))
            arrays = self._manager.restore(chosen, args=items)["state"]
        except InputError:
            raise
        except Exception as error:  # Orbax and tensorstore raise many kinds
            raise InputError(f"checkpoint {where} is undamaged but cannot be read: {first_line(error)}") from error
        # Copies, because a training step gives each array's memory away.
        arrays |= {name: jnp.copy(arrays[source]) for name, source in sources.items()}
        return jax.tree.unflatten(jax.tree.structure(abstract_state), [arrays[name] for name in wanted]), about["extra"]

    def score(self, step: int, value: float | None) -> None:
        """Notes how good a checkpoint is, such as m_vIoU of a validation: the highest are kept.

        Args:
            step: one of `steps()`.
            value: not NaN; host 0's counts.
        """
        self._scores = from_first_host(lambda: self._write_score(step, value))

    def scores(self) -> dict[int, float]:
        """Step -> score of the checkpoints that have one. A checkpoint without one was not evaluated to the end."""
        present = set(self._manager.all_steps())
        return {int(step): value for step, value in self._scores.items() if int(step) in present}

    def best(self) -> int | None:
        """Step of the checkpoint with the highest score, the earliest of equals; None if none has one."""
        return next(iter(self._ranked(self._manager.all_steps())), None)

    def require_space(self, abstract_state: Any) -> None:
        """InputError unless the disk has room for all checkpoints that will be kept and the one being written.

        Args:
            abstract_state: pytree with shapes and dtypes.
        """
        size = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(abstract_state))
        number = self._keep + self._keep_best + 1
        steps = self.steps()

        def check() -> None:
            # At least one more is written, whatever there is already.
            needed = size * max(1, number - len(steps))
            what = f"up to {number} checkpoints of {size / 1e9:,.2f} GB are kept, which takes another"
            require_space(self._directory, needed, what)

        from_first_host(check)

    def close(self) -> None:
        """Waits for the last save and lets go of the folder.

        Raises:
            InputError: the save failed.
        """
        try:
            self.wait()
        finally:
            # Parts of a save fail one by one, and Orbax raises the others' errors here.
            with contextlib.suppress(Exception) if self._failed else self._explained():
                self._manager.close()

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Which checkpoints stay, as Orbax asks its `PreservationPolicy` when a save begins."""
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = {*sorted(steps)[-self._keep :], *self._ranked(steps)[: self._keep_best]}
        return [step in kept for step in steps]

    def _ranked(self, steps: Sequence[int]) -> list[int]:
        """Those of the steps that have a score, the best first, the earlier of equals before the later."""
        scored = [step for step in sorted(steps) if str(step) in self._scores]
        return sorted(scored, key=lambda step: -self._scores[str(step)])

    def _open(self) -> dict[str, float]:
        """What host 0 does first. Returns the scores by step; JSON's keys are texts."""
        scores = self._directory / _SCORES
        try:
            if not self._read_only:
                self._directory.mkdir(parents=True, exist_ok=True)
                with whole_file(self._directory / "writable"):
                    pass
                (self._directory / "writable").unlink()
            elif not self._directory.is_dir():
                raise InputError(f"there are no checkpoints in {self._directory}")
            return _read_scores(scores) if scores.exists() else {}
        except OSError as error:
            raise InputError(f"cannot write checkpoints into {self._directory}: {error.strerror}") from error
        except ValueError as error:
            _log.warning("%s is damaged (%s); no checkpoint counts as the best", scores, first_line(error))
            return {}

    def _write_score(self, step: int, value: float | None) -> dict[str, float]:
        if value is None or math.isnan(value):
            raise ValueError(f"{value} is not a score")
        present = {str(other) for other in self._manager.all_steps()}
        if str(step) not in present:
            raise ValueError(f"there is no checkpoint of step {step}")
        scores = {name: kept for name, kept in self._scores.items() if name in present} | {str(step): float(value)}
        _write_scores(self._directory, scores)
        return scores

    def _seal(self) -> None:
        """Writes the checksums; Orbax calls it on host 0 when all files of a save are written, before renaming."""
        (folder,) = self._directory.glob(f"{self._saving}.orbax-checkpoint-tmp*")
        files = [file for file in folder.rglob("*") if file.is_file() and file != folder / _ORBAX_METADATA]
        table = {file.relative_to(folder).as_posix(): entry for file, entry in _checksums(files).items()}
        with whole_file(folder / _CHECKSUMS) as file:
            json.dump(table, file)

    def _choose(self, asked: int | None) -> tuple[int | None, dict[str, float]]:
        """What host 0 does before a restore. Moves damaged checkpoints aside if there is a good one.

        Returns:
            The step to read, and the scores without those of what was moved.
        """
        steps = self.steps() if asked is None else [asked]
        damaged: dict[int, str] = {}
        for step in reversed(steps):
            if (fault := _fault(self._directory / str(step))) is None:
                break
            damaged[step] = fault
        else:
            if not steps:
                return None, self._scores
            faults = "; ".join(f"{step}: {fault}" for step, fault in damaged.items())
            raise InputError(
                f"no checkpoint in {self._directory} can be used: {faults}. Restore the files from a backup, or choose "
                "another workdir to start anew"
            )
        for other, fault in damaged.items():
            _log.warning("checkpoint %s/%d is damaged: %s; using step %d", self._directory, other, fault, step)
        scores = {name: score for name, score in self._scores.items() if int(name) not in damaged}
        if damaged and not self._read_only:
            # The run will come to these steps again, and saves and scores them under the same names.
            _write_scores(self._directory, scores)
            for other in damaged:
                _move_into(self._directory / _DAMAGED, self._directory / str(other))
        return step, scores

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns the many kinds of errors of a save that failed into one for people."""
        try:
            yield
        except Exception as error:
            self._failed = True
            self._manager.reload()
            rest = [step for step in self.steps() if step != self._saving]
            text = f"{error} {error.__cause__ or ''}".lower()
            mend = "free space there" if any(sign in text for sign in _NO_SPACE) else "mend the cause"
            raise InputError(
                f"the checkpoint of step {self._saving} could not be written into {self._directory}: "
                f"{first_line(error)}; {mend} and give the same command again: it continues from "
                f"{f'step {rest[-1]}' if rest else 'the start'}"
            ) from error


def _named_leaves(state: Any) -> dict[str, Any]:
    """Path -> leaf, in the tree's order. Orbax keeps flat dictionaries as they are; other containers it may not."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in jax.tree.leaves_with_path(state)
    }


def _describe(arrays: Mapping[str, Any]) -> dict[str, list]:
    return {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()}


def _sources(saved: Collection[str], wanted: Iterable[str], inherited: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Array that is not saved -> saved array whose value it takes, by the first rule that names both."""
    sources = {}
    for name in wanted:
        if name not in saved:
            others = (match.expand(other) for pattern, other in inherited if (match := re.fullmatch(pattern, name)))
            if source := next((other for other in others if other in saved), None):
                sources[name] = source
    return sources


def _check_same_arrays(
    about: Mapping[str, Any], wanted: Mapping[str, Any], sources: Mapping[str, str], where: Path
) -> None:
    # Orbax would pad and cut arrays of other shapes, and convert those of other types.
    if about["format"] != _FORMAT:
        raise InputError(f"{where} has format {about['format']!r}; this version reads {_FORMAT!r}")
    found = {name: jax.ShapeDtypeStruct(shape, dtype) for name, (dtype, shape) in about["arrays"].items()}
    found |= {name: found[source] for name, source in sources.items()}
    check_same_parameters(found, wanted, str(where))
    types = {name: (found[name].dtype, leaf.dtype) for name, leaf in wanted.items()}
    if other := [f"{name} is {there}, not {here}" for name, (there, here) in types.items() if there != here]:
        raise InputError(f"{where} has arrays of other types: {'; '.join(other)}")


def _checksums(files: Sequence[Path]) -> dict[Path, list[int]]:
    """[crc32, bytes] of each file."""
    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip(files, pool.map(_checksum, files), strict=True))


def _checksum(path: Path) -> list[int]:
    value, size = 0, 0
    chunk = memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(chunk):
            value = zlib.crc32(chunk[:count], value)
            size += count
    return [value, size]


def _fault(folder: Path) -> str | None:
    """What is wrong with a checkpoint's files; None if nothing is."""
    if not folder.is_dir():
        return "does not exist"
    try:
        table = {folder / name: list(entry) for name, entry in parse_json((folder / _CHECKSUMS).read_bytes()).items()}
        for file, (_, size) in table.items():
            if not file.is_file():
                return f"{file.relative_to(folder)} is missing"
            if (found := file.stat().st_size) != size:
                return f"{file.relative_to(folder)} has {found:,} bytes, not {size:,}"
        for file, entry in _checksums(list(table)).items():
            if entry != table[file]:
                return f"{file.relative_to(folder)} differs from its checksum"
    except FileNotFoundError:
        return f"{_CHECKSUMS} is missing"
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return f"cannot be checked: {first_line(error)}"
    return None


def _read_scores(path: Path) -> dict[str, float]:
    """Scores by step; ValueError for a damaged file."""
    scores = parse_json(path.read_bytes())
    check_kinds(scores, {}, others=(int, float))
    if wrong := [step for step, value in scores.items() if not step.isdecimal() or not math.isfinite(value)]:
        raise ValueError(f"{quoted(wrong[0], 40)} has no score")
    return scores


def _write_scores(directory: Path, scores: Mapping[str, float]) -> None:
    with whole_file(directory / _SCORES) as file:
        json.dump(scores, file)


def _move_into(folder: Path, path: Path) -> None:
    folder.mkdir(exist_ok=True)
    number = 0
    while (target := folder / (path.name if not number else f"{path.name}.{number}")).exists():
        number += 1
    path.rename(target)
