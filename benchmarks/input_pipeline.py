"""Clips per second of the loader, compared with loading in the manner of the released systems.

    python -m benchmarks.input_pipeline [--video V ...] [--samples N]

The released systems decode a whole video for each sample (with the ffmpeg program, through a pipe), pick the sampled
frames and resize them. This is repeated here with ffmpeg, or with PyAV, without a pipe, where ffmpeg is not installed;
resizing uses all cores. The loader reads the same frames from a store, which is made first, in a temporary folder.
Both are measured in alternation, in one run. A clip is a sample: one row in training, two in evaluation. Texts are only
split at spaces.

Without --video, videos are generated, with 568 frames, about as many as those of HC-STVG have.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from stvg_jax.data_pipeline.annotations import Sample
from stvg_jax.data_pipeline.frame_rules import evaluation_frame_ids, training_frame_ids
from stvg_jax.data_pipeline.frames import model_size, resize
from stvg_jax.data_pipeline.loading.config import LoaderConfig
from stvg_jax.data_pipeline.loading.loader import Loader
from stvg_jax.data_pipeline.shards import FrameStore, Settings, prepare_frames, wanted_frames
from stvg_jax.data_pipeline.video import VideoInfo, open_video

_FRAMES, _FPS = 568, 28
_GENERATED = ((1280, 720), (640, 480))
# Of the model's forward pass, by `benchmarks.forward.count_flops` for a row of 64 frames of 420 x 588 and 20 tokens.
_FORWARD_TFLOP = 9.74
# The usual estimate; less if a part is frozen.
_STEP_PER_FORWARD = 3
_H200_TFLOP_PER_S = 989
_ACHIEVED = 0.4


@dataclasses.dataclass(frozen=True)
class Measured:
    """A measurement of one way of loading: clips per second, and CPU seconds for each clip."""

    clips_per_s: float
    cpu_s: float


def generate_video(path: Path, size: tuple[int, int]) -> Path:
    """Writes a video of a camera that moves over a textured plane, with noise; `size` is (width, height)."""
    width, height = size
    rng = np.random.default_rng(0)
    plane = np.zeros((2 * height, 2 * width, 3), np.float32)
    for cell in (16, 64, 256):
        coarse = rng.normal(0, 2 * cell**0.5, (2 * height // cell + 2, 2 * width // cell + 2, 3)).astype(np.float32)
        plane += coarse.repeat(cell, 0).repeat(cell, 1)[: 2 * height, : 2 * width]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"preset": "veryfast", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(_FRAMES):
            top, left = number * height // _FRAMES, (number * 3) % width
            picture = plane[top : top + height, left : left + width] + rng.normal(128, 1, (height, width, 1))
            frame = av.VideoFrame.from_ndarray(np.clip(picture, 0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def make_samples(videos: list[tuple[str, VideoInfo]], per_video: int) -> list[Sample]:
    """Sentences about each video, with tubes of a third of its length in different places."""
    samples = []
    for name, info in videos:
        for i in range(per_video):
            number = info.frame_count // 3
            first = i * (info.frame_count - number) // per_video
            box = [info.width / 4, info.height / 4, info.width / 2, info.height / 2]
            samples.append(
                Sample(
                    id=str(len(samples)),
                    video=name,
                    sentence=f"the man on the left walks away {i}",
                    subject="the man",
                    kind="declarative",
                    category="person",
                    width=info.width,
                    height=info.height,
                    clip=(0, info.frame_count),
                    tube=(first, first + number),
                    boxes_xyxy=np.array([box] * number),
                )  # fmt: skip
            )
    return samples


def tokenize(text: str) -> np.ndarray:
    return np.arange(len(text.split()) + 2, dtype=np.int32)


def load_as_released(path: Path, info: VideoInfo, frame_ids: np.ndarray, resolution: int) -> np.ndarray:
    """Decodes the whole video and resizes the frames chosen, float32 [n, h, w, 3] in [0, 1]."""
    wanted = set(frame_ids.tolist())
    pictures = [picture for number, picture in enumerate(_decode_all(path, info)) if number in wanted]
    return resize(np.stack(pictures), model_size(info.height, info.width, resolution))


def _decode_all(path: Path, info: VideoInfo) -> Iterator[np.ndarray]:
    if shutil.which("ffmpeg"):
        command = ["ffmpeg", "-loglevel", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:"]
        raw = subprocess.run(command, capture_output=True, check=True).stdout
        yield from np.frombuffer(raw, np.uint8).reshape(-1, info.height, info.width, 3)
        return
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def measure_loader(loader: Loader, first_step: int, steps: int, batch_size: int) -> Measured:
    """Times `steps` batches after the first, when what was read ahead of them is used up."""
    batches = loader.batches(first_step, first_step + 1 + steps)
    next(batches)
    start, cpu = time.perf_counter(), time.process_time()
    clips = sum(batch_size for _ in batches)
    return Measured(clips / (time.perf_counter() - start), (time.process_time() - cpu) / clips)


def measure_released(
    videos: Path, infos: dict[str, VideoInfo], samples: list[Sample], resolution: int, *, training: bool, seed: int
) -> Measured:
    """Times loading of samples one after another; each uses all cores."""
    rng = np.random.default_rng(seed)
    start, cpu = time.perf_counter(), _all_cpu_seconds()
    for sample in samples:
        count = sample.clip[1]
        if training:
            frame_ids = training_frame_ids(count, "hcstvg", tube=sample.tube, rng=rng)
        else:
            frame_ids = evaluation_frame_ids(count, "hcstvg")
        load_as_released(videos / sample.video, infos[sample.video], frame_ids, resolution)
    return Measured(len(samples) / (time.perf_counter() - start), (_all_cpu_seconds() - cpu) / len(samples))


def _all_cpu_seconds() -> float:
    """CPU seconds of this process and of the children that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def print_on_paper(cpu_s: float) -> None:
    """Prints an estimate of the clips per second that one chip needs."""
    step = _STEP_PER_FORWARD * _FORWARD_TFLOP
    needed = _H200_TFLOP_PER_S * _ACHIEVED / step
    print(
        f"\nOn paper, an H200 at {_ACHIEVED:.0%} of {_H200_TFLOP_PER_S} TFLOP/s (bfloat16): a clip of 64 frames of "
        f"420 x 588 is a forward pass of {_FORWARD_TFLOP:g} TFLOP and a step of about {step:.0f}, so a chip starves "
        f"below {needed:.1f} clips/s; that is {needed * cpu_s:.1f} cores like these."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", nargs="+", type=Path, default=[], metavar="V", help="videos to load from")
    parser.add_argument("--samples", type=int, default=8, help="sentences about each video (%(default)s)")
    parser.add_argument("--batch", type=int, default=4, help="samples in a batch (%(default)s)")
    parser.add_argument("--steps", type=int, default=10, help="batches in one turn of the loader (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="turns (%(default)s)")
    parser.add_argument("--resolution", type=int, default=420, help="(%(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for i, video in enumerate(args.video):
            (folder / f"{i}{video.suffix}").symlink_to(video.resolve())
        if not args.video:
            for width, height in _GENERATED:
                generate_video(folder / f"{width}x{height}.mp4", (width, height))
        run(folder, args)


def run(folder: Path, args: argparse.Namespace) -> None:
    infos = {}
    for path in sorted(folder.iterdir()):
        with open_video(path) as reader:
            infos[path.name] = reader.info
    samples = make_samples(list(infos.items()), args.samples)
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        prepare_frames(wanted_frames(samples, "hcstvg", "sampled"), folder, out, Settings(height=args.resolution))
        print(f"stored the frames of {len(infos)} videos in {time.perf_counter() - start:.1f} s", file=sys.stderr)
        compare(folder, infos, samples, FrameStore(out), args)


def compare(
    folder: Path, infos: dict[str, VideoInfo], samples: list[Sample], store: FrameStore, args: argparse.Namespace
) -> None:
    for name, info in infos.items():
        stored = store.videos[name]
        clip = store.read(name, evaluation_frame_ids(info.frame_count, "hcstvg")[::2])
        print(
            f"{name}: {info.frame_count} frames of {info.width} x {info.height}; stored {stored.stored_width} x "
            f"{stored.stored_height}, {sum(map(len, clip)) / 1e6:.1f} MB a clip of {len(clip)}"
        )
    config = LoaderConfig(resolution=args.resolution)
    print(f"{'':12}{'loader':>24}{'as released':>24}{'ratio':>8}")
    for training in (True, False):
        # An evaluation ends with its samples; training repeats them.
        every = samples if training else samples * (1 + (args.steps + 1) * args.batch // len(samples))
        loader = Loader(every, store, tokenize, config, training=training, batch_size=args.batch)
        ours, theirs = [], []
        for turn in range(args.repeats):
            first_step = turn * (args.steps + 1) if training else 0
            ours.append(measure_loader(loader, first_step, args.steps, args.batch))
            of_each_video = samples[turn % args.samples :: args.samples]
            theirs.append(measure_released(folder, infos, of_each_video, args.resolution, training=training, seed=turn))
            ratio = ours[-1].clips_per_s / theirs[-1].clips_per_s
            print(f"{_name(training):12}{_cell(ours[-1])}{_cell(theirs[-1])}{ratio:8.1f}")
        ratios = [o.clips_per_s / t.clips_per_s for o, t in zip(ours, theirs, strict=True)]
        print(f"{_name(training):12}median of {args.repeats}: {statistics.median(ratios):.1f} times as many clips")
        if training:
            cpu_s = statistics.median(turn.cpu_s for turn in ours)
    print_on_paper(cpu_s)


def _name(training: bool) -> str:
    return "training" if training else "evaluation"


def _cell(measured: Measured) -> str:
    return f"{measured.clips_per_s:9.2f}/s {measured.cpu_s:6.3f} CPU s"


if __name__ == "__main__":
    main()
