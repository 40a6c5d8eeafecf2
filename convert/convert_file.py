"""Conversion of a released checkpoint file into a checkpoint directory: `stvg-jax convert`."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stvg_jax import __version__
from stvg_jax.convert import hub
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
from stvg_jax.convert.weights import Weights, choose_weights
from stvg_jax.convert.wordpiece import save_wordpiece
from stvg_jax.core import checkpoint
from stvg_jax.core.config import build
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.progress import Progress, Silent, size_text
from stvg_jax.core.registry import build_config, get_family

# By `stvg_jax.family.TextSize.tokenizer`.
_TOKENIZERS = {"roberta": save_tokenizer, "bert": save_wordpiece}


def convert_file(
    source: Path,
    out: Path,
    *,
    format: str = "auto",
    weights: str = "auto",
    node: str | None = None,
    config: Mapping[str, Any] | None = None,
    tokenizer: Path | None = None,
    allow_nonfinite: bool = False,
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
        allow_nonfinite: also accept NaN and infinite values, and list their tensors in the report.
        verify: read the result back and compare every tensor.
        force: replace `out` if it exists.
        progress: shows the work; None shows nothing.

    Returns:
        The report, which is also written to `out/conversion.json`.

    Raises:
        InputError: see `open_checkpoint`, `find_text_encoder`, `convert_state_dict`, `save_tokenizer`,
            `save_wordpiece`, `new_directory`.
    """
    progress = progress or Silent()
    if out.resolve() in (source.resolve(), *source.resolve().parents):
        raise InputError(f"{source} lies in {out}, which would be replaced; choose another folder")
    by_name = hub.is_name(source)
    source, where, short = _found_by_name(source, format) if by_name else (source, str(source), source.name)
    with open_checkpoint(source) as opened, checkpoint.new_directory(out, force=force) as directory:
        chosen = choose_weights(opened.tree, where, format=format, weights=weights, node=node)
        fmt = chosen.names.format
        config, told = _config_of_file(chosen, opened.tree) if config is None else (config, {})
        declared, clip = declared_parameters(config), _clip(config)
        check_model(fmt, config, where)
        if by_name:
            hub.check_text_encoder(source.parent, config["model"]["roberta"], where)
        origin = None  # first, because it may fail, and the tensors take a minute
        if not fmt.is_partial or tokenizer is not None:
            text = get_family(config["name"]).text(build_config(config["name"], config["model"]))
            origin = _TOKENIZERS[text.tokenizer](tokenizer, directory / checkpoint.TOKENIZER, text.vocab_size)
        options = {"allow_nonfinite": allow_nonfinite, "may_hint": weights == "auto" and node is None}
        converted = _convert(chosen, declared, where, progress, **options)
        description = checkpoint.Description(
            model=config["name"],
            config={"model": config["model"], "clip": clip},
            kind="initialisation" if fmt.is_partial else "model",
            note=f"converted from {short}, {chosen.label}",
        )
        checkpoint.write(directory, converted.parameters, description)
        report = {"source": where, **_report(opened, chosen, converted, progress)}
        report |= {"settings": told, "tokenizer": origin}
        if verify:
            with progress.bar("verifying", len(converted.parameters), "parameter") as step:
                report["verified"] = checkpoint.verify(directory, progress=lambda _: step())
        (directory / "conversion.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


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
    return {**config, **{section: {**config[section], **values} for section, values in told.items()}}, told


def _convert(
    chosen: Weights,
    declared: Mapping[str, Any],
    where: str,
    progress: Progress,
    *,
    allow_nonfinite: bool,
    may_hint: bool,
) -> Converted:
    names = chosen.names
    with progress.bar("converting", len(names.tensors), "tensor") as step:
        try:
            return convert_checked(
                names, declared, where=where, allow_nonfinite=allow_nonfinite, progress=lambda _: step()
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
    reasons: dict[str, int] = {}
    for reason in report["dropped"].values():
        reasons[reason] = reasons.get(reason, 0) + 1
    lines = [
        f"{report['format']} from {report['weights']} ({'moving average' if report['is_ema'] else 'plain weights'})",
        *_wrapping_lines(report["wrapping"]),
        *(f"told by the file: {_listed(values)}" for values in report["settings"].values()),
        f"{report['tensors_taken']} tensors -> {report['parameters_written']} parameters, "
        f"{report['values_written'] / 1e6:.1f} M values",
        *(f"dropped {count:4d}: {reason}" for reason, count in reasons.items()),
        f"{len(report['aliases'])} second names, equal to the first",
    ]
    if report["nonfinite"]:
        lines.append(f"warning: the checkpoint holds {describe_nonfinite(report['nonfinite'])}")
    if "verified" in report:
        lines.append(f"verified: {report['verified']} parameters read back and equal")
    return "\n".join(lines)


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _wrapping_lines(wrapping: Mapping[str, Any]) -> Iterator[str]:
    if wrapping["prefix"]:
        yield f"taken off every name: the prefix {quoted(wrapping['prefix'])}"
    for part, count in wrapping["parts"].items():
        yield f"taken out of {count} names: {quoted(part)}"
