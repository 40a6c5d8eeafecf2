"""Search of long videos in windows, against the one-clip way, on generated videos of which one scene is meant.

    python -m benchmarks.long_videos --minutes 1 5 --videos 4
    python -m benchmarks.long_videos --minutes 20 60 --videos 1
    python -m benchmarks.long_videos --video FILE --checkpoint DIR --resolution 224

A video is a sequence of shapes scenes of four seconds, in no split of the dataset, of which the first one is cut by a
random part, so that windows and scenes do not begin together. A sentence means one of its scenes: none of the others
has an answer to it, however leniently it is read (`data_pipeline/shapes/answers.py`). An answer is right if its middle
lies in the meant scene. Printed are

    R@1, R@5     share of the sentences whose best moment, or one of the five best, is right
    m_vIoU       mean vIoU of the best moment
    inside       mean vIoU of the first right moment of the five, over sentences that have one

for the scene alone, the whole video as one clip, windows (`ground --window auto`), and the five best windows of the
built-in retrieval model (`index`, `search --ground`).

Each row is measured in a process of its own, so that its peak of memory is its own. CPU time does not grow with what
else the machine does. Of several videos the median is printed. With --video only time and memory are measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from stvg_jax.data_pipeline.shapes import VERSION, Example, make_example
from stvg_jax.data_pipeline.shapes.answers import answers
from stvg_jax.data_pipeline.shapes.draws import Draws
from stvg_jax.data_pipeline.shapes.example import ASPECTS
from stvg_jax.data_pipeline.shapes.facts import Facts, observe
from stvg_jax.data_pipeline.shapes.sentences import parse
from stvg_jax.data_pipeline.shapes.video import write_video
from stvg_jax.grounding.evaluation.metrics import measure
from stvg_jax.grounding.evaluation.types import Prediction
from stvg_jax.grounding.inference import Grounder, Moment, Tube
from stvg_jax.models.names import BUILTIN_RETRIEVAL
from stvg_jax.retrieval.inference.encoder import VideoTextEncoder
from stvg_jax.retrieval.inference.index import Index, build_index
from stvg_jax.retrieval.inference.windows import WindowConfig

_SPLIT = "long"
FRAMES, FPS = 64, 16
# A sentence about a shape of one colour has answers in about one scene of fourteen, so there must be more than needed.
_SPARE = 1.6
_TOP = 5
WAYS = ("the scene alone", "one clip", "windows", "search")


@dataclasses.dataclass(frozen=True)
class Truth:
    """The meant tube of a sentence, and its scene, (start, end) frames."""

    sentence: str
    subject: str
    tube: tuple[int, int]
    boxes_xyxy: np.ndarray
    scene: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Found:
    """Answers to the questions about one video: (start, end) and boxes of the moments of each, and what they cost."""

    moments: list[list[tuple[tuple[int, int], np.ndarray]]]
    wall_sec: float
    cpu_sec: float
    peak_bytes: int


class Pool:
    """Scenes of one size, with what can be seen in them.

    Args:
        count: number of scenes.
    """

    def __init__(self, count: int):
        self.scenes: list[Example] = []
        self.facts: list[Facts] = []
        index = 0
        while len(self.scenes) < count:
            # The first draw of `make_example` is the width; scenes of another are not made.
            if Draws(VERSION, 0, _SPLIT, index).choice(ASPECTS) == ASPECTS[1]:
                self.scenes.append(make_example(0, split=_SPLIT, index=index))
                self.facts.append(observe(self.scenes[-1].scene))
            index += 1

    def write(self, path: Path, scenes: Sequence[int], cut: int) -> None:
        """Writes a video of scenes, without the first `cut` frames of the first one."""

        def frames() -> Iterator[np.ndarray]:
            for number, scene in enumerate(scenes):
                yield from self.scenes[scene].frames()[0 if number else cut :]

        write_video(path, frames(), FPS)

    def truth(self, scene: int, first: int) -> Truth:
        """The truth about a scene that begins at frame `first`."""
        answer = self.scenes[scene].groundings[0]
        tube = first + answer.start_frame, first + answer.end_frame
        return Truth(answer.sentence, answer.subject, tube, answer.boxes_xyxy, (first, first + FRAMES))

    def draw(self, count: int, questions: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        """Scenes of a video, one more than `count`, and those of them that sentences mean."""
        meant: list[int] = []
        order = rng.permutation(len(self.scenes)).tolist()
        for scene in order:
            if len(meant) < questions and not any(self._fits(a, b) for m in meant for a, b in ((m, scene), (scene, m))):
                meant.append(scene)
        fitting = [s for s in order if s not in meant and not any(self._fits(m, s) for m in meant)]
        if len(fitting) + len(meant) < count + 1:
            raise SystemExit("too few scenes without an answer; ask fewer questions")
        scenes = rng.permutation(fitting[: count - len(meant)] + meant).tolist()
        # The first one is cut, so none is meant by it.
        return [fitting[count - len(meant)], *scenes], meant

    def _fits(self, meant: int, scene: int) -> bool:
        """Whether the sentence about one scene has an answer in another."""
        return bool(answers(parse(self.scenes[meant].groundings[0].sentence), self.facts[scene], lenient=True))


def make_video(path: Path, pool: Pool, minutes: float, questions: int, rng: np.random.Generator) -> list[Truth]:
    """Writes a video, and returns what its sentences mean."""
    scenes, meant = pool.draw(round(minutes * 60 * FPS / FRAMES), questions, rng)
    cut = int(rng.integers(8, FRAMES - 8))
    pool.write(path, scenes, cut)
    return [pool.truth(scene, scenes.index(scene) * FRAMES - cut) for scene in meant]


def _moments(tube: Tube) -> list[tuple[tuple[int, int], np.ndarray]]:
    found: Sequence[Moment | Tube] = tube.moments or (tube,)
    return [
        ((m.start_frame, m.end_frame), m.boxes_xyxy if isinstance(m, Moment) else m.answer_boxes()[1]) for m in found
    ]


def _ask(way: str, path: Path, truths: Sequence[Truth], checkpoint: str | None, options: dict[str, Any]) -> Found:
    """Answers all questions about a video, in this process."""
    from stvg_jax.grounding.inference.searching import search

    grounder = Grounder.load(checkpoint)
    questions = grounder.ask([t.sentence for t in truths], [t.subject for t in truths])
    grounder.parameters  # noqa: B018
    start, cpu = time.monotonic(), time.process_time()
    if way == "search":
        return _found(_search(grounder, path, truths, **options), start, cpu)
    if way == "windows":
        tubes = search(grounder, path, questions, top=_TOP, **options)
    elif way == "one clip":
        clip = grounder.read_clip(path, questions, **options)
        features = grounder.encode_clip(clip)
        tubes = [grounder.answer(question, clip, features) for question in questions]
    else:
        tubes = []
        for truth in truths:
            tubes.append(grounder.ground(path, truth.sentence, subject=truth.subject, frames=truth.scene, **options))
    return _found([_moments(tube) for tube in tubes], start, cpu)


def _found(moments: list[list[tuple[tuple[int, int], np.ndarray]]], start: float, cpu: float) -> Found:
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return Found(moments, time.monotonic() - start, time.process_time() - cpu, 1024 * int(peak.split()[1]))


def _search(
    grounder: Grounder, path: Path, truths: Sequence[Truth], window_sec: float
) -> list[list[tuple[tuple[int, int], np.ndarray]]]:
    """The moments within the best windows of the built-in retrieval model, as of `index` and `search --ground`."""
    encoder, windows = VideoTextEncoder.load(), WindowConfig(window_sec, window_sec / 2)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "index"
        if failed := build_index([path], encoder, out, checkpoint=BUILTIN_RETRIEVAL, windows=windows):
            raise SystemExit("\n".join(failed.values()))
        index = Index.open(out)
        for truth in truths:
            bounds = [(hit.start_sec, hit.end_sec) for hit in index.search(truth.sentence, _TOP)]
            tubes = [grounder.ground(path, truth.sentence, start=start, end=end) for start, end in bounds]
            found.append([moment for tube in tubes for moment in _moments(tube)])
    return found


def ask(*args: Any) -> Found:
    """`_ask` in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_ask, *args).result()


