"""All modes of Q-Former against numbers of the released one."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule, initialize
from stvg_jax.retrieval.losses import caption_losses
from stvg_jax.retrieval.qformer import QFormer, QFormerConfig
from tests.retrieval import cases

SMALL = QFormerConfig(width=64, layers=4, heads=4, hidden=160, queries=8)
TINY = QFormerConfig(vocab_size=20, width=8, layers=2, heads=2, hidden=8, positions=12, queries=3)


def modes(model, tokens, ids, valid):
    """Results of each mode, as the release names them."""
    hidden = []
    memory = model.memory(tokens)
    for i, layer in enumerate(model.layers):

        def keep(*args, layer=layer):
            hidden.append(args[0])
            return layer(*args)

        model.layers[i] = keep
        keep.has_cross_attention = layer.has_cross_attention
    queries, read = model.read(memory)
    kept = {f"query.hidden{i}": states for i, states in enumerate([*hidden, queries])}
    kept |= {"query": queries, "query.key_of_last_layer": read[-1][0].swapaxes(1, 2)}
    text = model.encode_text(ids, valid)
    logits = model.caption(read, ids.at[:, 0].set(model.config.vocab_size - 1), valid)
    kept |= {"text": text, "text.cls": text[:, 0], "logits": logits, "joint.query": model.match(memory, ids, valid)}
    losses, counts = caption_losses(logits, ids, valid)
    return kept | {"causal.loss": losses.sum() / counts.sum()}


@pytest.mark.parametrize("name", ["h64", pytest.param("h768", marks=pytest.mark.slow)])
def test_every_mode_is_the_released_one(name):
    case = cases.load(f"stgt_qformer_{name}")
    tiny = name == "h64"
    shapes = cases.shapes("tiny" if tiny else "state_dict")
    parameters = cases.parameters(shapes, "Qformer.") | cases.parameters(shapes, "query_tokens")
    tokens = cases.normal(10, 3, 21, 96) if tiny else cases.normal(11, 2, 264, 1408)
    ids, valid = case.golden["ids"].astype(np.int32), case.golden["attention_mask"].astype(bool)
    model = QFormer(SMALL if tiny else QFormerConfig(), tokens.shape[-1], dtype=np.float32)
    kept = dict(cases.run(model, cases.within(parameters, "qformer"), modes, tokens, ids, valid))
    text, step = np.asarray(kept.pop("text")), case.meta["step"]
    kept["text.valid_tokens"] = text[valid][:, ::step]
    kept["causal.logits_at_valid"] = np.asarray(kept.pop("logits"))[valid]
    case.assert_close(1e-5, **{name.replace(".", "__"): value for name, value in kept.items()})


@pytest.fixture(scope="module")
def tiny():
    pure = PureModule(QFormer(TINY, 6, dtype=np.float32))
    parameters = initialize(unflatten(pure.declarations), 0)
    rng = np.random.default_rng(0)
    # Larger than initial values, so that what a token sees matters.
    parameters = jax.tree.map(lambda p: p + rng.normal(0, 0.3, p.shape).astype(np.float32), parameters)
    tokens = rng.standard_normal((3, 5, 6)).astype(np.float32)
    ids = rng.integers(4, 20, (3, 7)).astype(np.int32)

    @functools.partial(jax.jit, static_argnums=0)
    def run(call, *args):
        return pure.apply(parameters, lambda model: call(model, *args))

    return run, tokens, ids


def results(model, tokens, ids, valid):
    memory = model.memory(tokens)
    logits = model.caption(model.read(memory)[1], ids, valid)
    return model.encode_text(ids, valid), model.match(memory, ids, valid), logits


def test_padding_changes_nothing(tiny):
    run, tokens, ids = tiny
    length = 4
    valid = np.arange(7) < np.full((3, 1), length)
    padded = run(results, tokens, ids, valid)
    short = run(results, tokens, ids[:, :length], valid[:, :length])
    for name, ours, theirs in zip(("text", "match", "caption"), padded, short, strict=True):
        ours = ours if name == "match" else ours[:, :length]
        np.testing.assert_allclose(ours, theirs, atol=1e-6, err_msg=name)


def test_a_caption_sees_no_later_token(tiny):
    run, tokens, ids = tiny
    valid, changed = np.ones((3, 7), bool), ids.copy()
    changed[:, 5] = (changed[:, 5] + 1) % 20
    *_, before = run(results, tokens, ids, valid)
    *_, after = run(results, tokens, changed, valid)
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert np.abs(np.asarray(before - after)[:, 5:]).max(axis=(0, 2)).min() > 1e-3


def test_the_memory_of_one_video_serves_many_texts(tiny):
    run, tokens, ids = tiny
    valid = np.ones((3, 7), bool)

    def one_for_all(model, tokens):
        return model.match(model.memory(tokens[1]), ids, valid)

    def one_for_each(model, tokens):
        return model.match(model.memory(tokens), ids, valid)

    repeated = np.repeat(tokens[1:2], 3, axis=0)
    np.testing.assert_allclose(run(one_for_all, tokens), run(one_for_each, repeated), atol=1e-6)


def test_a_text_longer_than_the_table_is_refused(tiny):
    run, _, _ = tiny
    ids = np.zeros((1, 13), np.int32)
    with pytest.raises(ValueError, match="a text has 13 tokens; the model takes at most 12"):
        run(lambda model: model.encode_text(ids, ids == 0))
