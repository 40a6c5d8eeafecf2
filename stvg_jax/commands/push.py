"""`stvg-jax push`."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Upload a checkpoint to the Hugging Face hub, where `--checkpoint owner/name` takes it from. The checkpoint is
verified first, and gets a model card made from its training.json or conversion.json."""

EPILOG = """\
examples:
  stvg-jax push runs/mine/best me/ta_stvg_mine
  stvg-jax push checkpoints/ta me/ta_stvg_converted --private --licence apache-2.0

Log in first: `hf auth login`. Commands, paths of this machine and the places of data are left out of what is
uploaded; --card-only prints the model card and uploads nothing."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="made by `stvg-jax convert` or `stvg-jax train`")
    parser.add_argument("repository", metavar="OWNER/NAME", help="repository to add it to; made if there is none")
    parser.add_argument("--private", action="store_true", help="make a new repository that only you can read")
    parser.add_argument("--licence", metavar="ID", help="licence for the card, such as apache-2.0 (default: none)")
    parser.add_argument("--card-only", action="store_true", help="print the card and upload nothing")


def run(args: argparse.Namespace) -> None:
    import re
    import tempfile

    from stvg_jax.core.checkpoint import describe
    from stvg_jax.core.errors import InputError, quoted
    from stvg_jax.core.hub import upload_folder
    from stvg_jax.core.progress import Terminal
    from stvg_jax.models.card import prepare_upload, usage
    from stvg_jax.models.shared import parse_address

    address = parse_address(args.repository)
    if address is None or address.revision is not None:
        raise InputError(f"{quoted(args.repository)} is no repository of the hub; write OWNER/NAME")
    if args.licence is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,40}", args.licence):
        raise InputError(f"--licence {quoted(args.licence)} is no identifier; write one such as apache-2.0 or mit")
    progress = Terminal()
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary)
        prepare_upload(args.folder, out, address.repository, licence=args.licence, progress=progress)
        if args.card_only:
            print((out / "README.md").read_text(encoding="utf-8"))
            return
        with progress.stage(f"uploading to {address.repository}"):
            url = upload_folder(out, address.repository, message="Upload a checkpoint", private=args.private)
    print(f"uploaded: {url}")
    if (description := describe(args.folder)).kind == "model":
        print(f"  {usage(description, address.repository)}")
