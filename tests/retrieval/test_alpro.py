"""ALPRO against numbers of the released modules, through the converter."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.backbones.bert import BertConfig
from stvg_jax.backbones.timesformer import TimeSformerConfig
from stvg_jax.convert.formats.alpro import ANSWERS, ENCODERS, FORMAT
from stvg_jax.core.tree import flatten, unflatten
from stvg_jax.nn.declare import PureModule
from stvg_jax.retrieval.alpro import ALPRO, ALPROConfig, VideoAnswers
from stvg_jax.retrieval.alpro_losses import alpro_losses, contrastive_logits
from stvg_jax.retrieval.losses import Embeddings, Negatives, PairTexts, negative_logits
from tests.retrieval import cases


def config(size) -> ALPROConfig:
    shape = (size[name] for name in ("frames", "width", "depth", "heads"))
    video = TimeSformerConfig(size["image"], 16, *shape, 4 * size["width"])
    bert = BertConfig(30522, size["width"], size["layers"], size["heads"], size["ffn"])
    return ALPROConfig(video, bert, size["fusion"], size["embed"], size["max_txt_len"])


def videos(seed: int, *shape: int) -> np.ndarray:
    """Frames [b, t, h, w, 3], drawn as the release has them, [b, 3, t, h, w]."""
    return np.moveaxis(cases.normal(seed, *shape), 1, -1)


def stages(model: ALPRO, frames, ids, valid):
    """Everything that is recorded, by its name there."""
    kept = {}
    for i, block in enumerate(model.timesformer.blocks):

        def keep(first, patches, i=i, block=block):
            first, patches = block(first, patches)
            # The release keeps a class token, then the frames of each place.
            along = patches.swapaxes(1, 2).reshape(len(first), -1, first.shape[-1])
            kept[f"timesformer.block{i}"] = jnp.concatenate([first, along], axis=1)
            return first, patches

        model.timesformer.blocks[i] = keep
    encoded, texts = model.encode_videos(frames), model.encode_texts(ids, valid)
    states = model.text_states(ids, valid)
    matched = jax.vmap(lambda tokens: model.match(model.video_memory(tokens), ids, valid))(encoded.tokens)
    return kept | {
        "video_embeds": encoded.tokens,
        "text_states": states,
        "fusion": model.fuse(states[:1], valid[:1], encoded.tokens[0])[0],
        "video_features": encoded.embeddings[:, 0],
        "text_features": texts.embeddings,
        "similarity": model.similarity(encoded.embeddings, texts.embeddings),
        "matched": matched,
    }


@pytest.mark.parametrize(
    ("name", "part", "drawn"),
    [
        ("5x5", "tiny", (0, 5, 3, 4, 64, 64)),
        pytest.param("full_size_1x2", "state_dict", (2, 1, 3, 8, 224, 224), marks=pytest.mark.slow),
    ],
)
def test_every_stage_is_the_released_one(name, part, drawn):
    case = cases.load(f"alpro_eval_{name}")
    parameters = cases.parameters(cases.shapes(part, "alpro"), form=FORMAT)
    ids, valid = case.golden["ids"], case.golden["attention_mask"].astype(bool)
    kept = cases.run(ALPRO(config(case.meta["size"])), parameters, stages, videos(*drawn), ids, valid)
    states, fusion = np.asarray(kept.pop("text_states")), np.asarray(kept.pop("fusion"))
    seen = np.concatenate([valid[0], np.ones(len(fusion) - len(valid[0]), bool)])
    matched, similarity = (np.asarray(kept[name]) for name in ("matched", "similarity"))
    kept.pop("matched")
    case.assert_close(1e-5, **{name.replace(".", "__"): value for name, value in kept.items()})
    case.assert_close(1e-5, text_embeds__valid_tokens=states[valid], fusion_of_text0_video0__valid_tokens=fusion[seen])
    for name, ours in (("v2t", matched + similarity), ("t2v", (matched + similarity).T)):
        compared = case.golden[name] > -99
        assert compared.sum(axis=1).tolist() == [case.meta["k_test"]] * len(compared)
        np.testing.assert_allclose(ours[compared], case.golden[name][compared], atol=2e-5)


def test_losses_and_gradients_are_the_released_ones():
    case = cases.load("alpro_eval_5x5")
    wanted = cases.shapes("tiny", "alpro")
    parameters = cases.parameters(wanted, form=FORMAT)
    frames, ids = videos(0, 5, 3, 4, 64, 64), case.golden["ids"]
    texts = PairTexts(*map(jnp.asarray, (ids, case.golden["attention_mask"].astype(bool), np.ones(5, bool))))
    rows = jnp.arange(5)
    negatives = Negatives(*(jnp.array(case.meta[f"negative_{name}"]) for name in ("video_of_text", "text_of_video")))
    small = config(case.meta["size"])
    small = dataclasses.replace(small, bert=dataclasses.replace(small.bert, dropout_rate=0.0))
    module = PureModule(ALPRO(small))

    def terms(model):
        encoded = model.encode_videos(frames)
        whole = Embeddings(encoded.tokens, encoded.embeddings, model.encode_texts(texts.ids, texts.valid).embeddings)
        logits = negative_logits(contrastive_logits(whole, whole, model.temperature[...]), rows, texts.real)
        return alpro_losses(model, whole, texts, rows, negatives, 5), jax.nn.softmax(logits.videos), logits.texts

    @jax.jit
    def run(parameters):
        def loss(parameters):
            losses, *logits = module.apply(parameters, terms)
            return sum(losses.values()), (losses, *logits)

        return jax.value_and_grad(loss, has_aux=True)(parameters)

    (total, (losses, to_videos, to_texts)), gradients = run(unflatten(parameters))
    case.assert_close(1e-5, loss=total, loss_vtc=losses["contrastive"], loss_vtm=losses["matching"])
    case.assert_close(1e-5, weights_t2v=to_videos, weights_v2t=jax.nn.softmax(to_texts))
    by_source = cases.gradients_by_source(wanted, flatten(gradients), form=FORMAT)
    names = [name.removeprefix("grad.norm.") for name in case.golden if name.startswith("grad.norm.")]
    assert len(names) == 8
    for name in names:
        norm = case.golden[f"grad.norm.{name}"]
        assert np.linalg.norm(by_source[name]) == pytest.approx(norm, rel=1e-5), name
        np.testing.assert_allclose(by_source[name][:64], case.golden[f"grad.first64.{name}"], atol=1e-5 * norm)


def test_answers_to_questions_are_the_released_ones():
    case = cases.load("alpro_answers_t6")
    form = dataclasses.replace(FORMAT, rules=(*ENCODERS, *ANSWERS))
    parameters = cases.parameters(cases.shapes("tiny_answers", "alpro"), form=form)
    model = VideoAnswers(config(case.meta["size"]), case.meta["answers"])
    ids, valid = case.golden["ids"], case.golden["attention_mask"].astype(bool)
    logits = cases.run(model, parameters, lambda m, *a: m(*a), videos(1, 4, 3, 6, 64, 64), ids, valid)
    case.assert_close(1e-5, logits=logits)
    log_p = jax.nn.log_softmax(logits)[np.arange(4), case.golden["targets"]]
    case.assert_close(1e-5, loss=-log_p.mean())


def test_padding_of_a_text_changes_nothing():
    case = cases.load("alpro_eval_5x5")
    parameters = cases.parameters(cases.shapes("tiny", "alpro"), form=FORMAT)
    ids, valid = case.golden["ids"], case.golden["attention_mask"].astype(bool)
    model = ALPRO(config(case.meta["size"]))
    tokens = cases.normal(3, 17, 48)

    def scores(m, ids, valid):
        return m.match(m.video_memory(tokens), ids, valid), m.encode_texts(ids, valid).embeddings

    plain = cases.run(model, parameters, scores, ids, valid)
    wider = [np.pad(array, ((0, 0), (0, 6)), constant_values=fill) for array, fill in ((ids, 7), (valid, False))]
    for ours, theirs in zip(cases.run(model, parameters, scores, *wider), plain, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
