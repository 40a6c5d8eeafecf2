"""`stvg-jax demo`."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Generate a small video of moving shapes and ground two sentences in it. No download is needed.

Until the project has a trained default checkpoint, the demo's model is tiny and UNTRAINED: it shows that
everything runs and what the files look like, but its answers are arbitrary."""

EPILOG = """\
example:
  stvg-jax demo --out demo"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="folder to fill (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the video and of the model (%(default)s)")


def run(args: argparse.Namespace) -> None:
    from stvg_jax.inference.answer import Outputs, check_writable, describe
    from stvg_jax.inference.demo import write_untrained_checkpoint
    from stvg_jax.inference.demo_video import write_demo_video
    from stvg_jax.inference.grounder import Grounder
    from stvg_jax.inference.progress import Terminal

    progress = Terminal()
    video = args.out / "shapes.mp4"
    check_writable(args.out)
    with progress.stage("generating a video and an untrained model"):
        write_untrained_checkpoint(args.out / "checkpoint", seed=args.seed)
        scene = write_demo_video(video, seed=args.seed)
    outputs = Outputs(args.out, [target.sentence for target in scene.targets], video)
    grounder = Grounder.load(args.out / "checkpoint")
    questions = grounder.ask([target.sentence for target in scene.targets])
    clip = grounder.read_clip(scene.path, questions, progress=progress)
    features = grounder.encode_clip(clip, progress=progress)
    for question, target, folder in zip(questions, scene.targets, outputs.folders, strict=True):
        tube = grounder.answer(question, clip, features, progress=progress)
        outputs.write(folder, tube, video=True, progress=progress, truth=target.boxes_xyxy)
        print(describe(tube))
        print(f"  truth: frames {target.start_frame} to {target.end_frame - 1} (drawn dashed in green)")
        print(f"  written to {folder}")
    print("\nThe model is UNTRAINED, so these answers are arbitrary. For real ones, convert a released checkpoint:")
    print("  stvg-jax convert SOURCE.pth CHECKPOINT && stvg-jax ground VIDEO SENTENCE --checkpoint CHECKPOINT")