def _viou(moment: tuple[tuple[int, int], np.ndarray], truth: Truth) -> float:
    interval, boxes = moment
    return measure(Prediction(interval, np.arange(*interval), boxes), truth).viou


def _row(minutes: float, way: str, answered: Sequence[tuple[Found, list[Truth]]]) -> str:
    """A line of the table."""
    first, five, viou, inside = [], [], [], []
    for found, truths in answered:
        for moments, truth in zip(found.moments, truths, strict=True):
            middles = [sum(interval) / 2 for interval, _ in moments]
            right = [truth.scene[0] <= middle < truth.scene[1] for middle in middles]
            first.append(right[0])
            five.append(any(right))
            viou.append(_viou(moments[0], truth))
            inside += [_viou(moments[right.index(True)], truth)] if any(right) else []
    means = [np.mean(values) for values in (first, five, viou, inside or [np.nan])]
    # The first video may have to compile programs.
    usual = [np.median([getattr(found, name) for found, _ in answered]) for name in ("cpu_sec", "wall_sec")]
    peak = max(found.peak_bytes for found, _ in answered)
    cells = [f"{minutes:g}", way, f"{len(first)}", *(f"{mean:.3f}" for mean in means)]
    cells += [*(f"{seconds:.0f}" for seconds in usual), f"{peak / 1e9:.2f}"]
    return "| " + " | ".join(cells) + " |"


