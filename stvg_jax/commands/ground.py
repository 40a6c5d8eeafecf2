"""`stvg-jax ground`."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stvg_jax.core.errors import InputError, quoted

if TYPE_CHECKING:
    from stvg_jax.core.progress import Progress
    from stvg_jax.grounding.inference.answering import Question
    from stvg_jax.grounding.inference.grounder import Grounder
    from stvg_jax.grounding.inference.tube import Tube

DESCRIPTION = """\
Find when and where a video shows what a sentence describes. The folder --out gets
  tube.json   the interval, a box for each of its frames, and scores (schema in the README)
  tube.mp4    the searched part of the video with the boxes
  tube.png    frames with boxes above a timeline of the scores

For many videos, which are a folder, a quoted pattern, --video or --queries, it gets instead
  answers.jsonl   a line for each question: the tube as in tube.json, or the error; it grows as answers come"""

EPILOG = """\
examples:
  stvg-jax ground shapes.mp4 "the red square that goes left"
  stvg-jax ground party.mp4 "the woman in red who sits down" --checkpoint ta_stvg_hcstvg1 --out answer
  stvg-jax ground party.mp4 "the woman in red sits down" "a man opens the door" --checkpoint checkpoints/ta
  stvg-jax ground film.mkv "the dog runs to the car" --checkpoint checkpoints/ta --start 61.5 --end 80
  stvg-jax ground film.mkv "the dog runs to the car" --checkpoint checkpoints/ta --window auto --top 5
  stvg-jax ground https://example.org/party.mp4 "the woman in red sits down" --checkpoint checkpoints/ta --allow-network
  stvg-jax ground clips/ "a man opens the door" --checkpoint checkpoints/ta --out answers
  stvg-jax ground "day*/*.mp4" "a man opens the door" --video evening.mp4 --checkpoint checkpoints/ta --out answers
  stvg-jax ground --queries questions.csv --checkpoint checkpoints/ta --out answers

The models were trained on clips of about 20 seconds. A longer video is searched in windows of that length by --window
auto; the best moment is the answer, and tube.json has the --top best ones.
The default checkpoint, `builtin`, was trained on generated videos of moving shapes (`stvg-jax demo`, docs/shapes.md)
and knows nothing else.

For several sentences the video is decoded and the model compiled once; each answer gets a folder of its own.

A file of questions has the columns video and sentence and, where there is more to say, subject, start and end (in
seconds), or JSON lines with these keys. Paths of videos begin at its folder. The same command again continues after an
interruption, and asks what is new or is about a file that has changed. A video that cannot be used is named at the end,
with exit code 2; all others are answered. With --draw, --cut or --export each answer gets a folder too."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s VIDEO SENTENCE [SENTENCE ...] [options]\n       %(prog)s --queries FILE [options]"
    video = parser.add_argument(
        "video",
        type=_video,
        metavar="VIDEO",
        help="any file that FFmpeg can decode, a folder of pictures (--fps) or of videos, a pattern, or an address "
        "(--allow-network)",
    )
    sentences = parser.add_argument(
        "sentences", nargs="+", metavar="SENTENCE", help="description of the target, in English"
    )
    parser.add_argument(
        "--checkpoint",
        default="builtin",
        metavar="NAME",
        help="a name of `stvg-jax checkpoints`, a folder made by `stvg-jax convert` or `train`, or owner/name on the "
        "Hugging Face hub (%(default)s: see below)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("tube"), metavar="DIR", help="folder for the answer (%(default)s)"
    )
    many = parser.add_argument_group("many videos")
    many.add_argument(
        "--video",
        dest="videos",
        action="append",
        type=Path,
        default=[],
        metavar="VIDEO",
        help="another video, folder or pattern for the same sentences; may be given several times",
    )
    many.add_argument(
        "--queries",
        action=_Instead,
        others=(video, sentences),
        type=Path,
        metavar="FILE",
        help="questions in a .csv or .jsonl file, instead of VIDEO and SENTENCE",
    )
    many.add_argument("--retry", action="store_true", help="ask again about videos that could not be used")
    many.add_argument("--draw", action="store_true", help="draw answers, as it is done for a single video")
    part = parser.add_argument_group("part of the video")
    part.add_argument("--start", type=float, metavar="SEC", help="search from here (default: the beginning)")
    part.add_argument("--end", type=float, metavar="SEC", help="search up to here (default: the end)")
    part.add_argument("--frames", type=_frame_range, metavar="A:B", help="the same in frames, B not included")
    long = parser.add_argument_group("long videos")
    long.add_argument(
        "--window",
        type=_window,
        metavar="SEC",
        help="search in windows of this length, at most that of the clips of the training; auto: that length",
    )
    long.add_argument("--stride", type=float, metavar="SEC", help="distance of their beginnings (half the length)")
    long.add_argument("--top", type=int, default=1, metavar="K", help="give the K best moments (%(default)s)")
    _add_model_and_files(parser)


