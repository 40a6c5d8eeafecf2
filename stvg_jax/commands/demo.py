"""`stvg-jax demo`."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stvg_jax.core.errors import InputError

if TYPE_CHECKING:
    from stvg_jax.core.progress import Progress
    from stvg_jax.data_pipeline.shapes.example import Example, Grounding
    from stvg_jax.grounding.inference.grounder import Grounder

DESCRIPTION = """\
Generate a video of moving shapes that the built-in models have not seen, ground two sentences in it, and compare
the answers with the true tubes. Then generate some more, find the one that a few sentences describe, and ground the
first of these in it. Nothing is downloaded. The folder gets the videos, their index and, for each sentence, tube.json,
tube.mp4 and tube.png, with the true tube in dashed green."""

EPILOG = """\
examples:
  stvg-jax demo --out demo
  stvg-jax demo --out another --seed 9                 # other videos"""


# The model was trained on frames of 96 rows, which are too small to look at.
_ENLARGEMENT = 5
# Videos that are searched, the one that is described, and hits that are shown.
_SEARCHED, _WANTED, _HITS = 8, 2, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="folder to fill (%(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the video (%(default)s)")
    parser.add_argument(
        "--checkpoint", default="builtin", metavar="DIR", help="another checkpoint for shapes (%(default)s)"
    )


def run(args: argparse.Namespace) -> None:
    if args.seed < 0:
        raise InputError(f"--seed is {args.seed}; it must be 0 or more")

    from stvg_jax.core.progress import Terminal
    from stvg_jax.data_pipeline.shapes.captions import SENTENCES, caption_of
    from stvg_jax.devices import find_devices, tell_device
    from stvg_jax.grounding.inference.answer import check_writable
    from stvg_jax.grounding.inference.grounder import Grounder

    progress = Terminal()
    find_devices()
    check_writable(args.out)
    args.out.mkdir(parents=True, exist_ok=True)
    # The split "demo" shares no scene with the training data.
    with progress.stage("generating a video"):
        example = _write(args.out / "shapes.mp4", args.seed, sentences=2)
    grounder = Grounder.load(args.checkpoint)
    tell_device()
    questions = [(truth.sentence, truth) for truth in example.groundings]
    _ground(grounder, args.out / "shapes.mp4", questions, args.out, progress)
    with progress.stage(f"generating {_SEARCHED} videos"):
        videos = args.out / "videos"
        videos.mkdir(exist_ok=True)
        paths = [videos / f"shapes{number}.mp4" for number in range(1, _SEARCHED + 1)]
        examples = [_write(path, args.seed, number, SENTENCES) for number, path in enumerate(paths, 1)]
    wanted, truth = paths[_WANTED - 1], examples[_WANTED - 1].groundings[0]
    found = _search(paths, caption_of(examples[_WANTED - 1]), args.out / "index", progress)
    print(f"  this was written about {wanted}; its first sentence is grounded in the first of them:")
    questions = [(truth.sentence, truth if found == wanted else None)]
    _ground(grounder, found, questions, args.out / "search", progress)
    print("\nThe built-in models know only shapes. For your own videos, take a released model:")
    print("  stvg-jax ground VIDEO SENTENCE --checkpoint ta_stvg_hcstvg1")


def _write(path: Path, seed: int, index: int = 0, sentences: int = 1) -> Example:
    """Writes a video of the split "demo"; returns its scene with up to so many sentences."""
    from stvg_jax.data_pipeline.shapes.example import make_example
    from stvg_jax.data_pipeline.shapes.video import write_enlarged

    example = make_example(seed, split="demo", index=index, sentences=sentences)
    write_enlarged(path, example.frames(), example.fps, _ENLARGEMENT)
    return example


def _ground(
    grounder: Grounder, video: Path, questions: Sequence[tuple[str, Grounding | None]], out: Path, progress: Progress
) -> None:
    """Grounds sentences in a video, draws the answers, and compares them with the truth where it is given."""
    from stvg_jax.grounding.evaluation.metrics import measure
    from stvg_jax.grounding.evaluation.types import Prediction
    from stvg_jax.grounding.inference.answer import Outputs, describe

    sentences = [sentence for sentence, _ in questions]
    outputs = Outputs(out, sentences, video)
    asked = grounder.ask(sentences, [None if truth is None else truth.subject for _, truth in questions])
    clip = grounder.read_clip(video, asked, progress=progress)
    features = grounder.encode_clip(clip, progress=progress)
    for question, (_, truth), folder in zip(asked, questions, outputs.folders, strict=True):
        tube = grounder.answer(question, clip, features, progress=progress)
        if truth is not None:
            truth = dataclasses.replace(truth, boxes_xyxy=truth.boxes_xyxy * _ENLARGEMENT)
        boxes = None if truth is None else dict(zip(range(*truth.tube), truth.boxes_xyxy, strict=True))
        outputs.write(folder, tube)
        outputs.draw(folder, tube, video=True, progress=progress, true_boxes_xyxy=boxes)
        print(describe(tube))
        if truth is not None:
            interval = tube.start_frame, tube.end_frame
            measures = measure(Prediction(interval, tube.box_frames, tube.boxes_xyxy), truth)
            print(
                f"  truth: frames {truth.start_frame} to {truth.end_frame - 1} (both included), drawn dashed in green\n"
                f"  tIoU {measures.tiou:.2f}, vIoU {measures.viou:.2f}, as published, without the last frame"
            )
        print(f"  written to {folder}")


def _search(videos: Sequence[Path], caption: str, out: Path, progress: Progress) -> Path:
    """Makes an index of videos and prints those that a caption describes best; returns the first."""
    from stvg_jax.retrieval.inference.encoder import VideoTextEncoder
    from stvg_jax.retrieval.inference.index import Index, build_index

    encoder = VideoTextEncoder.load()
    build_index(videos, encoder, out, progress=progress)
    hits = Index.open(out).search(caption, _HITS)
    print(f'\n"{caption}" among {len(videos)} videos:')
    for place, hit in enumerate(hits, 1):
        print(f"{place:4}  {hit.score:6.3f}  {hit.video}")
    return Path(hits[0].video)
