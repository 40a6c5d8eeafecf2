"""Conversion of a released checkpoint file into a checkpoint directory: `stvg-jax convert`."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from stvg_jax import __version__
from stvg_jax.convert import hub
from stvg_jax.convert.formats import get_format
from stvg_jax.convert.readers import Checkpoint, open_checkpoint, sha256
from stvg_jax.convert.renaming import Converted
from stvg_jax.convert.state_dict import (
    check_model,
    convert_checked,
    declared_parameters,
    describe_nonfinite,
    released_config,
)
from stvg_jax.convert.tokenizer import save_tokenizer
from stvg_jax.convert.unsaved import Made, make_unsaved
from stvg_jax.convert.weights import Weights, choose_weights
from stvg_jax.convert.wordpiece import save_wordpiece
from stvg_jax.core import checkpoint
from stvg_jax.core.config import build
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.progress import Progress, Silent, size_text
from stvg_jax.core.registry import build_config, get_family

# By `stvg_jax.family.TextSize.tokenizer`.
_TOKENIZERS = {"roberta": save_tokenizer, "bert": save_wordpiece}
# Bytes of parameters above which a checkpoint is one safetensors file: Orbax makes a second copy in memory to write and
# to read.
_LARGE = 3 << 30


def convert_file(
    source: Path,
    out: Path,
    *,
    format: str = "auto",
    weights: str = "auto",
    node: str | None = None,
    config: Mapping[str, Any] | None = None,
    tokenizer: Path | None = None,
    backbone: Path | None = None,
    values: Mapping[str, str] | None = None,
    allow_nonfinite: bool = False,
    storage: str = "float32",
    verify: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Converts `source` into the checkpoint directory `out`, which appears whole or not at all.

    Args:
        source: a .pth, .pt, .bin or .safetensors file, or the index or the folder of a checkpoint in several files;
            with the format "roberta" also the name of a text encoder on the Hugging Face hub.
        out: directory to make.
        format: a name from `convert.formats.known_formats`, or "auto" to recognise it by the tensors' names.
        weights: "ema", "model", or "auto" for the moving average if there is one.
        node: place of the weights in the file, see `convert.weights.choose_weights`; None to find them.
        config: configuration to check against and to write; None for that of the release.
        tokenizer: folder with the tokenizer's files, or the name of a repository on the hub; None for the usual one,
            from the hub, or for none in a checkpoint that training starts from.
        backbone: file of the frozen backbone, for a checkpoint without it (`Format.backbone`).
        values: ways to make parameters that the released code does not save, or .npy files with them, by path
            (`Format.unsaved`).
        allow_nonfinite: also accept NaN and infinite values, and list their tensors in the report.
        storage: dtype of the matrices in the result, "float32", or "bfloat16" for half the size.
        verify: read the result back and compare every tensor.
        force: replace `out` if it exists.
        progress: shows the work; None shows nothing.

    Returns:
        The report, which is also written to `out/conversion.json`.

    Raises:
        InputError: see `open_checkpoint`, `find_text_encoder`, `convert_state_dict`, `make_unsaved`, `save_tokenizer`,
            `save_wordpiece`, `new_directory`; or a backbone is missing, or given for a checkpoint that has all.
    """
    progress = progress or Silent()
    if out.resolve() in (source.resolve(), *source.resolve().parents):
        raise InputError(f"{source} lies in {out}, which would be replaced; choose another folder")
    by_name = hub.is_name(source)
    source, where, short = _found_by_name(source, format) if by_name else (source, str(source), source.name)
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_checkpoint(source))
        directory = stack.enter_context(checkpoint.new_directory(out, force=force))
        chosen = choose_weights(opened.tree, where, format=format, weights=weights, node=node)
        fmt = chosen.names.format
        files = [_File(opened, chosen, where), *_open_backbone(chosen, backbone, where, stack)]
        config, told = _config_of_file(chosen, opened.tree) if config is None else (config, {})
        declared, sections = declared_parameters(config), {"model": config["model"], "clip": _clip(config)}
        check_model(fmt, config, where)
        if by_name:
            hub.check_text_encoder(source.parent, config["model"]["roberta"], where)
        made = make_unsaved(fmt, chosen.names.tensors, declared, values or {}, where)
        origin = None if fmt.is_partial and tokenizer is None else _save_tokenizer(tokenizer, directory, config)
        options = {"allow_nonfinite": allow_nonfinite, "may_hint": weights == "auto" and node is None}
        parameters, report = _convert_files(files, declared, made, progress, **options)
        report |= {"settings": told, "tokenizer": origin, "storage": storage}
        kind, note = "initialisation" if fmt.is_partial else "model", f"converted from {short}, {chosen.label}"
        description = checkpoint.Description(config["name"], sections, kind=kind, note=note)
        _write(directory, parameters, description, report, progress if verify else None)
    return report