def _add_model_and_files(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model")
    model.add_argument(
        "--subject",
        action="append",
        metavar="WORDS",
        help="words that name the target, once per sentence (default: found in the sentence)",
    )
    model.add_argument("--resolution", type=int, metavar="PIXELS", help="frame height (default: the checkpoint's)")
    model.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="of the computation (%(default)s)"
    )
    files = parser.add_argument_group("files")
    files.add_argument("--decoder", choices=("pyav", "decord"), default="pyav", help="video decoder (%(default)s)")
    files.add_argument("--allow-partial", action="store_true", help="use a damaged video up to its damage")
    files.add_argument("--fps", type=float, metavar="RATE", help="frames per second of a folder of pictures")
    files.add_argument(
        "--allow-network", action="store_true", help="VIDEO may be an address of http, https or rtsp, which is fetched"
    )
    files.add_argument("--record", type=float, metavar="SEC", help="seconds of a live stream to record")
    files.add_argument(
        "--export",
        action="append",
        choices=("csv", "mot", "coco", "cvat", "via"),
        default=[],
        metavar="FORMAT",
        help="write boxes for another tool too: %(choices)s (tube.csv, tube.mot.txt, ...); may be given several times",
    )
    files.add_argument(
        "--format",
        choices=("mp4", "webm", "gif"),
        default="mp4",
        help="of videos; gif: 10 frames a second (%(default)s)",
    )
    files.add_argument("--cut", action="store_true", help="write the found moment as a clip of its own, cut.mp4")
    files.add_argument("--no-video", action="store_true", help="do not write tube.mp4")


class _Instead(argparse.Action):
    """Stores a value, and makes other arguments optional.

    Args:
        others: actions of these arguments.
    """

    def __init__(self, *args: Any, others: Sequence[argparse.Action], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._others = others

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, values)
        for other in self._others:
            other.required = False


def _frame_range(text: str) -> tuple[int | None, int | None]:
    match = re.fullmatch(r"(\d{0,18}):(\d{0,18})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not a range of frames; write A:B, such as 0:200 or 50:")
    start, end = (int(part) if part else None for part in match.groups())
    return start, end


def _video(text: str) -> Path | str:
    from stvg_jax.data_pipeline.video.addresses import is_address

    return text if is_address(text) else Path(text)


def _window(text: str) -> float | str:
    try:
        return text if text == "auto" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is neither a number of seconds nor auto") from None


def subjects_of(args: argparse.Namespace) -> list[str | None]:
    """The subject of each sentence, None where it is to be found."""
    if args.subject and len(args.subject) != len(args.sentences):
        raise InputError(
            f"--subject is given {len(args.subject)} times for {len(args.sentences)} sentences; give it once for each, "
            "or not at all"
        )
    return list(args.subject or [None] * len(args.sentences))


def load_grounder(args: argparse.Namespace) -> Grounder:
    """Loads the model of the options, and says which one it is if it is the built-in one."""
    from stvg_jax.devices import find_devices
    from stvg_jax.grounding.inference.grounder import Grounder
    from stvg_jax.models.names import PURPOSE, is_builtin

    find_devices()
    if is_builtin(args.checkpoint):
        print(f"using {PURPOSE}", file=sys.stderr)
    return Grounder.load(args.checkpoint, dtype=args.dtype)


