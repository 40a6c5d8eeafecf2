"""Evaluation of a checkpoint on a split, over all devices of all hosts, that goes on where it was interrupted.

OUT/records/         answers as they come, one file per host; what makes an evaluation resumable
OUT/records.jsonl    all answers
OUT/predictions.json the same in the released systems' format
OUT/metrics.json     the measures
OUT/table.md         beside the published ones
OUT/index.html       with the best, median and worst cases in pictures
OUT/examples/        pictures of fixed samples, where they are asked for
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import Progress
from stvg_jax.core.tree import unflatten
from stvg_jax.eval.config import EvalConfig
from stvg_jax.eval.records import Record, RecordWriter, check_identity, read_records, write_records
from stvg_jax.eval.step import EvalStep, make_step
from stvg_jax.grounding.evaluation.examples import draw_examples
from stvg_jax.grounding.evaluation.page import write_page
from stvg_jax.grounding.evaluation.result_files import write_results
from stvg_jax.grounding.evaluation.scoring import Score, score, write_metrics
from stvg_jax.grounding.evaluation.table import given_interval_table, results_table
from stvg_jax.grounding.evaluation.types import Prediction
from stvg_jax.grounding.inference.passes import read_passes
from stvg_jax.grounding.inputs import Inputs
from stvg_jax.models.loading import LoadedModel
from stvg_jax.parallel.feed import ahead, local_rows, to_mesh
from stvg_jax.parallel.mesh import replicate
from stvg_jax.runtime.memory import Rows, check_memory, exhaustion_told

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.annotations import Sample

_PASSES = 2


def evaluate(
    model: LoadedModel,
    inputs: Inputs,
    config: EvalConfig,
    out: Path,
    *,
    mesh: Mesh,
    progress: Progress,
    step: EvalStep | None = None,
    examples: int = 0,
) -> tuple[Score, str] | None:
    """Evaluates, writes the files above, and returns the score and its tables as text; None on hosts but the first.

    All hosts call it, with a folder that all of them see.

    Args:
        model: what to evaluate.
        inputs: the split.
        config: see EvalConfig.
        out: folder for the results.
        mesh: all devices.
        progress: told what is going on.
        step: of `make_step` for this module and mesh, to spare compiling it again.
        examples: how many samples, the same ones each time, to draw in OUT/examples.

    Raises:
        InputError: the folder holds another evaluation, the hosts do not share it, or data is damaged.
    """
    samples = inputs.annotations.samples
    folder = out / "records"
    identity = _identity(model, inputs, config)
    folder.mkdir(parents=True, exist_ok=True)
    check_identity(folder, identity)
    known = {record.id for record in read_records(folder)}
    missing = [index for index, sample in enumerate(samples) if sample.id not in known]
    # Nobody writes before everybody has read: all hosts must plan the same batches.
    _meet("records read")
    with RecordWriter(folder, identity, jax.process_index()) as writer:
        _meet("records open")
        _check_shared(folder)
        if missing:
            step = step or make_step(model.module, mesh)
            _run(model, inputs, config, mesh, step, missing, writer, progress=progress)
    _meet("evaluated")
    if jax.process_index():
        return None
    with progress.stage("scoring"):
        # The order of the annotations, whatever order they were evaluated in.
        by_id = {record.id: record for record in read_records(folder)}
        records = [by_id[sample.id] for sample in samples]
        report = _report(records, model, inputs, config, out)
    if examples:
        with progress.stage("drawing examples"):
            draw_examples(
                out / "examples",
                records,
                {sample.id: sample for sample in samples},
                lambda video, ids: _pictures(inputs, video, ids),
                lambda video: inputs.store.videos[video].fps,
                examples,
            )
    return report


def _run(
    model: LoadedModel,
    inputs: Inputs,
    config: EvalConfig,
    mesh: Mesh,
    step: EvalStep,
    missing: Sequence[int],
    writer: RecordWriter,
    *,
    progress: Progress,
) -> None:
    hosts = jax.process_index(), jax.process_count()
    with progress.stage("checking samples and frames"):
        loader = inputs.loader(
            model.clip_config,
            model.tokenizer,
            training=False,
            reads_subject=model.reads_subject,
            batch_size=config.samples_per_device * mesh.size,
            hosts=hosts,
            only=missing,
        )
    check_memory(
        model.config,
        Rows(_PASSES * config.samples_per_device, *loader.largest_clip, pixel_bytes=1, number_bytes=2),
        f"config.eval.samples_per_device={config.samples_per_device}, resolution {model.clip_config.resolution}",
    )
    with progress.stage("reading parameters"):
        parameters = replicate(unflatten(model.read_parameters()), mesh)
    batches = ahead(loader.batches(), lambda batch: (batch, to_mesh(_arrays(batch), mesh)))
    total = len(inputs.annotations.samples)
    advice = "lower config.eval.samples_per_device or config.clip.resolution"
    with exhaustion_told(advice), progress.bar("evaluating", total, "sample", total - len(missing)) as advance:
        for batch, arrays in batches:
            output = {name: local_rows(value) for name, value in step(parameters, arrays).items()}
            writer.append(_answers(batch, output, inputs.annotations.samples))
            advance(_real_samples(batch))


def _arrays(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value for name, value in batch.items() if name not in ("sample", "pass", "frame_ids")}


def _real_samples(batch: Mapping[str, np.ndarray]) -> int:
    """Samples in this host's rows, times the hosts: good enough for a progress bar."""
    return int((batch["sample"] >= 0).sum()) // _PASSES * jax.process_count()


