"""Statistics of the shapes dataset, and results of baselines that understand only a part.

Run as `python -m stvg_jax.data_pipeline.shapes.statistics`. Baselines are measured by m_tIoU and m_vIoU on the first
videos of a split, which are made again from their seeds.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from stvg_jax.data_pipeline.shapes.answers import Answer, answers, mentioned, presences
from stvg_jax.data_pipeline.shapes.draws import Draws
from stvg_jax.data_pipeline.shapes.example import Example, make_example
from stvg_jax.data_pipeline.shapes.facts import Facts, observe
from stvg_jax.data_pipeline.shapes.sentences import parse
from stvg_jax.data_pipeline.shapes.vocabulary import Interval, Noun, Query

# An interval, and a box (x1, y1, x2, y2) for each of its frames.
Tube = tuple[Interval, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """Example with the facts of its scene and the query of its sentence."""

    example: Example
    facts: Facts
    query: Query
    draws: Draws

    def true_tube(self) -> Tube:
        grounding = self.example.groundings[0]
        return (grounding.start_frame, grounding.end_frame), grounding.boxes_xyxy

    def tube(self, thing: int, interval: Interval) -> Tube:
        return interval, self.facts.things[thing].boxes_xyxy[slice(*interval)]

    def one_of(self, answers: Sequence[Answer]) -> Tube:
        """Tube of a random one of `answers`."""
        return self.tube(*self.draws.choice(answers))


def make_cases(split: str, count: int, seed: int = 0) -> list[Case]:
    """The first `count` examples of a split, each with its own stream of random guesses."""
    cases = []
    for index in range(count):
        example = make_example(seed, split=split, index=index)
        query = parse(example.groundings[0].sentence)
        cases.append(Case(example, observe(example.scene), query, Draws("guess", seed, split, index)))
    return cases


def overlap(true_tube: Tube, guess: Tube) -> tuple[float, float]:
    """(tIoU, vIoU)."""
    (a, b), (c, d) = true_tube[0], guess[0]
    both = range(max(a, c), min(b, d))
    union = (b - a) + (d - c) - len(both)
    ious = sum(_iou(true_tube[1][f - a], guess[1][f - c]) for f in both)
    return len(both) / union, ious / union


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = float(np.prod(np.maximum(sides, 0)))
    return common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


# ---- baselines ----


def whole_clip_centre_box(case: Case) -> Tube:
    """Box of average size in the centre, during the whole clip."""
    return _everywhere(case, (0, case.facts.frame_count), (0.5, 0.5))


def middle_centre_box(case: Case) -> Tube:
    """The same box during the middle 58 % of the clip, the best fixed interval for the training set."""
    n = case.facts.frame_count
    return _everywhere(case, (round(0.21 * n), round(0.79 * n)), (0.5, 0.5))


def random_tube(case: Case) -> Tube:
    """Box of average size at a random place, during a random interval."""
    start, end = sorted(case.draws.integer(0, case.facts.frame_count) for _ in range(2))
    place = case.draws.uniform(0.15, 0.85), case.draws.uniform(0.15, 0.85)
    return _everywhere(case, (start, max(end, start + 1)), place)


def _everywhere(case: Case, interval: Interval, place: tuple[float, float]) -> Tube:
    facts = case.facts
    centre, half = np.array(place) * (facts.width, facts.height), 0.13 * facts.height
    box = np.concatenate([centre - half, centre + half])
    return interval, np.tile(box, (interval[1] - interval[0], 1))


def any_thing(case: Case) -> Tube:
    """Perfect vision, no sentence: any thing, during its presence or one of its actions."""
    return case.one_of(presences(case.facts) + _actions(case.facts))


def right_box_whole_clip(case: Case) -> Tube:
    """Perfect boxes of the target, during all of its presence."""
    return case.tube(*presences(case.facts)[case.example.groundings[0].thing])


def only_appearance(case: Case) -> Tube:
    """Reads the look of the target only: a thing that fits, during all of its presence."""
    fitting = {thing for thing, _ in mentioned(case.query.noun, case.facts)}
    return case.one_of([(thing, interval) for thing, interval in presences(case.facts) if thing in fitting])


def only_motion(case: Case) -> Tube:
    """Reads the first verb only: any thing that does so."""
    query = Query(Noun(), dataclasses.replace(case.query.event, then=None))
    return case.one_of(answers(query, case.facts, lenient=True))


def no_time_no_place(case: Case) -> Tube:
    """Reads the look of the target and the first verb, but neither order nor time nor place."""
    event = case.query.event
    query = Query(case.query.noun, dataclasses.replace(event, then=None))
    return case.one_of(answers(query, case.facts, lenient=True))


def _actions(facts: Facts) -> list[Answer]:
    return [(i, (e.start, e.end)) for i, thing in enumerate(facts.things) for e in thing.episodes]


BASELINES: tuple[Callable[[Case], Tube], ...] = (
    random_tube,
    whole_clip_centre_box,
    middle_centre_box,
    any_thing,
    right_box_whole_clip,
    only_appearance,
    only_motion,
    no_time_no_place,
)


# ---- report ----


def report(cases: Sequence[Case]) -> str:
    """All figures as a text for people."""
    true_tubes = [case.true_tube() for case in cases]
    frames = np.array([case.facts.frame_count for case in cases])
    spans = np.array([interval for interval, _ in true_tubes]) / frames[:, None]
    sizes = np.array([(case.facts.width, case.facts.height) for case in cases])
    boxes = np.array([boxes.mean(0) for _, boxes in true_tubes])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 / sizes
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) / np.prod(sizes, axis=1)
    kinds = [case.example.groundings[0].kind for case in cases]
    lines = [f"{len(cases)} sentences", "", "kind: share, mean length of the interval"]
    for kind, count in sorted(collections.Counter(kinds).items()):
        lengths = [b - a for (a, b), k in zip(spans, kinds, strict=True) if k == kind]
        lines.append(f"  {kind:20} {count / len(cases):6.1%} {np.mean(lengths):6.2f}")
    lines.append("\nhistograms over tenths (of the clip, of the picture)")
    for name, values in (
        ("start", spans[:, 0]),
        ("end", spans[:, 1]),
        ("middle", spans.mean(1)),
        ("length", spans[:, 1] - spans[:, 0]),
        ("centre x", centres[:, 0]),
        ("centre y", centres[:, 1]),
    ):
        counts, _ = np.histogram(values, bins=10, range=(0, 1))
        lines.append(
            f"  {name:9} {' '.join(f'{count / len(cases):4.0%}' for count in counts)}  mean {values.mean():.2f}"
        )
    measures = np.column_stack([spans.mean(1), spans[:, 1] - spans[:, 0], centres, areas])
    correlations = np.abs(np.asarray(np.corrcoef(measures.T))[np.triu_indices(5, 1)])
    lines.append(f"  box area: mean {areas.mean():.3f} of the picture")
    lines.append(f"  largest correlation between middle, length, x, y and area: {correlations.max():.2f}")
    objects = collections.Counter(len(case.facts.things) for case in cases)
    lines.append(f"  things per video: {', '.join(f'{n}: {c / len(cases):.0%}' for n, c in sorted(objects.items()))}")
    groups = [kind.split("/")[0] for kind in kinds]
    lines.append(f"\n{'baseline':24} m_tIoU m_vIoU   m_vIoU of {', '.join(sorted(set(groups)))}")
    for baseline in BASELINES:
        scores = np.array([overlap(tube, baseline(case)) for tube, case in zip(true_tubes, cases, strict=True)])
        by_kind = [scores[[g == group for g in groups], 1].mean() for group in sorted(set(groups))]
        tiou, viou = scores.mean(0)
        lines.append(f"{baseline.__name__:24} {tiou:6.3f} {viou:6.3f}   {' '.join(f'{v:.2f}' for v in by_kind)}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", default="test", help="train, val or test (%(default)s)")
    parser.add_argument("--count", type=int, default=400, help="number of its videos (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the dataset (%(default)s)")
    args = parser.parse_args()
    print(report(make_cases(args.split, args.count, args.seed)))


if __name__ == "__main__":
    main()