def _save_tokenizer(source: Path | None, directory: Path, config: Mapping[str, Any]) -> str:
    """Writes a model's tokenizer into a checkpoint, before the tensors, which take a minute. Returns its origin."""
    text = get_family(config["name"]).text(build_config(config["name"], config["model"]))
    return _TOKENIZERS[text.tokenizer](source, directory / checkpoint.TOKENIZER, text.vocab_size)


def _round(parameters: dict[str, np.ndarray]) -> None:
    """Rounds matrices, kernels and tables to bfloat16. The rest is a thousandth of a model, and norms are read in
    float32."""
    for path, value in parameters.items():
        if value.ndim >= 2:
            parameters[path] = value.astype(ml_dtypes.bfloat16)


def _write(
    directory: Path,
    parameters: dict[str, Any],
    description: checkpoint.Description,
    report: dict[str, Any],
    verifying: Progress | None,
) -> None:
    """Writes a checkpoint with its report; reads it back, unless `verifying` is None, and adds the result to it.

    Parameters are rounded first if the report's `storage` says so, and `parameters` is emptied, so that the memory of a
    large model is not needed twice.
    """
    if report["storage"] == "bfloat16":
        _round(parameters)
    checkpoint.write(directory, parameters, description, one_file=sum(p.nbytes for p in parameters.values()) > _LARGE)
    count = len(parameters)
    parameters.clear()
    if verifying is not None:
        with verifying.bar("verifying", count, "parameter") as step:
            report["verified"] = checkpoint.verify(directory, progress=lambda _: step())
    (directory / checkpoint.CONVERSION).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


class _File(NamedTuple):
    """An open checkpoint, the weights to take of it, and its name in messages."""

    opened: Checkpoint
    chosen: Weights
    where: str


def _open_backbone(chosen: Weights, backbone: Path | None, where: str, stack: contextlib.ExitStack) -> list[_File]:
    """The file of the backbone that a checkpoint lacks; nothing for a checkpoint that lacks none."""
    fmt = chosen.names.format
    other = None if fmt.backbone is None else get_format(fmt.backbone)
    if other is None or any(map(other.is_filled, _paths(chosen))):
        if backbone is not None:
            raise InputError(f"{where} lacks no backbone; leave out --backbone {backbone}")
        return []
    if backbone is None:
        raise InputError(
            f"{where} lacks the frozen backbone, as released checkpoints do; give its file with --backbone "
            f"({other.describes})"
        )
    opened = stack.enter_context(open_checkpoint(backbone))
    return [_File(opened, choose_weights(opened.tree, str(backbone), format=other.name), str(backbone))]


def _paths(chosen: Weights) -> Iterator[str]:
    """Patterns of the paths of the parameters that are made of a file's tensors."""
    for name in chosen.names.tensors:
        if found := chosen.names.format.claim(name):
            yield from found[0].targets


def _found_by_name(name: Path, format: str) -> tuple[Path, str, str]:
    """Path of the weights of a text encoder on the hub, and its long and short description."""
    if format != "roberta":
        raise InputError(
            f"{name}: no such file; give the path of a checkpoint (.pth, .pt, .bin or .safetensors), or --format "
            "roberta for a text encoder of this name on the Hugging Face hub"
        )
    path, where = hub.find_text_encoder(str(name))
    return path, where, where


def _clip(config: Mapping[str, Any]) -> dict[str, Any]:
    """Section `clip` of a configuration, with the values that it leaves out."""
    clip = get_family(config["name"]).clip
    if "clip" not in config and dataclasses.fields(clip):
        raise InputError("the configuration lacks clip, the section that says how videos are read; see configs/")
    return dataclasses.asdict(build(clip, config.get("clip", {}), "config.clip"))


def _config_of_file(chosen: Weights, tree: Any) -> tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]]:
    """The configuration of the release, with the settings that the checkpoint itself has; and these settings."""
    fmt = chosen.names.format
    config = released_config(chosen.names.tensors, fmt)
    told = {} if fmt.settings is None else fmt.settings(tree)
    if fmt.sizes is not None:
        told = {**told, "model": {**told.get("model", {}), **fmt.sizes(chosen.names.tensors)}}
    return {**config, **{section: {**config[section], **values} for section, values in told.items()}}, told


