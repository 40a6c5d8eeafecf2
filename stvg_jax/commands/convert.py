"""`stvg-jax convert`."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Convert a released PyTorch checkpoint to a checkpoint of this library. PyTorch is not needed, and no code in
the file is executed."""

EPILOG = """\
formats (recognised by the names of their tensors):
  ta_stvg      a checkpoint of TA-STVG, released or trained with the released code; the moving average if it has one
  cg_stvg      the same of CG-STVG; the file does not tell its dataset, so give --config cg_stvg_vidstg for VidSTG
  tubedetr     the same of TubeDETR, which tells its own stride, resolution and dataset
  stcat        the same of STCAT; for a model of 416 pixels, give a --config with that resolution
  stgt         STGT, which needs the file of its ViT besides, --backbone eva_vit_g.pth, and --tokenizer
  alpro        ALPRO for retrieval, which needs --tokenizer; for DiDeMo give --config alpro_didemo
  alpro_original  the same of ALPRO's own code, such as alpro_pretrain.pt
  mdetr        MDETR's pretrained_resnet101_checkpoint.pth, to start a training from; for TubeDETR with
               --format mdetr_tubedetr, for STCAT with --format mdetr_stcat
  video_swin   Video Swin-T trained on Kinetics, to start a training from
  roberta      RoBERTa-base from the Hugging Face hub (model.safetensors or pytorch_model.bin), to start a training
               from; with --format roberta, SOURCE may be a name on the hub
  eva_vit_g    EVA's ViT-g as BLIP-2 has it, to start a training of STGT from

examples:
  stvg-jax convert TASTVG_HCSTVG.pth checkpoints/ta_hcstvg1 --verify
  stvg-jax convert TASTVG_VidSTG.pth checkpoints/ta_vidstg --tokenizer ~/roberta-base
  stvg-jax convert vidstg.pth checkpoints/cg_vidstg --config cg_stvg_vidstg
  stvg-jax convert stgt_msrvtt.pth checkpoints/stgt --backbone eva_vit_g.pth --tokenizer ~/bert-base-uncased
  stvg-jax convert pretrained_resnet101_checkpoint.pth checkpoints/mdetr --tokenizer roberta-base
  stvg-jax convert FacebookAI/roberta-base checkpoints/roberta --format roberta
  stvg-jax convert last.ckpt checkpoints/mine --node state_dict.student

Conversion is strict: every tensor must be used or known to be unused, and every parameter of the model must get
finite values. Otherwise nothing is written and all differences are listed. Prefixes that training tools add to names
(module., _orig_mod., model.) are removed and reported. See docs/checkpoints.md."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help=".pth, .pt, .bin or .safetensors file; the index or the folder of a checkpoint in several files",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="checkpoint to make, a folder")
    parser.add_argument("--format", default="auto", help="format of SOURCE (default: recognised by its tensors)")
    parser.add_argument(
        "--weights",
        choices=("auto", "ema", "model"),
        default="auto",
        help="weights of a training checkpoint to convert (default: the moving average if there is one)",
    )
    parser.add_argument(
        "--node",
        metavar="NAME",
        help="place of the weights in SOURCE, such as state_dict or state_dict.student; '.' is the top level (default: "
        "found by the names of the tensors)",
    )
    parser.add_argument(
        "--tokenizer",
        type=Path,
        metavar="DIR",
        help="folder with RoBERTa's vocab.json and merges.txt, or a name on the Hugging Face hub (default: "
        "roberta-base, from the hub's local cache or the hub; for a start of a training, none)",
    )
    parser.add_argument(
        "--backbone",
        type=Path,
        metavar="FILE",
        help="file of the frozen backbone, which released checkpoints of STGT lack: EVA's eva_vit_g.pth",
    )
    parser.add_argument(
        "--value",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="parameter that the released code does not save: for STGT graph/positions=seed-42 (default), =zeros, or "
        "a .npy file",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration of the model (default: that of the release, chosen by the tensors in SOURCE)",
    )
    parser.add_argument(
        "--allow-nonfinite",
        action="store_true",
        help="convert values that are NaN or infinite too, such as those of a diverged training",
    )
    parser.add_argument(
        "--storage",
        choices=("float32", "bfloat16"),
        default="float32",
        help="dtype of the matrices in OUT; bfloat16 halves its size, and results change a little (%(default)s)",
    )
    parser.add_argument("--verify", action="store_true", help="read the result and compare every tensor")
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")


def run(args: argparse.Namespace) -> None:
    from stvg_jax.convert.convert_file import convert_file, summary
    from stvg_jax.core.characters import escaped
    from stvg_jax.core.config import load_config_file
    from stvg_jax.core.progress import Terminal

    report = convert_file(
        args.source,
        args.out,
        format=args.format,
        weights=args.weights,
        node=args.node,
        config=None if args.config is None else load_config_file(args.config, overrides=args.overrides),
        tokenizer=args.tokenizer,
        backbone=args.backbone,
        values=_values(args.value),
        allow_nonfinite=args.allow_nonfinite,
        storage=args.storage,
        verify=args.verify,
        force=args.force,
        progress=Terminal(),
    )
    print(summary(report))
    print(f"checkpoint: {escaped(str(args.out))}")


def _values(settings: list[str]) -> dict[str, str]:
    """Parameters and their values, from NAME=VALUE."""
    from stvg_jax.core.errors import InputError, quoted

    for setting in settings:
        if "=" not in setting:
            raise InputError(f"--value {quoted(setting)} must be NAME=VALUE")
    return dict(setting.split("=", 1) for setting in settings)
