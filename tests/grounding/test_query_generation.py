"""Target-aware and oracle queries: where TubeDETR and STCAT get them, what they are made of, what they change."""

from __future__ import annotations

import dataclasses
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.core import checkpoint
from stvg_jax.core.config import build, load_config_file
from stvg_jax.core.errors import InputError
from stvg_jax.core.registry import get_family
from stvg_jax.core.tree import flatten
from stvg_jax.experiment.building import Experiment
from stvg_jax.grounding.evaluation.evaluator import GroundingEvaluator
from stvg_jax.grounding.inference.grounder import Grounder
from stvg_jax.grounding.query_config import QUERY_KINDS, QueryConfig
from stvg_jax.grounding.query_generation import FoundTarget, QueryTokens, decode_chosen, find_true_cells
from stvg_jax.grounding.task import GroundingTask
from stvg_jax.grounding.types import GroundingBatch, TrueTube
from stvg_jax.train.initialise import initial_parameters
from tests.grounding import rows
from tests.grounding.batches import assert_same_row, make_batch, padded
from tests.tiny import apply, forward, tiny, tiny_model_config

SYSTEMS = ("tubedetr", "stcat")
# Both share the code; what one shows quickly, the other shows among the slow tests.
ONE_IS_SLOW = ("tubedetr", pytest.param("stcat", marks=pytest.mark.slow))
# Rows and columns of the feature grid of the pictures below, 8 pixels apart.
GRID = (4, 6)


def small(system: str, **settings):
    """Module and parameters of a model with more cells and fewer layers than other tiny ones."""
    config = tiny_model_config(system=system)
    shrunk = {"resnet": {"blocks": (1, 1)}, "swin": {"depths": (1, 1), "heads": (1, 1)}}
    shrunk["transformer"] = {"decoder_layers": 1}
    config = {part: config[part] | changes for part, changes in shrunk.items() if part in config}
    return tiny(system=system, **config, **({"stride": 2} if system == "tubedetr" else {}), **settings)


def pictures(t: int = 5, b: int = 1) -> GroundingBatch:
    return make_batch(t=t, h=30, w=48, b=b)


def record(model, system: str) -> dict[str, jax.Array]:
    """Queries and tokens that a model's decoders get when it is called the next time."""
    got = {}

    def keep(decoder, name, tokens):
        def call(*args, **options):
            got[name], got[f"{name}_tokens"] = args[0], tokens(*args)
            return decoder(*args, **options)

        return call

    if system == "tubedetr":
        model.decoder = keep(model.decoder, "spatial", lambda query, inputs: inputs.tokens)
        return got
    clip = (lambda *args: args[2].tokens) if system == "stcat" else (lambda *args: args[2].appearance)
    if system == "stcat":
        model.spatial_decoder.decode = keep(model.spatial_decoder.decode, "spatial", clip)
        model.temporal_decoder = keep(model.temporal_decoder, "temporal", clip)
    else:
        model.spatial_decoder = keep(model.spatial_decoder, "spatial", clip)
        model.temporal_decoder = keep(model.temporal_decoder, "temporal", lambda query, encoded: encoded.motion)
    return got


def run(system: str, model, batch: GroundingBatch, **options):
    """The model's output and what its decoders got."""

    def call(m):
        got = record(m, system)
        output = m(batch, **options)
        return output, got

    return apply(*model, call)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_released_model_has_no_part_of_it_and_starts_from_zeros(system):
    zero, both = small(system), small(system, queries="both")
    own = {path for path in both[0].declarations if path.startswith("target_queries/")}
    assert set(zero[0].declarations) == set(both[0].declarations) - own
    assert {path.split("/")[1] for path in own} == {"appearance_sampling", "appearance_activation"}
    drawn, rest = flatten(both[1]), flatten(zero[1])
    assert all(np.array_equal(drawn[path], value) for path, value in rest.items())
    output, got = run(system, zero, pictures())
    assert not any(np.any(query) for name, query in got.items() if not name.endswith("tokens"))
    assert output.sampling_score is None and output.appearance_attribute_logits is None


