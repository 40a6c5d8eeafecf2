"""`stvg-jax serve`."""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
import tempfile
from pathlib import Path

from stvg_jax.core.errors import InputError, missing_extra

DESCRIPTION = """\
Serve a page on which videos are grounded: drop a video or pick an example, type sentences, and see the box on the
playing video above a timeline of the scores. With --index, the page searches the videos of an index first, and a hit
that is clicked is grounded. The same by HTTP: /openapi.json describes it."""

EPILOG = """\
examples:
  stvg-jax serve                                       # the built-in model, which knows moving shapes only
  stvg-jax serve --checkpoint ta_stvg_hcstvg1 --port 8000
  stvg-jax serve --checkpoint ta_stvg_hcstvg1 --index index     # made by `stvg-jax index`
  ssh -L 7860:localhost:7860 SERVER                    # to use one that runs elsewhere

One question is answered at a time; others wait, with their place shown. Uploads are deleted after --keep minutes
without use, and at the end. There are no accounts: whoever reaches the address can use the server. It can be reached
from this machine alone unless --host says otherwise (docs/security.md)."""

_BUILTIN = (
    "This is the built-in model, which knows only generated videos of moving shapes; a server for videos of people and "
    "things is started with a released model."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint",
        default="builtin",
        metavar="NAME",
        help="a name of `stvg-jax checkpoints`, a folder made by `stvg-jax convert` or `train`, or owner/name on the "
        "Hugging Face hub (%(default)s)",
    )
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="of the computation (%(default)s)"
    )
    search = parser.add_argument_group("search")
    search.add_argument("--index", type=Path, metavar="DIR", help="search its videos, which everybody can then see")
    search.add_argument("--index-checkpoint", metavar="NAME", help="the index's model, if it has moved since")
    address = parser.add_argument_group("address")
    address.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on (%(default)s)")
    address.add_argument("--port", type=int, default=7860, help="to listen on; 0: any that is free (%(default)s)")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-upload", type=float, default=200, metavar="MB", help="size of a video (%(default)s)")
    limits.add_argument("--max-length", type=float, default=120, metavar="SEC", help="of a video (%(default)s)")
    limits.add_argument("--max-waiting", type=int, default=20, metavar="N", help="questions that wait (%(default)s)")
    limits.add_argument(
        "--keep", type=float, default=60, metavar="MIN", help="until an unused upload is deleted (%(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    if not 0 <= args.port < 65536:
        raise InputError(f"--port is {args.port}; it must be from 0 to 65535")
    if missing := [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]:
        raise missing_extra("serve", f"serving needs {' and '.join(missing)}")

    from stvg_jax.serve.limits import Limits

    for option, value in (
        ("--max-upload", args.max_upload),
        ("--max-length", args.max_length),
        ("--max-waiting", args.max_waiting),
        ("--keep", args.keep),
    ):
        if not 0 < value < math.inf:
            raise InputError(f"{option} is {value:g}; it must be a positive number")
    if args.index_checkpoint is not None and args.index is None:
        raise InputError("--index-checkpoint is the model of an index; give --index too")
    limits = Limits(
        upload_bytes=math.ceil(args.max_upload * 1e6),
        video_sec=args.max_length,
        waiting=args.max_waiting,
        kept_sec=args.keep * 60,
    )

    from stvg_jax.commands.ground import load_grounder
    from stvg_jax.core.progress import Terminal
    from stvg_jax.devices import tell_device
    from stvg_jax.models.names import is_builtin
    from stvg_jax.retrieval.inference.index import Index
    from stvg_jax.serve.answering import Answerer
    from stvg_jax.serve.app import make_app
    from stvg_jax.serve.guard import is_loopback
    from stvg_jax.serve.server import serve, signals_interrupt
    from stvg_jax.serve.service import Service

    builtin = is_builtin(args.checkpoint)
    answerer = Answerer(load_grounder(args), limits.sentence_characters)
    index = None if args.index is None else Index.open(args.index, checkpoint=args.index_checkpoint, dtype=args.dtype)
    tell_device()
    if not is_loopback(args.host):
        seen = "" if index is None else ", and look at the videos of the index"
        print(
            f"warning: everybody who can reach {args.host} can use this server and send it videos, which FFmpeg "
            f"decodes{seen}; there are no accounts and no encryption (docs/security.md)",
            file=sys.stderr,
        )
    with (
        signals_interrupt(),
        tempfile.TemporaryDirectory(prefix="stvg_jax-", ignore_cleanup_errors=True) as folder,
    ):
        note = _BUILTIN if builtin else ""
        # The path of a folder is nobody else's business.
        shown = {"model": Path(args.checkpoint).name, "note": note}
        service = Service(answerer, Path(folder), limits, index=index, **shown)
        if builtin:
            with Terminal().stage("generating examples"):
                service.videos.add_examples()
        serve(make_app(service, args.host), args.host, args.port)