def _convert_files(
    files: Sequence[_File], declared: Mapping[str, Any], made: Made, progress: Progress, **options: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters of a checkpoint and of its backbone's file, if there is one, and the report of both."""
    parameters, reports = dict(made.parameters), []
    for i, (opened, chosen, where) in enumerate(files):
        others = [other.chosen.names.format for other in files[i + 1 :]]
        elsewhere = {*parameters, *(path for path in declared if any(fmt.is_filled(path) for fmt in others))}
        converted = _convert(chosen, declared, where, progress, elsewhere=elsewhere, **options)
        parameters |= converted.parameters
        reports.append({"source": where, **_report(opened, chosen, converted, progress)})
    report = {**reports[0], "made": made.origins, "warnings": made.warnings}
    return parameters, report | {"backbone": reports[1]} if reports[1:] else report


def _convert(
    chosen: Weights,
    declared: Mapping[str, Any],
    where: str,
    progress: Progress,
    *,
    elsewhere: Collection[str],
    allow_nonfinite: bool,
    may_hint: bool,
) -> Converted:
    names = chosen.names
    with progress.bar("converting", len(names.tensors), "tensor") as step:
        try:
            return convert_checked(
                names,
                declared,
                where=where,
                elsewhere=elsewhere,
                allow_nonfinite=allow_nonfinite,
                progress=lambda _: step(),
            )
        except InputError as error:
            if not chosen.is_average or not may_hint:
                raise
            # An average often lacks what is not trained.
            hint = f"These weights are the moving average, {chosen.label}; take the plain ones with --weights model"
            raise InputError(f"{error}\n{hint}") from error


def _report(opened: Checkpoint, chosen: Weights, converted: Converted, progress: Progress) -> dict[str, Any]:
    with progress.stage(f"checksum of {size_text(sum(path.stat().st_size for path in opened.files))}"):
        digests = {path: sha256(path) for path in opened.files}
    return {
        "sha256": digests[opened.path],
        "files": {path.name: digest for path, digest in digests.items()},
        "container": opened.container,
        "format": chosen.names.format.name,
        "weights": chosen.label,
        "is_ema": chosen.is_average,
        "wrapping": chosen.names.wrapping,
        "converted_by": f"stvg-jax {__version__}",
        "converted_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "tensors_taken": len(converted.taken),
        "parameters_written": len(converted.parameters),
        "values_written": int(sum(p.size for p in converted.parameters.values())),
        "dropped": converted.dropped,
        "aliases": converted.aliases,
        "nonfinite": converted.nonfinite,
        "taken": converted.taken,
    }


def summary(report: Mapping[str, Any]) -> str:
    """A report as a few lines of text."""
    lines = [*_part_lines(report)]
    if "backbone" in report:
        lines += [f"backbone: {report['backbone']['source']}", *_part_lines(report["backbone"])]
    if (storage := report.get("storage", "float32")) != "float32":
        lines.append(f"matrices are stored as {storage}")
    lines += (f"warning: {warning}" for warning in report.get("warnings", ()))
    if "verified" in report:
        lines.append(f"verified: {report['verified']} parameters read back and equal")
    return "\n".join(lines)


def _part_lines(part: Mapping[str, Any]) -> Iterator[str]:
    """The account of one file."""
    reasons: dict[str, int] = {}
    for reason in part["dropped"].values():
        reasons[reason] = reasons.get(reason, 0) + 1
    yield f"{part['format']} from {part['weights']} ({'moving average' if part['is_ema'] else 'plain weights'})"
    yield from _wrapping_lines(part["wrapping"])
    yield from (f"told by the file: {_listed(values)}" for values in part.get("settings", {}).values())
    yield (
        f"{part['tensors_taken']} tensors -> {part['parameters_written']} parameters, "
        f"{part['values_written'] / 1e6:.1f} M values"
    )
    yield from (f"dropped {count:4d}: {reason}" for reason, count in reasons.items())
    yield f"{len(part['aliases'])} second names, equal to the first"
    if part["nonfinite"]:
        yield f"warning: the checkpoint holds {describe_nonfinite(part['nonfinite'])}"


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _wrapping_lines(wrapping: Mapping[str, Any]) -> Iterator[str]:
    if wrapping["prefix"]:
        yield f"taken off every name: the prefix {quoted(wrapping['prefix'])}"
    for part, count in wrapping["parts"].items():
        yield f"taken out of {count} names: {quoted(part)}"
