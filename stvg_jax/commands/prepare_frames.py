"""`stvg-jax prepare frames`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stvg_jax.commands import add_dataset, add_options, options_of
from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import FAMILIES

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.annotations import VideoText
    from stvg_jax.data_pipeline.loading.needs import NeededFrames
    from stvg_jax.data_pipeline.shards import Settings
    from stvg_jax.data_pipeline.shards.wanted import Wanted

DESCRIPTION = """\
Decode every video once and store its frames as JPEG, for training and evaluation. Writes into --out:
  shards/         one file per video
  manifest.json   what is stored, with checksums
  failed.json     videos that could not be stored, with the reasons

It can be stopped at any time; the same command continues. Other splits can be added later."""

EPILOG = """\
examples:
  stvg-jax prepare frames --dataset hcstvg --annotations data/hc-stvg --split train test \\
      --videos data/hc-stvg/v1_video --out frames/hcstvg1
  stvg-jax prepare frames --dataset hcstvg --annotations data/hc-stvg --split train test \\
      --family tubedetr --out frames/hcstvg1_tubedetr                # as this family takes them
  stvg-jax prepare frames --dataset msrvtt --annotations data/msrvtt --split test --family stgt --frames sampled \\
      --out frames/msrvtt                                            # 8 frames a video, to evaluate retrieval
  stvg-jax prepare frames --videos my_videos --out frames/mine       # all frames of all videos below a folder
  stvg-jax prepare frames --check --out frames/hcstvg1               # compare checksums

--frames selects the frames: "sampled", those that evaluation uses and, for HC-STVG, training too; "clips", every frame
of the annotated clips, which training on VidSTG needs; or "all". "auto" is "sampled" for HC-STVG and "clips" otherwise.

Families of models differ in the frames that they take and in the size to which they reduce them. By default the frames
serve TA-STVG and CG-STVG; --family stores the frames of another one, in its own way. Frames in their own size (--height
0) serve every family that takes these frames, and --frames clips has the frames of all. At the end the command says
which families the store serves; `train` and `eval` refuse a store that does not serve their model.

On the disk, at the default size and quality (65 kB per frame of 420x588):
  HC-STVG v1   5,660 videos  0.73 million frames   47 GB   (all frames: 3.2 million, 210 GB)
  HC-STVG v2  16,544 videos  2.13 million frames  139 GB   (without the unpublished test set: 13,613, 114 GB)
  VidSTG       6,924 videos   7.0 million frames  420 GB   (test split alone: 45 GB, of sampled frames 15 GB)
--plan-only estimates space and time from your own videos; preparing does not start if the space is too small."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the stored frames")
    parser.add_argument(
        "--videos", type=Path, metavar="DIR", help="folder of the videos (default: the one beside the annotations)"
    )
    data = parser.add_argument_group("annotations", "Without them all videos below --videos are stored.")
    add_dataset(data, required=False)
    data.add_argument("--annotations", type=Path, metavar="PATH", help="dataset folder, or an annotation file")
    data.add_argument("--split", nargs="+", metavar="NAME", help="splits to store, such as train test")
    add_options(data)
    frames = parser.add_argument_group("what is stored")
    frames.add_argument(
        "--frames", choices=("auto", "sampled", "clips", "all"), default="auto", help="see below (%(default)s)"
    )
    frames.add_argument(
        "--family",
        choices=tuple(FAMILIES),
        metavar="NAME",
        help=f"family whose frame and size rules choose and reduce the frames: {', '.join(FAMILIES)}",
    )
    frames.add_argument(
        "--height",
        type=int,
        metavar="PIXELS",
        help="height of stored frames, or resolution of the family; smaller videos keep their size, 0 keeps all sizes "
        "(default: 420, or the family's)",
    )
    frames.add_argument(
        "--quality", type=int, default=95, metavar="N", help="quality of the JPEG, 1 to 100 (%(default)s)"
    )
    frames.add_argument(
        "--subsampling",
        choices=("4:4:4", "4:2:0"),
        default="4:4:4",
        help="colours of the JPEG; 4:2:0 is a fifth smaller and has twice the largest errors (%(default)s)",
    )
    work = parser.add_argument_group("work")
    work.add_argument("--processes", type=int, metavar="N", help="videos at a time (default: one per CPU)")
    work.add_argument(
        "--max-failed",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the videos that may fail, 0 to 1 (%(default)s)",
    )
    work.add_argument("--decoder", choices=("pyav", "decord"), default="pyav", help="video decoder (%(default)s)")
    work.add_argument("--allow-partial", action="store_true", help="use damaged videos up to the damage")
    work.add_argument("--plan-only", action="store_true", help="estimate disk and time, and write nothing")
    check = parser.add_argument_group("checking what is stored")
    check.add_argument("--check", action="store_true", help="read all shards and compare checksums")
    check.add_argument("--fast", action="store_true", help="with --check: lengths, counts and places only")


