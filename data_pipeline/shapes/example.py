"""Examples: a scene with its sentences and their answers, made from a seed."""

from __future__ import annotations

import dataclasses

import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.shapes.answers import the_answer
from stvg_jax.data_pipeline.shapes.draws import Draws
from stvg_jax.data_pipeline.shapes.facts import Facts, observe
from stvg_jax.data_pipeline.shapes.parts import Misfit, Part, Plot, Sampler, place_parts
from stvg_jax.data_pipeline.shapes.plots import PLOTS, SHARES
from stvg_jax.data_pipeline.shapes.scene import Background, Scene, Stage
from stvg_jax.data_pipeline.shapes.sentences import parse, word_query
from stvg_jax.data_pipeline.shapes.video import draw_frames
from stvg_jax.data_pipeline.shapes.vocabulary import (
    APPEARANCE_LABELS,
    EXIST,
    MOTION_LABELS,
    VERSION,
    Event,
    Noun,
    Query,
    motion_label,
)

# Width over height, all equally frequent.
ASPECTS = (1.0, 4 / 3, 1.5)
_ATTEMPTS = 20000


@dataclasses.dataclass(frozen=True)
class Settings:
    """Size and length of the videos of a dataset.

    Attributes:
        height: pixels, even, 48 or more; widths are 1, 4/3 and 1.5 times that.
        frames: number of frames of a clip, 32 or more.
        fps: frames per second.

    Raises:
        InputError: a value out of its range.
    """

    height: int = 96
    frames: int = 64
    fps: int = 16

    def __post_init__(self):
        if self.height < 48 or self.height % 2:
            raise InputError(f"height {self.height}: must be even and 48 or more, or the shapes cannot be told apart")
        if self.frames < 32:
            raise InputError(f"{self.frames} frames: must be 32 or more, or the movements are too short to be seen")
        if self.fps < 1:
            raise InputError(f"{self.fps} frames per second: must be 1 or more")


@dataclasses.dataclass(frozen=True, eq=False)
class Grounding:
    """Sentence and its answer.

    Attributes:
        sentence: lower case, no full stop.
        subject: phrase in it that names the target.
        kind: "appearance", "motion", "time/..." or "relation/..." (docs/shapes.md).
        thing: index of the target in the scene.
        start_frame, end_frame: interval of the answer; the end is one past the last frame.
        boxes_xyxy: float64 [end_frame - start_frame, 4], (x1, y1, x2, y2) in pixels, to a hundredth.
        appearance_labels, motion_labels: attributes that the sentence mentions, as ascending indices into
            `vocabulary.APPEARANCE_LABELS` and `vocabulary.MOTION_LABELS`.
    """

    sentence: str
    subject: str
    kind: str
    thing: int
    start_frame: int
    end_frame: int
    boxes_xyxy: np.ndarray
    appearance_labels: tuple[int, ...]
    motion_labels: tuple[int, ...]

    @property
    def tube(self) -> tuple[int, int]:
        """(start_frame, end_frame)."""
        return self.start_frame, self.end_frame


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """Scene and sentences about it; the first is the one for which the scene was made."""

    scene: Scene
    fps: int
    groundings: tuple[Grounding, ...]

    def frames(self) -> np.ndarray:
        """Frames of the video, uint8 [n, height, width, 3] RGB; drawn at every call."""
        return draw_frames(self.scene)


def make_example(
    seed: int,
    settings: Settings | None = None,
    *,
    split: str = "demo",
    index: int = 0,
    sentences: int = 1,
    kind: str | None = None,
) -> Example:
    """Example number `index` of a split; the same arguments always give the same example.

    Splits never share a scene, as the name of the split is part of the seed. "train", "val" and "test" are those of
    the dataset; any other name gives examples that are in none of these.

    Args:
        settings: size and length of the video; the defaults when None.
        sentences: number of sentences, all with different answers; fewer if the scene gives no more. The first does
            not depend on it.
        kind: kind of the scene, a key of `plots.PLOTS`; drawn when None.

    Raises:
        InputError: `kind` is unknown.
    """
    settings = settings or Settings()
    check_kind(kind)
    draws = Draws(VERSION, seed, split, index)
    width = 2 * round(settings.height * draws.choice(ASPECTS) / 2)
    stage = Stage(width, settings.height, settings.frames)
    name = draws.weighted(SHARES)
    name = kind or name
    for _ in range(_ATTEMPTS):
        made = _attempt(name, Sampler(draws, stage))
        if made is not None:
            scene, first = made
            if sentences < 2:
                return Example(scene, settings.fps, (first,))
            draws = Draws(VERSION, seed, split, index, "further")
            others = further_sentences(scene, observe(scene), first, draws, sentences - 1)
            return Example(scene, settings.fps, (first, *others))
    raise RuntimeError(f"no scene of kind {name} fits {width}x{settings.height} with {settings.frames} frames")