def on_shapes(args: argparse.Namespace) -> None:
    """Prints the table for generated videos."""
    most = round(max(args.minutes) * 60 * FPS / FRAMES)
    started = time.monotonic()
    pool = Pool(max(200, round(_SPARE * most)))
    print(f"{len(pool.scenes):,} scenes made in {time.monotonic() - started:.0f} s", flush=True)
    head = ["minutes", "way", "sentences", "R@1", "R@5", "m_vIoU", "inside", "CPU s", "s", "GB"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    options = {"windows": {"window": "auto", "stride": args.stride}, "search": {"window_sec": FRAMES / FPS}}
    ways: dict[str, dict[str, Any]] = {way: options.get(way, {}) for way in args.ways}
    for minutes in args.minutes:
        answered: dict[str, list[tuple[Found, list[Truth]]]] = {way: [] for way in ways}
        for number in range(args.videos):
            rng = np.random.default_rng([round(minutes * 60), number])
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "long.mp4"
                truths = make_video(path, pool, minutes, args.questions, rng)
                for way, options in ways.items():
                    answered[way].append((ask(way, path, truths, None, options), truths))
        for way, found in answered.items():
            print(_row(minutes, way, found), flush=True)


def on_file(args: argparse.Namespace) -> None:
    """Prints time and memory for a video of one's own."""
    truth = Truth("the person in the middle turns around", "the person", (0, 1), np.zeros((1, 4)), (0, 1))
    options = {"resolution": args.resolution, "end": args.end}
    print("| way | moments | CPU s | s | GB |\n|---|---|---|---|---|", flush=True)
    for way, extra in (("one clip", {}), ("windows", {"window": "auto", "stride": args.stride})):
        found = ask(way, args.video, [truth], args.checkpoint, options | extra)
        cells = (
            len(found.moments[0]),
            f"{found.cpu_sec:.0f}",
            f"{found.wall_sec:.0f}",
            f"{found.peak_bytes / 1e9:.2f}",
        )
        print("| " + " | ".join(map(str, (way, *cells))) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0], help="lengths of the videos (%(default)s)")
    parser.add_argument("--videos", type=int, default=1, help="videos of each length (%(default)s)")
    parser.add_argument("--questions", type=int, default=3, help="sentences about each video (%(default)s)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY", help="some of the four")
    parser.add_argument("--stride", type=float, help="seconds between two windows (half their length)")
    parser.add_argument("--video", type=Path, help="measure time and memory on this file instead")
    parser.add_argument("--checkpoint", default="builtin", help="model for --video (%(default)s)")
    parser.add_argument("--resolution", type=int, help="with --video")
    parser.add_argument("--end", type=float, metavar="SEC", help="with --video")
    args = parser.parse_args()
    (on_shapes if args.video is None else on_file)(args)


if __name__ == "__main__":
    main()
