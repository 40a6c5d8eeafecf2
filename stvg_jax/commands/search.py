"""`stvg-jax search`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stvg_jax.retrieval.inference.index import Hit

DESCRIPTION = """\
Find the parts of the videos of an index that a sentence describes best, and print a table of video, time and score.
With --ground, a grounding model then finds when exactly, and where, in each of them."""

EPILOG = """\
examples:
  stvg-jax search index "a man opens the door"
  stvg-jax search index "a man opens the door" --top 20 --sheet hits.png
  stvg-jax search index "a man opens the door" --ground checkpoints/ta --json > hits.jsonl
  stvg-jax search index "a red circle moves left" --ground        # with the built-in model, which knows shapes only

Lines of --json: {"video", "start_sec", "end_sec", "score"} and, with --ground, "tube" as in tube.json or "error"."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("index", type=Path, metavar="INDEX", help="folder made by `stvg-jax index`")
    parser.add_argument("sentence", metavar="SENTENCE", help="description of what is to be found, in English")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="number of hits (%(default)s)")
    parser.add_argument("--overlapping", action="store_true", help="also show windows that overlap a better one")
    parser.add_argument(
        "--ground",
        nargs="?",
        const="builtin",
        metavar="DIR",
        help="find a tube in each hit, with this checkpoint of a grounding model or the built-in one",
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of a table")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write a contact sheet, .png or .html")
    model = parser.add_argument_group("model")
    model.add_argument("--checkpoint", metavar="DIR", help="the index's model, if it has moved since")
    model.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="of the computation (%(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    from stvg_jax.core.progress import Terminal
    from stvg_jax.devices import find_devices
    from stvg_jax.retrieval.inference.sheet import check_sheet, write_sheet

    if args.sheet is not None:
        check_sheet(args.sheet)

    from stvg_jax.models.names import PURPOSE, RETRIEVAL_PURPOSE, is_builtin
    from stvg_jax.retrieval.inference.index import Index

    progress = Terminal(silent_sec=1.0)
    find_devices()
    index = Index.open(args.index, checkpoint=args.checkpoint, dtype=args.dtype)
    if is_builtin(args.checkpoint or index.checkpoint, retrieval=True):
        print(f"using {RETRIEVAL_PURPOSE}", file=sys.stderr)
    if args.ground is not None and is_builtin(args.ground):
        print(f"grounding with {PURPOSE}", file=sys.stderr)
    ground = None if args.ground is None else _Grounding(args.ground, args.dtype, args.sentence)
    with progress.stage("searching"):
        hits = index.search(args.sentence, args.top, overlapping=args.overlapping)
    if not args.json:
        print(f"the best of {len(index):,} windows of {len(index.videos):,} videos:")
    for place, hit in enumerate(hits, 1):
        answer = {} if ground is None else ground(hit)
        print(_line(hit, answer) if args.json else _row(place, hit, answer), flush=True)
    if args.sheet is not None:
        write_sheet(args.sheet, args.sentence, hits)
        print(f"contact sheet written to {args.sheet}", file=sys.stderr)


class _Grounding:
    """Grounds the sentence in hits."""

    def __init__(self, checkpoint: str, dtype: str, sentence: str):
        from stvg_jax.grounding.inference.grounder import Grounder

        self._grounder = Grounder.load(checkpoint, dtype=dtype)
        self._sentence = sentence
        self._grounder.ask([sentence])

    def __call__(self, hit: Hit) -> dict[str, Any]:
        """{"tube": tube}, or {"error": reason} for a video that has changed since or is damaged."""
        from stvg_jax.core.errors import InputError, first_line

        try:
            return {"tube": self._grounder.ground(hit.video, self._sentence, start=hit.start_sec, end=hit.end_sec)}
        except InputError as error:
            return {"error": first_line(error)}


def _line(hit: Hit, answer: dict[str, Any]) -> str:
    record: dict[str, Any] = {
        "video": hit.video,
        "start_sec": round(hit.start_sec, 6),
        "end_sec": round(hit.end_sec, 6),
        "score": round(hit.score, 6),
    }
    if "tube" in answer:
        answer = {"tube": answer["tube"].to_dict()}
    return json.dumps(record | answer)


def _row(place: int, hit: Hit, answer: dict[str, Any]) -> str:
    row = f"{place:4}  {hit.score:6.3f}  {hit.start_sec:8.1f} to {hit.end_sec:8.1f} s  {hit.video}"
    if "tube" in answer:
        tube = answer["tube"]
        row += f"\n{'':14}{tube.start_sec:8.1f} to {tube.end_sec:8.1f} s  with boxes in {len(tube.box_frames)} frames"
    return f"{row}\n{'':14}{answer['error']}" if "error" in answer else row
