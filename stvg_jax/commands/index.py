"""`stvg-jax index`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stvg_jax.core.errors import InputError

DESCRIPTION = """\
Make an index of videos, in which `stvg-jax search` finds what a sentence describes. Each video is cut into windows that
overlap, and a retrieval model turns each window into a few vectors."""

EPILOG = """\
examples:
  stvg-jax index shapes/                               # with the built-in model, which knows shapes only
  stvg-jax index holiday/ party.mp4 --checkpoint checkpoints/stgt --out index
  stvg-jax index lectures/ --checkpoint checkpoints/stgt --window 30 --stride 15 --out index
  stvg-jax search index "a man opens the door"

The same command again adds only videos that are new or have changed; after an interruption it continues. A video that
cannot be read is left out and named at the end, with exit code 2; all others are in the index."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "videos", nargs="+", type=Path, metavar="VIDEOS", help="video files, folders of videos, quoted patterns"
    )
    parser.add_argument(
        "--checkpoint",
        default="shapes_retrieval",
        metavar="DIR",
        help="a retrieval model (default: the built-in %(default)s)",
    )
    parser.add_argument("--out", type=Path, default=Path("index"), metavar="DIR", help="the index (%(default)s)")
    windows = parser.add_argument_group("windows")
    windows.add_argument("--window", type=float, default=10.0, metavar="SEC", help="length (%(default)g)")
    windows.add_argument("--stride", type=float, metavar="SEC", help="distance of their beginnings (half the length)")
    model = parser.add_argument_group("model")
    model.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="of the computation (%(default)s)"
    )
    files = parser.add_argument_group("files")
    files.add_argument("--decoder", choices=("pyav", "decord"), default="pyav", help="video decoder (%(default)s)")
    files.add_argument("--allow-partial", action="store_true", help="use damaged videos up to their damage")


def run(args: argparse.Namespace) -> None:
    from stvg_jax.core.progress import Terminal
    from stvg_jax.devices import find_devices, tell_device
    from stvg_jax.retrieval.inference.windows import WindowConfig

    windows = WindowConfig(args.window, args.window / 2 if args.stride is None else args.stride)

    from stvg_jax.data_pipeline.video.listing import list_videos
    from stvg_jax.models.names import RETRIEVAL_PURPOSE, is_builtin
    from stvg_jax.retrieval.inference.encoder import VideoTextEncoder
    from stvg_jax.retrieval.inference.index import build_index
    from stvg_jax.retrieval.inference.storage import IndexFolder

    list_videos(args.videos)
    find_devices()
    if is_builtin(args.checkpoint, retrieval=True):
        print(f"using {RETRIEVAL_PURPOSE}", file=sys.stderr)
    encoder = VideoTextEncoder.load(args.checkpoint, dtype=args.dtype)
    tell_device()
    failed = build_index(
        args.videos,
        encoder,
        args.out,
        checkpoint=args.checkpoint,
        windows=windows,
        decoder=args.decoder,
        allow_partial=args.allow_partial,
        progress=Terminal(),
    )
    folder = IndexFolder.open(args.out)
    videos = sum(record.rows > 0 for record in folder.videos.values())
    print(f"{args.out}: {folder.rows:,} windows of {videos:,} videos")
    if failed:
        raise InputError(
            f"{len(failed)} videos are left out because they cannot be read:\n" + "\n".join(failed.values())
        )
