"""The graph transformer against numbers of the released one, which builds the whole matrix of a video."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from stvg_jax.core.tree import flatten, unflatten
from stvg_jax.nn.declare import PureModule, initialize
from stvg_jax.retrieval.graph import GraphAttention, GraphConfig, GraphTransformer, connections
from tests.retrieval import cases

GRID = 16
# Seed and sizes (videos, frames, width) of each case's tokens.
CASES = {"dense_d96_t8": (2, 1, 8, 96), "quiet_t1_d96": (8, 1, 1, 96)}
# Larger ones, and others that hardly add anything.
SLOW = {
    "sparse_d96_t8": (0, 2, 8, 96),
    "medium_d96_t8": (1, 1, 8, 96),
    "th01_d96_t8": (5, 1, 8, 96),
    "2layers_d96_t8": (1, 1, 8, 96),
    "t1_d96": (3, 2, 1, 96),
    "d1408_t8": (6, 1, 8, 1408),
    "d1408_t1": (7, 1, 1, 1408),
}


def graph_parameters(width, layers):
    """Parameters of so many layers, of which the manifest has one."""
    shapes = cases.shapes("tiny" if width == 96 else "state_dict")
    first = "graph_cross_model.resblocks.0."
    for i in range(1, layers):
        more = {n.replace(first, first.replace("0", str(i))): s for n, s in shapes.items() if n.startswith(first)}
        shapes = shapes | more
    return cases.within(cases.parameters(shapes, "graph_cross_model."), "graph")


def graph(meta):
    config = GraphConfig(layers=meta["layers"], threshold=meta["sim_th"])
    return GraphTransformer(config, meta["width"], GRID, dtype=np.float32)


def stages(model, x):
    """States within every layer, as the release names them, and the output."""
    kept = {}
    for i, layer in enumerate(model.layers):
        messages, attend = layer.messages, layer.graph_attention.along

        def keep_messages(first, i=i, messages=messages):
            kept[f"layer{i}.message"] = messages(first).swapaxes(0, 1)
            return kept[f"layer{i}.message"].swapaxes(0, 1)

        def keep_attention(patches, similarities, rngs, i=i, attend=attend):
            kept[f"layer{i}.edges"] = (similarities != 0).sum(-1).reshape(len(patches), -1)
            attended = attend(patches, similarities, rngs)
            kept[f"layer{i}.graph_attention"] = attended.reshape(len(patches), -1, attended.shape[-1])
            return attended

        def keep_block(x, rngs, i=i, layer=layer):
            return kept.setdefault(f"layer{i}.block", layer(x, rngs))

        layer.messages, layer.graph_attention.along = keep_messages, keep_attention
        model.layers[i] = keep_block
    return {"out": model(x)} | kept


@pytest.mark.parametrize("name", [*CASES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_every_stage_is_the_released_one_and_edges_are_exact(name):
    case = cases.load(f"stgt_graph_{name}")
    seed, videos, frames, width = (CASES | SLOW)[name]
    x = cases.clusters(seed, videos, frames, width, **case.meta["tokens"])
    kept = cases.run(graph(case.meta), graph_parameters(width, case.meta["layers"]), stages, x)
    for i in range(case.meta["layers"]):
        np.testing.assert_array_equal(kept.pop(f"layer{i}.edges"), case.golden[f"layer{i}.edges"])
    case.assert_close(1e-5, **{name.replace(".", "__"): value for name, value in kept.items()})


@pytest.mark.slow
def test_gradients_are_the_released_ones():
    """Those of all parameters and of the input."""
    case = cases.load("stgt_graph_sparse_d96_t8")
    parameters = graph_parameters(96, 1)
    x = cases.clusters(*SLOW["sparse_d96_t8"], **case.meta["tokens"])
    weights = cases.normal(1000, 2, 264, 96)
    pure = PureModule(graph(case.meta))

    @jax.jit
    def run(parameters, x):
        def loss(parameters, x):
            out = pure.apply(unflatten(parameters), lambda model: model(x))
            return (out * weights).sum(), out

        return jax.grad(loss, argnums=(0, 1), has_aux=True)(parameters, x)

    (by_path, of_input), out = run(parameters, x)
    case.assert_close(1e-5, out=out)
    case.assert_close(2e-5, grad__input=of_input)
    by_path = {f"graph/{path}": gradient for path, gradient in by_path.items()}
    by_name = cases.gradients_by_source(cases.shapes("tiny"), by_path, "graph_cross_model.")
    for key, norm in case.golden.items():
        if key.startswith("grad.norm."):
            name = f"graph_cross_model.{key.removeprefix('grad.norm.')}"
            np.testing.assert_allclose(np.linalg.norm(by_name[name]), norm, rtol=1e-5, err_msg=name)


def whole_matrix(x, threshold):
    """Similarities of all patches to all [b, t * n, t * n], as the release computes them, for any number of frames."""
    b, t, n, d = x.shape
    flat = x.reshape(b, t * n, d)
    units = flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-12)
    frame = np.repeat(np.arange(t), n)
    similar = units @ units.swapaxes(1, 2)
    return np.where((np.abs(frame[:, None] - frame) <= 1) & (similar >= threshold), similar, 0)


@pytest.mark.parametrize("t", [1, 3])
def test_the_band_holds_all_of_the_matrix(t):
    b, n, heads, width = 2, 6, 2, 8
    x = np.random.default_rng(t).standard_normal((b, t, n, width)).astype(np.float32)
    whole = whole_matrix(x, 0.3)
    pure = PureModule(GraphAttention(width, heads, dtype=np.float32))
    p = initialize(unflatten(pure.declarations), seed=0)

    def run(p, x):
        similar = connections(x, 0.3)
        return pure.apply(p, lambda m: m.along(x, similar, None)), similar

    ours, similar = jax.jit(run)(p, x)
    for f in range(t):
        inside = range(max(f - 1, 0), min(f + 2, t))
        expected = np.concatenate([whole[:, f * n : (f + 1) * n, g * n : (g + 1) * n] for g in inside], axis=2)
        start = n if f == 0 else 0
        np.testing.assert_allclose(similar[:, f, :, start : start + expected.shape[2]], expected, atol=1e-6)
    assert np.count_nonzero(similar) == np.count_nonzero(whole) > b * t * n

    p, flat = flatten(p), x.reshape(b, t * n, width)
    q, k, v = ((flat @ p[f"{part}/kernel"]).reshape(b, -1, heads, width // heads) for part in ("query", "key", "value"))
    scores = np.einsum("bqhc,bkhc->bhqk", q, k) / np.sqrt(width // heads) * whole[:, None]
    weights = np.where(whole[:, None] != 0, np.exp(scores), 0)
    weights /= weights.sum(-1, keepdims=True)
    theirs = np.einsum("bhqk,bkhc->bqhc", weights, v).reshape(b, t, n, width) @ p["out/kernel"]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_similarities_have_no_gradient_and_a_token_of_zeros_no_nan():
    x = np.random.default_rng(0).standard_normal((1, 2, 4, 8)).astype(np.float32)
    x[0, 0, 1] = 0
    pure = PureModule(GraphAttention(8, 2, dtype=np.float32))
    parameters = initialize(unflatten(pure.declarations), seed=0)

    def total(x, similarities):
        return pure.apply(parameters, lambda m: m.along(x, similarities, None)).sum()

    @jax.jit
    def gradients(x):
        constant = connections(x, 0.5)
        return jax.grad(total)(x, constant), jax.grad(lambda x: total(x, connections(x, 0.5)))(x)

    with_constant, whole = gradients(x)
    np.testing.assert_allclose(whole, with_constant, atol=1e-6)
    assert np.isfinite(whole).all()


def test_a_clip_of_another_length_shares_the_rows_of_times():
    pure = PureModule(GraphTransformer(GraphConfig(layers=0), width=4, grid=2, dtype=np.float32))
    p = flatten(initialize(unflatten(pure.declarations), 0))
    p |= {"times": np.arange(32, dtype=np.float32).reshape(8, 4) ** 2, "positions": np.zeros((5, 4), np.float32)}
    model = pure.bind(unflatten(p))
    model._pool = model.norm = model.out = lambda x: x
    placed = jax.jit(model)(np.zeros((1, 3, 5, 4), np.float32))
    np.testing.assert_array_equal(placed[0, :, 0], p["times"][[0, 2, 5]])


def test_a_threshold_that_is_no_cosine_is_refused():
    with pytest.raises(ValueError, match=r"threshold is 1\.5; it must be a cosine between 0 and 1"):
        GraphConfig(threshold=1.5)
