"""`stvg-jax checkpoints`."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
List the checkpoints that have names: those of the authors of the six systems, what their trainings start from,
and the built-in ones; with the figures that their authors published, and what is on this machine."""

EPILOG = """\
examples:
  stvg-jax checkpoints                                  # all of them, in a table
  stvg-jax checkpoints ta_stvg_hcstvg1                  # everything about one
  stvg-jax checkpoints ta_stvg_hcstvg1 --fetch          # fetch, convert and verify it now
  stvg-jax checkpoints stcat_vidstg --file vidstg.pth   # the same from a file that you downloaded
  stvg-jax checkpoints ta_stvg_hcstvg1 --remove         # make room

--checkpoint NAME of other commands and --config.train.initialise=NAME fetch at first use. What is fetched is kept,
converted, in ~/.cache/stvg_jax/checkpoints ($STVG_JAX_CACHE). The SHA-256 of the first fetch is noted; a file that
differs later is refused. HF_HUB_OFFLINE=1 forbids connections. See docs/checkpoints.md."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="names of the list (default: all)")
    parser.add_argument("--json", action="store_true", help="print records as JSON")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--fetch", action="store_true", help="fetch, convert and verify them")
    action.add_argument("--file", type=Path, metavar="FILE", help="the released file of NAME, to convert instead")
    parser.add_argument(
        "--backbone", type=Path, metavar="FILE", help="eva_vit_g.pth, if it is here, for a NAME of STGT (it is fetched)"
    )
    action.add_argument("--remove", action="store_true", help="remove them from the cache, with what is noted")


def run(args: argparse.Namespace) -> None:
    import json

    from stvg_jax.core.errors import InputError, quoted
    from stvg_jax.core.progress import Terminal
    from stvg_jax.models.catalogue import CATALOGUE
    from stvg_jax.models.listing import as_json, details, text_table

    if unknown := [name for name in args.names if name not in CATALOGUE]:
        raise InputError(f"checkpoint {quoted(unknown[0])} is unknown; `stvg-jax checkpoints` lists the names")
    records = [CATALOGUE[name] for name in args.names] or list(CATALOGUE.values())
    if args.fetch or args.file or args.remove:
        _check_change(args)
        for record in records:
            if args.remove:
                from stvg_jax.models.keeping import remove

                remove(record.name)
            else:
                from stvg_jax.models.fetching import fetch

                fetch(record, Terminal(), given=args.file, backbone=args.backbone)
    if args.json:
        print(json.dumps([as_json(record) for record in records], indent=1))
    elif args.names:
        print("\n\n".join(map(details, records)))
    else:
        print(text_table(records))
        print("\nUse one by its name: stvg-jax ground VIDEO SENTENCE --checkpoint ta_stvg_hcstvg1")


def _check_change(args: argparse.Namespace) -> None:
    """Raises InputError unless the names are those of checkpoints that the cache may hold."""
    from stvg_jax.core.errors import InputError
    from stvg_jax.models.catalogue import CATALOGUE

    if args.backbone is not None and (args.remove or len(args.names) > 1):
        raise InputError("--backbone goes with --fetch or --file and one name")
    option = "--fetch" if args.fetch else "--remove" if args.remove else "--file"
    if not args.names or (args.file is not None and len(args.names) > 1):
        raise InputError(f"{option} needs {'one name' if args.file else 'names'}; `stvg-jax checkpoints` lists them")
    if builtin := [name for name in args.names if CATALOGUE[name].kind == "builtin"]:
        raise InputError(f"{option}: {builtin[0]} comes with the library; give another name")
