"""`stvg-jax convert`: a released checkpoint file to a checkpoint directory."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from convert.formats import check_format, get_format, recognise
from convert.readers import find_state_dicts, open_checkpoint, sha256
from convert.rules import Format
from convert.state_dict import check_model, convert_checked, declared_parameters, published_config, strip_module
from convert.tokenizer import save_tokenizer
from stvg_jax import __version__, checkpoint
from stvg_jax.errors import InputError

# Where a training checkpoint keeps weights, best first: evaluation uses the moving average.
_NODES = {"ema": ("model_ema",), "model": ("model", "state_dict", "")}
_TOP = "(top level)"
_TOKEN_TABLE = "roberta/embeddings/word_embeddings/embedding"


def convert_file(
    source: Path,
    out: Path,
    *,
    format: str = "auto",
    weights: str = "auto",
    config: Mapping[str, Any] | None = None,
    tokenizer: Path | None = None,
    verify: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Converts `source` into the checkpoint directory `out`, which appears whole or not at all.

    Args:
        source: .pth, .pt, .bin or .safetensors file.
        out: directory to make.
        format: a name from `convert.formats.FORMATS`, or "auto" to tell by the tensors' names.
        weights: "ema", "model", or "auto" for the moving average where there is one.
        config: configuration to write and to check against; None for that of the release.
        tokenizer: folder with the tokenizer's files; None looks in the hub cache and on the hub. Unused for
            initialisation sources.
        verify: read the result again and compare every tensor.
        force: replace `out` if it exists.

    Returns:
        The report that is also written to `out/conversion.json`.

    Raises:
        InputError: see `convert.readers.open_checkpoint`, `convert_state_dict`, `convert.tokenizer.save_tokenizer` and
            `stvg_jax.checkpoint.new_directory`.
    """
    if out.resolve() in source.resolve().parents:
        raise InputError(f"{source} lies in {out}, which would be replaced; choose another folder")
    with open_checkpoint(source) as opened, checkpoint.new_directory(out, force=force) as directory:
        node, tensors = _choose_weights(find_state_dicts(opened), weights, source)
        fmt = _choose_format(tensors, format, source)
        config = published_config(tensors, fmt) if config is None else config
        if "clip" not in config:
            raise InputError("the configuration lacks clip")
        declared = declared_parameters(config)
        check_model(fmt, config, str(source))
        # Before the minute that the tensors take.
        origin = None
        if not fmt.is_partial:
            origin = save_tokenizer(tokenizer, directory / checkpoint.TOKENIZER, declared[_TOKEN_TABLE].shape[0])
        with tqdm(total=len(tensors), desc="tensors", unit="tensor") as bar:
            converted = convert_checked(tensors, fmt, declared, where=str(source), progress=lambda _: bar.update())
        with tqdm(total=source.stat().st_size, desc="sha-256", unit="B", unit_scale=True) as bar:
            digest = sha256(source, progress=lambda done, _: bar.update(done - bar.n))
        description = checkpoint.Description(
            model=config["name"],
            config={"model": config["model"], "clip": config["clip"]},
            kind="initialisation" if fmt.is_partial else "model",
            note=f"converted from {source.name}, {node or _TOP}",
        )
        checkpoint.write(directory, converted.parameters, description)
        report = {
            "source": str(source),
            "sha256": digest,
            "container": opened.container,
            "format": fmt.name,
            "weights": node or _TOP,
            "is_ema": node in _NODES["ema"],
            "tokenizer": origin,
            "converted_by": f"stvg-jax {__version__}",
            "converted_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "tensors_taken": len(converted.taken),
            "parameters_written": len(converted.parameters),
            "values_written": int(sum(p.size for p in converted.parameters.values())),
            "dropped": converted.dropped,
            "aliases": converted.aliases,
            "taken": converted.taken,
        }
        if verify:
            with tqdm(total=len(converted.parameters), desc="verifying", unit="tensor") as bar:
                report["verified"] = checkpoint.verify(directory, progress=lambda _: bar.update())
        (directory / "conversion.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def _choose_weights(nodes: Mapping[str, Mapping], weights: str, source: Path) -> tuple[str, Mapping]:
    wanted = _NODES["ema"] + _NODES["model"] if weights == "auto" else _NODES[weights]
    for node in wanted:
        if node in nodes:
            return node, strip_module(nodes[node])
    found = ", ".join(node or _TOP for node in nodes) or "none at all"
    raise InputError(f"{source} holds no tensors under {' or '.join(n or _TOP for n in wanted)}; there are: {found}")


def _choose_format(tensors: Mapping, name: str, source: Path) -> Format:
    if name == "auto":
        return recognise(tensors, str(source))
    fmt = get_format(name)
    check_format(fmt, tensors, str(source))
    return fmt


def summary(report: Mapping[str, Any]) -> str:
    """A report in a few lines for people."""
    reasons: dict[str, int] = {}
    for reason in report["dropped"].values():
        reasons[reason] = reasons.get(reason, 0) + 1
    lines = [
        f"{report['format']} from {report['weights']} ({'moving average' if report['is_ema'] else 'plain weights'})",
        f"{report['tensors_taken']} tensors -> {report['parameters_written']} parameters, "
        f"{report['values_written'] / 1e6:.1f} M values",
        *(f"dropped {count:4d}: {reason}" for reason, count in reasons.items()),
        f"{len(report['aliases'])} second names, equal to the first",
    ]
    if "verified" in report:
        lines.append(f"verified: {report['verified']} parameters read back and equal")
    return "\n".join(lines)