def check_kind(kind: str | None) -> None:
    """Raises an InputError unless it is None or a key of `plots.PLOTS`."""
    if kind is not None and kind not in PLOTS:
        raise InputError(f"unknown kind of sentence {kind!r}; choose one of {', '.join(PLOTS)}")


def _attempt(name: str, sampler: Sampler) -> tuple[Scene, Grounding] | None:
    """A scene and its sentence, if its parts fit and the sentence has one answer, the one planned; None otherwise."""
    try:
        plot: Plot = PLOTS[name](sampler)
        _add_bystander(plot, sampler)
        order = sampler.draws.shuffled(range(len(plot.parts)))
        things = place_parts(plot, sampler)
    except Misfit:
        return None
    scene = Scene(sampler.stage, _background(sampler.draws), tuple(things[i] for i in order))
    facts = observe(scene)
    grounding = _ground(plot.query, plot.kind, facts, sampler.draws)
    if grounding is None or (grounding.thing, grounding.start_frame, grounding.end_frame) != (
        order.index(plot.target),
        *plot.interval,
    ):
        return None
    return scene, grounding


def _add_bystander(plot: Plot, sampler: Sampler) -> None:
    """Adds a thing unrelated to the sentence: always to two things, often to three."""
    if len(plot.parts) < 3 or (len(plot.parts) < 4 and sampler.draws.chance(0.4)):
        part = Part(sampler.look(), sampler.presence(24, 64) if sampler.draws.chance(0.5) else None)
        plot.parts.append(sampler.busy(part, sampler.draws.integer(0, 2), other_than=()))


def _ground(query: Query, kind: str, facts: Facts, draws: Draws) -> Grounding | None:
    """A sentence for a query, and the answer to the query parsed back from it; None without exactly one answer."""
    sentence, subject = word_query(query, draws)
    answer = the_answer(parse(sentence), facts)
    if answer is None:
        return None
    thing, (start, end) = answer
    noun = query.noun
    said = [word for word in (noun.size, noun.colour, noun.shape) if word]
    done = {motion_label(verb) for verb in (query.event.verb, query.event.then) if verb} - {None}
    return Grounding(
        sentence=sentence,
        subject=subject,
        kind=kind,
        thing=thing,
        start_frame=start,
        end_frame=end,
        boxes_xyxy=np.round(facts.things[thing].boxes_xyxy[start:end], 2),
        appearance_labels=tuple(sorted(APPEARANCE_LABELS.index(word) for word in said)),
        motion_labels=tuple(sorted(MOTION_LABELS.index(label) for label in done)),
    )


def _background(draws: Draws) -> Background:
    level, contrast = draws.uniform(30, 75), draws.uniform(15, 40)

    def tinted(light: float) -> tuple[int, int, int]:
        red, green, blue = (round(light + draws.uniform(-8, 8)) for _ in range(3))
        return red, green, blue

    kind = draws.weighted({"plain": 0.2, "gradient": 0.3, "clouds": 0.3, "stripes": 0.2})
    grain = draws.uniform(0, 6)
    return Background(kind, tinted(level), tinted(level + contrast), grain, draws.integer(0, 2**31))


def further_sentences(scene: Scene, facts: Facts, first: Grounding, draws: Draws, count: int) -> list[Grounding]:
    """Up to `count` (1 or more) simple sentences about other things or other times than `first`."""
    queries = []
    for thing, seen in zip(scene.things, facts.things, strict=True):
        look = thing.look
        for noun in (Noun(None, look.colour, look.shape), Noun(look.size, look.colour, look.shape)):
            events = [Event(episode.verb) for episode in seen.episodes]
            if seen.visible != (0, scene.stage.frame_count):
                events.append(Event(EXIST))
            queries += [Query(noun, event) for event in events]
    found, taken = [], {(first.thing, first.start_frame)}
    for query in draws.shuffled(queries):
        kind = "appearance" if query.event.verb == EXIST else "motion"
        grounding = _ground(query, kind, facts, draws)
        if grounding is not None and (grounding.thing, grounding.start_frame) not in taken:
            taken.add((grounding.thing, grounding.start_frame))
            found.append(grounding)
        if len(found) == count:
            break
    return found