def _answers(
    batch: Mapping[str, np.ndarray], output: Mapping[str, np.ndarray], samples: Sequence[Sample]
) -> list[Record]:
    """Records of the samples in this host's rows."""
    records = []
    for row in range(0, len(batch["sample"]), _PASSES):
        if batch["sample"][row] < 0:
            continue
        both = slice(row, row + _PASSES)
        ids = [
            frames[valid].astype(np.int64)
            for frames, valid in zip(batch["frame_ids"][both], batch["frames_valid"][both], strict=True)
        ]
        names = ("boxes_cxcywh", "start_end_logits", "actioness_logits", "sampling_score")
        passes, scores = read_passes(ids, *(output[name][both] for name in names))
        sample = samples[batch["sample"][row]]
        # A clip of one frame is in both passes; its record has the frame once.
        _, first = np.unique(scores.frames, return_index=True)
        once = type(scores)(*(getattr(scores, field.name)[first] for field in dataclasses.fields(scores)))
        records.append(Record.of(sample, Prediction.from_passes(passes, sample.height, sample.width), once))
    return records


def _report(
    records: Sequence[Record], model: LoadedModel, inputs: Inputs, config: EvalConfig, out: Path
) -> tuple[Score, str]:
    annotations, data = inputs.annotations, inputs.data
    truths = {sample.id: sample for sample in annotations.samples}
    notes = []
    if annotations.excluded:
        notes.append(f"Entries of the annotations that are left out: {len(annotations.excluded):,}.")
    if inputs.unusable:
        notes.append(f"Samples left out because their video is missing or is another: {inputs.unusable:,}.")
    result = score({r.id: r.prediction.filled() for r in records}, annotations.samples, notes=notes)
    benchmark = None if config.benchmark == "none" else config.benchmark
    name = model.description.model
    tables = [
        results_table(result.groups, benchmark, f"stvg_jax {name}", f"{data.dataset}, {config.split}"),
        given_interval_table(result.groups),
    ]
    write_records(out / "records.jsonl", records)
    write_results(out / "predictions.json", records, truths, apart=data.dataset == "vidstg")
    about = {"model": name, "dataset": data.dataset, "split": config.split, "dtype": config.dtype}
    write_metrics(out / "metrics.json", result, **about)
    text = "\n\n".join([*(table.text() for table in tables), *result.notes])
    (out / "table.md").write_text("\n".join([*(table.markdown() for table in tables), *result.notes, ""]))
    clip = model.clip_config
    write_page(
        out / "index.html",
        records,
        truths,
        lambda video, ids: _pictures(inputs, video, ids),
        title=f"{name} on {data.dataset}, {config.split}",
        about=[f"Resolution {clip.resolution}, {config.dtype}. {model.description.note}".strip()],
        tables=tables,
        notes=result.notes,
        count=config.pictures,
    )
    return result, text


def _pictures(inputs: Inputs, video: str, frame_ids: list[int]) -> list[np.ndarray]:
    from stvg_jax.data_pipeline.shards.jpeg import decode

    return [decode(jpeg) for jpeg in inputs.store.read(video, frame_ids)]


def _identity(model: LoadedModel, inputs: Inputs, config: EvalConfig) -> dict[str, Any]:
    """All that decides what the answers are."""
    samples = hashlib.sha256()
    for sample in inputs.annotations.samples:
        asked = [sample.id, sample.video, sample.subject, sample.sentence, sample.clip, sample.tube]
        samples.update(json.dumps(asked).encode() + sample.boxes_xyxy.tobytes())
    parameters = json.dumps(model.description.parameters, sort_keys=True).encode()
    return {
        "parameters": hashlib.sha256(parameters).hexdigest(),
        "model": json.loads(model.identity),
        "clip": dataclasses.asdict(model.clip_config),
        "samples": samples.hexdigest(),
        "split": config.split,
        "frames": dataclasses.asdict(inputs.store.settings),
    }


def _meet(what: str) -> None:
    """Waits until all hosts are here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def _check_shared(folder: Path) -> None:
    """InputError unless every host sees the files of all others."""
    seen = len(list(folder.glob("part-*.jsonl")))
    if seen < jax.process_count():
        raise InputError(
            f"host {jax.process_index()} sees the records of {seen} of {jax.process_count()} hosts in {folder}; give "
            "--out a folder that all hosts share"
        )