def run(args: argparse.Namespace) -> None:
    if args.fast and not args.check:
        raise InputError("--fast goes with --check")
    if args.check:
        _check(args)
        return

    from stvg_jax.data_pipeline.shards import prepare_frames

    needs = _needs(args)
    videos, samples, wanted = _wanted(args, needs)
    summary = prepare_frames(
        wanted,
        videos,
        args.out,
        _settings(args, needs),
        processes=args.processes,
        max_failed=args.max_failed,
        decoder=args.decoder,
        allow_partial=args.allow_partial,
        plan_only=args.plan_only,
    )
    if not args.plan_only:
        print(f"frames: {args.out} ({summary.stored:,} videos)")
        _tell_families(args, samples)


def _needs(args: argparse.Namespace) -> NeededFrames | None:
    """Needs of the family that --family names; None if it is not given.

    Raises:
        InputError: nothing is known about its needs.
    """
    if args.family is None:
        return None
    needs = _family_needs(args.family, args.dataset)
    if needs is None:
        raise InputError(
            f"--family {args.family}: it has no released models for this dataset, whose needs could be met; choose "
            "another family, or none"
        )
    return needs


def _family_needs(family: str, dataset: str | None) -> NeededFrames | None:
    """Needs of the models that were released for a dataset; None if there are none."""
    from stvg_jax.core.registry import get_family
    from stvg_jax.data_pipeline.datasets.registry import get_dataset

    record = get_family(family)
    if record.needed_frames is None or record.released_clip is None:
        return None
    try:
        clip = record.released_clip(None if dataset is None else get_dataset(dataset).rules)
    except ValueError:
        return None
    return record.needed_frames(clip)


def _settings(args: argparse.Namespace, needs: NeededFrames | None) -> Settings:
    from stvg_jax.data_pipeline.shards import Settings

    own = {} if needs is None else {"height": needs.resolution, "sizing": needs.sizing}
    given = {} if args.height is None else {"height": args.height}
    return Settings(quality=args.quality, subsampling=args.subsampling, **own | given)


def _tell_families(args: argparse.Namespace, samples: Sequence[VideoText]) -> None:
    """Says which families the store serves, for these samples."""
    from stvg_jax.data_pipeline.shards import FrameStore

    store, served, others = FrameStore(args.out), [], []
    for name in FAMILIES:
        needs = _family_needs(name, args.dataset)
        if needs is None:
            continue
        read = [sample for sample in samples if isinstance(sample, needs.reads)]
        if samples and not read:
            continue
        if lacks := needs.lacks(store, read):
            others.append(f"  {name}, {needs.resolution} pixels: {'; '.join(lacks)}")
        else:
            served.append(name)
    if samples and not (served or others):
        return
    print(f"families of models that these frames serve: {', '.join(served) or 'none'}")
    if others:
        print("\n".join(["families that need other frames (--family NAME and another --out store them):", *others]))


def _wanted(args: argparse.Namespace, needs: NeededFrames | None) -> tuple[Path, Sequence[VideoText], Wanted]:
    """Folder of the videos, the samples, and the frames to store by video."""
    from stvg_jax.data_pipeline.shards import wanted_frames
    from stvg_jax.data_pipeline.video.listing import all_videos

    if args.dataset is None and args.annotations is None:
        if args.videos is None:
            raise InputError("--videos is missing; give the folder of the videos, or --dataset and --annotations")
        if args.frames not in ("auto", "all"):
            raise InputError(f"--frames {args.frames} needs annotations: --dataset, --annotations and --split")
        return args.videos, [], all_videos(args.videos)
    if args.dataset is None or args.annotations is None or args.split is None:
        raise InputError("--dataset, --annotations and --split go together")

    from stvg_jax.data_pipeline.datasets.reading import find_video_folder, read_annotations
    from stvg_jax.data_pipeline.datasets.registry import get_dataset

    videos = args.videos or find_video_folder(args.dataset, args.annotations)
    samples = []
    for split in args.split:
        # Entries with problems stop a training or an evaluation; their frames are stored nevertheless.
        annotations = read_annotations(
            args.dataset,
            args.annotations,
            split=split,
            videos=videos,
            on_problem="keep",
            **options_of(args),
        )
        samples += annotations.samples
        left_out = f" ({len(annotations.excluded):,} entries left out)" if annotations.excluded else ""
        print(f"{split}: {len(annotations.samples):,} sentences{left_out}")
    usual = get_dataset(args.dataset).stored_frames if needs is None else needs.policy
    policy = usual if args.frames == "auto" else args.frames
    if needs is None:
        return videos, samples, wanted_frames(samples, args.dataset, policy)
    return videos, samples, needs.wanted(samples, args.dataset, policy)


def _check(args: argparse.Namespace) -> None:
    from stvg_jax.data_pipeline.shards import FrameStore, check_store

    damaged = check_store(args.out, fast=args.fast)
    for video, what in damaged.items():
        print(f"{video}: {what}")
    if damaged:
        raise InputError(
            f"{args.out}: {len(damaged):,} of the videos are damaged; run the command that prepared these frames "
            "again, which stores only them"
        )
    print(f"frames: {args.out} is whole")
    entries = FrameStore(args.out).videos.values()
    if plain := sum(entry.identity is None for entry in entries):
        print(
            f"{plain:,} of {len(entries):,} videos were stored by an earlier version, without the name of the video in "
            "the frames: swapped shards are found only by --check without --fast"
        )