def middle(scores: jax.Array) -> float:
    """A threshold that about half of the frames exceed, and none is close to."""
    ordered = np.sort(np.asarray(scores[0]))
    return float(ordered[len(ordered) // 2 - 1 : len(ordered) // 2 + 1].mean())


@pytest.mark.parametrize(
    ("system", "kind"),
    [("stcat", "both"), *(pytest.param("tubedetr", kind, marks=pytest.mark.slow) for kind in QUERY_KINDS[1:])],
)
def test_queries_are_means_of_what_the_decoder_reads(system, kind):
    output, got = run(system, small(system, queries=kind), pictures())
    chosen = np.ones((1, 5), bool)
    if kind != "activation":
        threshold = middle(output.sampling_score)
        chosen = np.asarray(output.sampling_score) > threshold
        output, got = run(system, small(system, queries=kind, sampling_threshold=threshold), pictures())
        assert 0 < chosen.sum() < 5
    module, parameters = small(system, queries=kind)
    cells = got["spatial_tokens"][:, :, :24]
    weights = np.ones((1, 5, 24))
    if kind != "sampling":
        text = got["spatial_tokens"][:, :, 24:]
        subject = jnp.asarray(text).mean(1)[:, 0]
        found = apply(
            module, parameters, lambda m, *a: m.target_queries.appearance_activation(*a), jnp.asarray(cells), subject
        )
        weights = np.asarray(found.weights)
        np.testing.assert_allclose(
            output.appearance_attribute_logits, np.asarray(found.word_logits)[chosen].mean(0, keepdims=True), atol=1e-5
        )
    expected = (np.asarray(cells) * weights[..., None])[chosen].mean((0, 1))
    assert np.abs(expected).max() > 0.01
    for name in ("spatial", *(["temporal"] if system == "stcat" else [])):
        np.testing.assert_allclose(got[name], np.broadcast_to(expected, (1, 5, 32)), atol=1e-5)
    assert output.motion_sampling_logits is None and output.motion_attribute_logits is None


def test_the_temporal_decoder_of_stcat_may_start_from_zeros():
    _, got = run("stcat", small("stcat", queries="both", temporal_start="zeros"), pictures())
    assert np.any(got["spatial"]) and not np.any(got["temporal"])


@pytest.mark.parametrize("oracle", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("system", ONE_IS_SLOW)
def test_batch_and_bucket_change_nothing(system, oracle):
    shapes = [(7, 30, 48, 6), (1, 17, 33, 3)]
    batches = [make_batch(*shape, seed=i) for i, shape in enumerate(shapes)]
    scores = forward(*small(system, queries="both"), batches[0]).sampling_score
    model = small(system, queries="both", sampling_threshold=middle(scores), second_pass=True, oracle=oracle)
    tubes = [random_tube(*shape[:1], seed=i) for i, shape in enumerate(shapes)]
    together = TrueTube(np.zeros((2, 9), bool), np.full((2, 9, 4), np.nan, np.float32))
    for i, tube in enumerate(tubes):
        length = tube.in_tube.shape[1]
        together.in_tube[i, :length], together.boxes_cxcywh[i, :length] = tube.in_tube[0], tube.boxes_cxcywh[0]

    def ground(batch, tube):
        return apply(*model, lambda m, b, t: m(b, true_tube=t), batch, tube)

    whole = ground(padded(batches, t=9, h=40, w=56, l=8), together)
    for i, batch in enumerate(batches):
        assert_same_row(ground(batch, tubes[i]), 0, whole, i, batch.frames.shape[1])


def random_tube(t: int, seed: int = 0) -> TrueTube:
    """A tube that leaves out the first of several frames."""
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.uniform(0.3, 0.7, (1, t, 2)), rng.uniform(0.2, 0.5, (1, t, 2))], -1)
    return TrueTube(np.arange(t)[None] >= min(1, t - 1), boxes.astype(np.float32))


def make_tokens(streams=("appearance",), frames_valid=None, sizes=None) -> QueryTokens:
    rng = np.random.default_rng(0)
    cells = {name: jnp.asarray(rng.standard_normal((2, 3, 24, 4)), jnp.float32) for name in streams}
    return QueryTokens(cells, jnp.ones((2, 3, 2, 4)), GRID, sizes, None, frames_valid)


@pytest.mark.parametrize("oracle", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_second_pass_takes_the_frames_of_the_first_answer(oracle):
    tokens, seen = make_tokens(), []
    relevance = {"appearance": jnp.array([[9.0, -9, 9], [-9, -9, -9]])}
    found = FoundTarget(tokens, relevance, {}, jnp.ones((2, 3, 24), bool) if oracle else None)

    def decode(chosen):
        seen.append(chosen.tolist())
        return jnp.array([[-1.0, 1, 1], [-1, -1, 1]])

    config = QueryConfig(queries="sampling", second_pass=True)
    first, second = [[True, False, True], [True] * 3], [[False, True, True], [False, False, True]]
    _, chosen = decode_chosen(found, config, decode, lambda actioness: actioness, second_pass=None)
    assert seen == ([first] if oracle else [first, second])
    assert chosen.tolist() == seen[-1]
    seen.clear()
    decode_chosen(found, config, decode, lambda actioness: actioness, second_pass=False)
    assert seen == [first]


# On the grid of 4 x 6 cells: rows 1 and 2, columns 2 to 4.
BOX = (3.5 / 6, 2 / 4, 3 / 6, 2 / 4)
INSIDE = np.array([8, 9, 10, 14, 15, 16])


def make_tube() -> TrueTube:
    """The box in the second and third frame of one video, and no frame of the other."""
    boxes = np.full((2, 3, 4), np.nan, np.float32)
    boxes[0, 1:] = BOX
    return TrueTube(np.array([[False, True, True], [False] * 3]), boxes)


def test_true_cells():
    cells = np.asarray(find_true_cells(make_tube(), make_tokens()))
    assert not cells[0, 0].any()
    assert [np.flatnonzero(frame).tolist() for frame in cells[0, 1:]] == [INSIDE.tolist()] * 2
    assert cells[1].all()
    # Of a grid of which 2 x 3 cells are real, the same box has row 0 (to the nearest cell) and columns 1 and 2.
    valid = np.array([[True, True, False], [True, False, False]])
    tokens = make_tokens(frames_valid=valid, sizes=jnp.array([[2, 3], [2, 3]]))
    cells = np.asarray(find_true_cells(make_tube(), tokens))
    assert np.argwhere(cells[0]).tolist() == [[1, 1], [1, 2], [1, 7], [1, 8]]
    assert np.argwhere(cells[1]).tolist() == [[0, i] for i in (0, 1, 2, 6, 7, 8)]


@pytest.mark.parametrize("system", ["ta_stvg", *SYSTEMS])
def test_an_oracle_query_is_the_mean_inside_the_true_box_of_the_true_frames(system):
    model = small(system, oracle=True, queries="both")
    batch = pictures(t=3, b=2)
    output, got = run(system, model, batch, true_tube=make_tube())
    for name in ("spatial", "temporal") if system != "tubedetr" else ("spatial",):
        cells = np.asarray(got[f"{name}_tokens"])[:, :, :24]
        expected = [cells[0, 1:, INSIDE].mean((0, 1)), cells[1].mean((0, 1))]
        np.testing.assert_allclose(got[name], np.repeat(np.stack(expected)[:, None], 3, axis=1), atol=1e-5)
    # The classifiers stay.
    assert output.sampling_score.shape == (2, 3)
    with pytest.raises(ValueError, match="give true_tube"):
        forward(*model, batch)


@pytest.mark.parametrize("system", ["ta_stvg", *SYSTEMS])
def test_ground_refuses_a_model_that_needs_the_truth(system):
    family = get_family(system)
    description = types.SimpleNamespace(model=system)
    loaded = types.SimpleNamespace(family=family, config=family.config(oracle=True), description=description)
    with pytest.raises(InputError, match=r"config.model.oracle=True.*evaluate it with `stvg-jax eval`"):
        Grounder(loaded)


@pytest.mark.parametrize("oracle", [False, True])
def test_an_evaluation_tells_the_truth_where_the_batch_has_it(oracle):
    shape = (2, 3)
    batch = {
        "frames": np.zeros((*shape, 4, 4, 3), np.uint8),
        "frames_valid": np.ones(shape, bool),
        "sizes": np.full((2, 2), 4, np.int32),
        "text_ids": np.zeros(shape, np.int32),
        "text_valid": np.ones(shape, bool),
    }
    tube = make_tube()
    told = {"in_tube": tube.in_tube, "boxes_cxcywh": tube.boxes_cxcywh} if oracle else {}
    called = []

    def model(inputs, **options):
        called.append(options)
        nothing = types.SimpleNamespace(boxes_cxcywh=[0], start_end_logits=[0], actioness_logits=[jnp.zeros(shape)])
        nothing.sampling_score = None
        return nothing

    GroundingEvaluator(get_family("stcat").protocol).outputs(model, batch | told)
    assert set(called[0]) == ({"true_tube"} if oracle else set())
    assert not oracle or called[0]["true_tube"].in_tube is tube.in_tube


@pytest.mark.parametrize("system", ONE_IS_SLOW)
def test_the_losses_of_the_classifiers_teach_nothing_else(system):
    model = small(system, queries="both", appearance_words=rows.WORDS[0])
    batch, targets = rows.make_rows(t=4, h=32, w=32)
    losses = get_family(system).losses()
    weights = dict.fromkeys(set(vars(losses)) - {"sigma", "outside_weight"}, 0.0)
    weights |= {"appearance_sampling": 1.0, "appearance_attributes": 1.0}
    task = GroundingTask(model[0], dataclasses.replace(losses, **weights))
    loss = jax.value_and_grad(lambda p: task.loss(p, batch, targets), has_aux=True)
    (total, (terms, _)), gradients = jax.device_get(jax.jit(loss)(model[1]))
    assert float(total) == pytest.approx(float(terms["appearance_sampling"] + terms["appearance_attributes"]), rel=1e-5)
    taught = {path for path, value in flatten(gradients).items() if np.any(value)}
    assert {path.split("/")[0] for path in taught} == {"target_queries"}
    assert {path.split("/")[1] for path in taught} == {"appearance_sampling", "appearance_activation"}


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_padding_and_parts_change_no_loss_and_no_gradient(system):
    module, parameters = small(system, queries="both", appearance_words=rows.WORDS[0])
    task = GroundingTask(module, get_family(system).losses())
    terms = {"box_l1", "box_giou", "start_end", "guided_attention", "appearance_sampling", "appearance_attributes"}
    terms |= {"actioness"} if system == "stcat" else set()
    rows.assert_padding_and_parts_change_nothing(task, parameters, terms, each_alone=True)


def test_a_query_teaches_the_tokens_and_the_activation():
    """Its gradient flows through both factors, but not into the classifiers' inputs."""
    module, parameters = small("stcat", queries="activation")
    rng = np.random.default_rng(0)
    cells, text = (rng.standard_normal((1, 2, n, 32)).astype(np.float32) for n in (24, 3))

    def total(parameters, cells, text):
        def find(m):
            tokens = QueryTokens({"appearance": cells}, text, GRID, None, None, None)
            return m.target_queries.find(tokens).query("appearance", jnp.ones((1, 2), bool))[..., :3].sum()

        return module.apply(parameters, find)

    of_parameters, of_cells, of_text = jax.jit(jax.grad(total, argnums=(0, 1, 2)))(parameters, cells, text)
    assert any(np.any(value) for value in jax.tree.leaves(of_parameters["target_queries"]))
    assert not np.any(of_text)
    # Of the cells, three channels are averaged; the others matter to the activation alone.
    assert np.any(of_cells[..., :3]) and not np.any(of_cells[..., 3:])


@pytest.mark.parametrize(("name", "words"), [("tubedetr_hcstvg1", 15), ("stcat_hcstvg1", 15), ("stcat_vidstg", 20)])
def test_a_configuration_with_queries(name, words):
    config = load_config_file(Path(name), ["--config.model.queries=both"])
    experiment = Experiment.build(config)
    model, rates = experiment.model, experiment.learning_rates
    assert (model.words, model.sampling_threshold) == ((words, 0), 0.7 if words == 15 else 0.45)
    assert model.reads_subject and not dataclasses.replace(model, subject_with_queries=False).reads_subject
    assert rates.target_queries == pytest.approx(2.5 * rates.base)
    learned = {path for path, group in experiment.groups.items() if group == "target_queries"}
    assert learned == {path for path in experiment.module.declarations if path.startswith("target_queries/")}
    sizes = {"rows": 2, "frames": 4, "width": None, "tokens": 32}
    shapes = experiment.family.batch(config, model, experiment.clip, **sizes)
    assert (shapes["appearance_labels"].shape, shapes["motion_labels"].shape) == ((2, words), (2, 0))


@pytest.mark.parametrize(
    ("system", "settings", "message"),
    [
        ("tubedetr", {"queries": "all"}, "queries is 'all'; it must be one of zero, sampling, activation, both"),
        ("stcat", {"second_pass": True}, "set second_pass=False"),
        ("stcat", {"temporal_start": "zero"}, "temporal_start is 'zero'; it must be one of query, zeros"),
        ("cg_stvg", {"oracle": True}, "config.model.oracle is unknown"),
    ],
)
def test_wrong_settings_are_refused(system, settings, message):
    with pytest.raises(InputError, match=message):
        build(get_family(system).config, settings, "config.model")


def test_labels_are_asked_for_where_the_activation_learns_them():
    config = get_family("tubedetr").config
    assert [config(queries=kind).words for kind in QUERY_KINDS] == [(0, 0), (0, 0), (15, 0), (15, 0)]


def test_a_training_starts_from_the_released_model_and_draws_the_classifiers(tmp_path):
    zero, both = small("tubedetr"), small("tubedetr", queries="both")
    released = {path: value + 1 for path, value in flatten(zero[1]).items()}
    checkpoint.write(tmp_path, released, checkpoint.Description("tubedetr", {"model": {}, "clip": {}}, note="released"))
    start, origins = initial_parameters(both[0].declarations, [str(tmp_path)], (), seed=0)
    assert all(np.array_equal(start[path], value) for path, value in released.items())
    assert {path.split("/")[0] for path in start.keys() - released.keys()} == {"target_queries"}
    assert [line for line in origins if line.startswith("drawn: ") and "(target_queries " in line]
