"""`stvg-jax convert`."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Turn a released PyTorch checkpoint into a checkpoint directory of this library. PyTorch is not needed,
and nothing in the file is ever executed."""

EPILOG = """\
formats (recognised by the names of their tensors):
  ta_stvg      a released or self-trained TA-STVG checkpoint; the moving average is taken where there is one
  cg_stvg      a released or self-trained CG-STVG checkpoint, likewise; nothing in the file tells its dataset, so give
               --config cg_stvg_vidstg for a model of VidSTG
  mdetr        MDETR's pretrained_resnet101_checkpoint.pth, to start training from
  video_swin   Kinetics Video Swin-T, likewise
  roberta      RoBERTa-base from the Hugging Face hub (model.safetensors or pytorch_model.bin), likewise; where
               --format says it, SOURCE may be a name there

examples:
  stvg-jax convert TASTVG_HCSTVG.pth checkpoints/ta_hcstvg1 --verify
  stvg-jax convert TASTVG_VidSTG.pth checkpoints/ta_vidstg --tokenizer ~/roberta-base
  stvg-jax convert vidstg.pth checkpoints/cg_vidstg --config cg_stvg_vidstg
  stvg-jax convert pretrained_resnet101_checkpoint.pth checkpoints/mdetr
  stvg-jax convert FacebookAI/roberta-base checkpoints/roberta --format roberta
  stvg-jax convert last.ckpt checkpoints/mine --node state_dict.student

Conversion is strict: every tensor of the weights is used or known to be useless, and every parameter of the
model is filled with finite values, or nothing is written and all differences are listed. What training tools put
into names (module., _orig_mod., a prefix such as model.) is taken off and reported. See docs/checkpoints.md."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help=".pth, .pt, .bin or .safetensors file; of one in several files, the index or the folder",
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="checkpoint directory to make")
    parser.add_argument("--format", default="auto", help="format of SOURCE (default: recognised)")
    parser.add_argument(
        "--weights",
        choices=("auto", "ema", "model"),
        default="auto",
        help="which weights of a training checkpoint (default: the moving average if there is one)",
    )
    parser.add_argument(
        "--node",
        metavar="NAME",
        help="where the weights are in SOURCE, such as state_dict or state_dict.student; '.' is the top level "
        "(default: found by the names of the tensors)",
    )
    parser.add_argument(
        "--tokenizer",
        type=Path,
        metavar="DIR",
        help="folder with RoBERTa's vocab.json and merges.txt, or a name on the Hugging Face hub (default: "
        "roberta-base, from the hub's local cache or the hub)",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration of the model (default: that of the release, told by what is in SOURCE)",
    )
    parser.add_argument(
        "--allow-nonfinite",
        action="store_true",
        help="convert values that are NaN or infinite, too, as a diverged training leaves them",
    )
    parser.add_argument("--verify", action="store_true", help="read the result again and compare every tensor")
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")


def run(args: argparse.Namespace) -> None:
    from stvg_jax.convert.convert_file import convert_file, summary
    from stvg_jax.core.characters import escaped
    from stvg_jax.core.config import load_config_file

    report = convert_file(
        args.source,
        args.out,
        format=args.format,
        weights=args.weights,
        node=args.node,
        config=None if args.config is None else load_config_file(args.config, overrides=args.overrides),
        tokenizer=args.tokenizer,
        allow_nonfinite=args.allow_nonfinite,
        verify=args.verify,
        force=args.force,
    )
    print(summary(report))
    print(f"checkpoint: {escaped(str(args.out))}")