def run(args: argparse.Namespace) -> None:
    from stvg_jax.commands import ground_many
    from stvg_jax.data_pipeline.video.addresses import check_addresses, is_address
    from stvg_jax.data_pipeline.video.listing import is_pattern, is_picture_folder

    # The shell makes several arguments of a pattern without quotes.
    if files := [text for text in args.sentences or () if os.path.splitext(text)[1] and os.path.isfile(text)]:
        raise InputError(
            f"the sentence {quoted(files[0])} is a file; give further videos by --video, and patterns in quotes"
        )
    check_addresses(args.video, args.videos, allowed=args.allow_network, record_sec=args.record)
    several = args.queries is not None or args.videos or is_pattern(args.video)
    if several or (os.path.isdir(args.video) and not is_picture_folder(args.video)):
        ground_many.run(args)
        return

    from stvg_jax.core.arguments import check_part
    from stvg_jax.grounding.inference.answer import check_writable
    from stvg_jax.grounding.inference.windows import check_windows

    # They are checked again later; this is before slow imports, and before a video is fetched.
    subjects_of(args)
    check_part(args.start, args.end, args.frames)
    check_windows(args.window, args.stride, args.top)
    check_writable(args.out)
    if not is_address(args.video):
        _ground_one(args)
        return

    from stvg_jax.core.progress import Terminal
    from stvg_jax.data_pipeline.video.network import fetched

    address = args.video
    with fetched(address, Terminal(), record_sec=args.record) as args.video:
        _ground_one(args, lambda text: text.replace(str(args.video), address))


def _ground_one(args: argparse.Namespace, told: Callable[[str], str] = str) -> None:
    """Grounds the sentences in one video. `told` gives texts, in which its path may be, as they are shown."""
    from stvg_jax.core.progress import Terminal
    from stvg_jax.data_pipeline.language.identification import foreign_warning
    from stvg_jax.devices import tell_device
    from stvg_jax.grounding.inference.answer import Outputs, describe

    outputs = Outputs(args.out, args.sentences, args.video)

    # For a sentence with a rare word, lists of words take a second to load: as long as what is imported next.
    pool = ThreadPoolExecutor(1)
    warnings = pool.submit(lambda: [foreign_warning([sentence]) for sentence in dict.fromkeys(args.sentences)])
    pool.shutdown(wait=False)

    progress = Terminal()
    grounder = load_grounder(args)
    questions = grounder.ask(args.sentences, subjects_of(args))
    tell_device()
    for warning in filter(None, warnings.result()):
        print(warning, file=sys.stderr)
    reading = {"fps": args.fps, "decoder": args.decoder, "allow_partial": args.allow_partial}
    tubes = []
    answers = _answers(args, grounder, questions, progress, reading, told)
    for tube, folder in zip(answers, outputs.folders, strict=True):
        tubes.append(tube)
        shown = dataclasses.replace(tube, video=told(tube.video), warning=told(tube.warning))
        outputs.write(folder, shown, args.export)
        print(describe(shown))
        print(f"  written to {folder}")
    drawing = {"format": args.format, "cut": args.cut}
    # Drawing takes longest and decodes the video again, so all answers are written before.
    for tube, folder in zip(tubes, outputs.folders, strict=True):
        outputs.draw(folder, tube, video=not args.no_video, **drawing, progress=progress, **reading)


def _answers(
    args: argparse.Namespace,
    grounder: Grounder,
    questions: Sequence[Question],
    progress: Progress,
    reading: dict[str, Any],
    told: Callable[[str], str],
) -> Iterator[Tube]:
    """The tube of each question, when it is known; further arguments as in `_ground_one`."""
    from stvg_jax.grounding.inference.searching import search

    clip_options = {"start": args.start, "end": args.end, "frames": args.frames, "resolution": args.resolution}
    options = {**clip_options, "progress": progress, **reading}
    if args.window is not None:
        windows = {"window": args.window, "stride": args.stride, "top": args.top}
        yield from search(grounder, args.video, questions, **windows, **options)
        return
    clip = grounder.read_clip(args.video, questions, **options)
    if clip.warning:
        print(told(clip.warning), file=sys.stderr)
    features = grounder.encode_clip(clip, progress=progress)
    for question in questions:
        yield grounder.answer(question, clip, features, progress=progress)
