"""`stvg-jax demo`."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from stvg_jax.core.errors import InputError

DESCRIPTION = """\
Generate a video of moving shapes that the built-in model has not seen, ground two sentences in it, and
compare the answers with the true tubes. Nothing is downloaded. The folder gets the video and, for each
sentence, tube.json, tube.mp4 and tube.png, with the true tube in dashed green."""

EPILOG = """\
examples:
  stvg-jax demo --out demo
  stvg-jax demo --out another --seed 9                 # another video"""


# The model was trained on frames of 96 rows, which are too small to look at.
_ENLARGEMENT = 5


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
    from stvg_jax.data_pipeline.shapes.example import make_example
    from stvg_jax.data_pipeline.shapes.video import write_enlarged
    from stvg_jax.devices import find_devices, tell_device
    from stvg_jax.grounding.evaluation.metrics import measure
    from stvg_jax.grounding.evaluation.types import Prediction
    from stvg_jax.grounding.inference.answer import Outputs, check_writable, describe
    from stvg_jax.grounding.inference.grounder import Grounder

    progress = Terminal()
    find_devices()
    video = args.out / "shapes.mp4"
    check_writable(args.out)
    args.out.mkdir(parents=True, exist_ok=True)
    with progress.stage("generating a video"):
        # The split "demo" shares no scene with the training data.
        example = make_example(args.seed, split="demo", sentences=2)
        write_enlarged(video, example.frames(), example.fps, _ENLARGEMENT)
    truths = [dataclasses.replace(g, boxes_xyxy=g.boxes_xyxy * _ENLARGEMENT) for g in example.groundings]
    sentences = [grounding.sentence for grounding in example.groundings]
    outputs = Outputs(args.out, sentences, video)
    grounder = Grounder.load(args.checkpoint)
    questions = grounder.ask(sentences, [grounding.subject for grounding in example.groundings])
    tell_device()
    clip = grounder.read_clip(video, questions, progress=progress)
    features = grounder.encode_clip(clip, progress=progress)
    for question, truth, folder in zip(questions, truths, outputs.folders, strict=True):
        tube = grounder.answer(question, clip, features, progress=progress)
        boxes = dict(zip(range(truth.start_frame, truth.end_frame), truth.boxes_xyxy, strict=True))
        outputs.write(folder, tube)
        outputs.draw(folder, tube, video=True, progress=progress, true_boxes_xyxy=boxes)
        print(describe(tube))
        interval = tube.start_frame, tube.end_frame
        measures = measure(Prediction(interval, tube.box_frames, tube.boxes_xyxy), truth)
        print(
            f"  truth: frames {truth.start_frame} to {truth.end_frame - 1} (both included), drawn dashed in green\n"
            f"  tIoU {measures.tiou:.2f}, vIoU {measures.viou:.2f}, as published, without the last frame"
        )
        print(f"  written to {folder}")
    print("\nThe built-in model knows only shapes. For your own videos, take a released model:")
    print("  stvg-jax ground VIDEO SENTENCE --checkpoint ta_stvg_hcstvg1")
