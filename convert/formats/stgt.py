"""The released STGT checkpoints (GXYM/STGT), and EVA's ViT-g, which they leave out because it is not trained."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

import numpy as np

from stvg_jax.convert.formats.parts import COMPUTED, eva_vit
from stvg_jax.convert.rules import Format, Rule, Unsaved, array, attention, embedding, linear, norm, table

_GRAPH = "graph_cross_model"
_BERT = r"Qformer\.bert"
_HEAD = r"Qformer\.cls\.predictions"
# Outputs of the generator before the table of positions is drawn, counted at the released constructors.
_DRAWN_BEFORE = 2_029_097_216
_TABLE_STD = 0.02


def _clip_block(source: str, target: str) -> tuple[Rule, ...]:
    """A pre-norm block as CLIP's."""
    return (
        *norm(rf"{source}\.ln_1", f"{target}/attention_norm"),
        *attention(rf"{source}\.attn", f"{target}/attention"),
        *norm(rf"{source}\.ln_2", f"{target}/ffn_norm"),
        *linear(rf"{source}\.mlp\.c_fc", f"{target}/ffn/up"),
        *linear(rf"{source}\.mlp\.c_proj", f"{target}/ffn/down"),
    )


def graph_transformer(source: str, target: str) -> tuple[Rule, ...]:
    """The graph transformer."""
    layer_source, layer_target = rf"{source}\.resblocks\.(\d+)", rf"{target}/layers/\1"
    parts = {"Q": "query", "K": "key", "V": "value", "O": "out"}
    return (
        *array(rf"{source}\.time_embed", f"{target}/times"),
        *array(rf"{source}\.pos_2D_embed", f"{target}/positions"),
        *linear(rf"{layer_source}\.proj_fc", f"{layer_target}/project"),
        *_clip_block(rf"{layer_source}\.message_attn", f"{layer_target}/messages"),
        *_clip_block(layer_source, f"{layer_target}/frame_block"),
        *(
            rule
            for theirs, ours in parts.items()
            for rule in linear(rf"{layer_source}\.graphattn\.W_{theirs}", f"{layer_target}/graph_attention/{ours}")
        ),
        *norm(rf"{source}\.ln_post", f"{target}/norm"),
        *array(rf"{source}\.proj", f"{target}/out/kernel"),
    )


def _bert_attention(source: str, target: str) -> tuple[Rule, ...]:
    rules = linear(rf"{source}\.output\.dense", f"{target}/out")
    for part in ("query", "key", "value"):
        rules += linear(rf"{source}\.self\.{part}", f"{target}/{part}")
    return rules


def qformer() -> tuple[Rule, ...]:
    """Q-Former with its head for captions, as LAVIS names them."""
    layer_source, layer_target = rf"{_BERT}\.encoder\.layer\.(\d+)", r"qformer/layers/\1"
    rules = [
        *table("query_tokens", "qformer/queries"),
        *embedding(rf"{_BERT}\.embeddings\.word_embeddings", "qformer/words"),
        *embedding(rf"{_BERT}\.embeddings\.position_embeddings", "qformer/positions"),
        *norm(rf"{_BERT}\.embeddings\.LayerNorm", "qformer/norm"),
        *linear(rf"{_HEAD}\.transform\.dense", "qformer/caption_head/transform"),
        *norm(rf"{_HEAD}\.transform\.LayerNorm", "qformer/caption_head/norm"),
        *array(rf"{_HEAD}\.bias", "qformer/caption_head/bias"),
    ]
    for theirs, attention_target, norm_target in (
        ("attention", "attention", "attention_norm"),
        ("crossattention", "cross_attention", "cross_norm"),
    ):
        rules += _bert_attention(rf"{layer_source}\.{theirs}", f"{layer_target}/{attention_target}")
        rules += norm(rf"{layer_source}\.{theirs}\.output\.LayerNorm", f"{layer_target}/{norm_target}")
    for theirs, ours in (("", "text_ffn"), ("_query", "query_ffn")):
        rules += linear(rf"{layer_source}\.intermediate{theirs}\.dense", f"{layer_target}/{ours}/ffn/up")
        rules += linear(rf"{layer_source}\.output{theirs}\.dense", f"{layer_target}/{ours}/ffn/down")
        rules += norm(rf"{layer_source}\.output{theirs}\.LayerNorm", f"{layer_target}/{ours}/norm")
    return tuple(rules)


def seed_42(shape: tuple[int, ...]) -> np.ndarray:
    """The table of positions that the released evaluation draws, with its seed and its order of constructors.

    PyTorch's generator is MT19937. A truncated normal of 24 bits of each output follows all other draws; reaching it
    takes some seconds.
    """
    seeded: Any = np.random.RandomState(42).get_state(legacy=False)
    generator = np.random.MT19937()
    generator.state = seeded
    generator.random_raw(_DRAWN_BEFORE, output=False)
    uniform = (generator.random_raw(int(np.prod(shape))) % 2**24) / 2**24
    values = np.vectorize(statistics.NormalDist(sigma=_TABLE_STD).inv_cdf)(uniform)
    return np.clip(values, -2, 2).reshape(shape).astype(np.float32)


def _zeros(shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape, np.float32)


def _sizes(tensors: Mapping) -> dict[str, Any]:
    """Width of the embeddings; that of some released files is not that of the released configurations."""
    shape = tuple(tensors["vision_proj.weight"].shape) if "vision_proj.weight" in tensors else ()
    return {"embedding": shape[0]} if len(shape) == 2 else {}


FORMAT = Format(
    name="stgt",
    describes="a released or self-trained STGT checkpoint",
    signature=(rf"{_GRAPH}\.resblocks\..+", rf"{_BERT}\..+"),
    # Nothing in the tensors tells the dataset; the models for the others differ in the length of texts.
    release=lambda tensors: "stgt_msrvtt",
    sizes=_sizes,
    rules=(
        *eva_vit(r"visual_encoder\."),
        *graph_transformer(_GRAPH, "graph"),
        *norm("ln_vision", "video_norm"),
        *qformer(),
        *linear("vision_proj", "video_projection"),
        *linear("text_proj", "text_projection"),
        *linear("itm_head", "match_head"),
        *array("temp", "temperature"),
    ),
    aliases=(
        (rf"{_HEAD}\.decoder\.weight", "Qformer.bert.embeddings.word_embeddings.weight"),
        (rf"{_HEAD}\.decoder\.bias", "Qformer.cls.predictions.bias"),
    ),
    dropped=((rf"{_BERT}\.embeddings\.position_ids", COMPUTED),),
    backbone="eva_vit_g",
    unsaved=(
        Unsaved(
            path="graph/positions",
            values={"seed-42": seed_42, "zeros": _zeros},
            warning=(
                "The released code draws it anew in every run and does not save it, so that of the training is only "
                "known by its seed; with another one the model's answers differ by some per cent"
            ),
        ),
    ),
)

EVA_VIT_G = Format(
    name="eva_vit_g",
    describes="EVA's ViT-g: eva_vit_g.pth as BLIP-2 has it",
    signature=(r"patch_embed\.proj\..+", r"blocks\.\d+\.attn\.q_bias"),
    release=lambda tensors: "stgt_msrvtt",
    rules=eva_vit(""),
    dropped=(
        (r"blocks\.(39|[4-9]\d)\..+", "a block after the last that is read"),
        (r"(norm|fc_norm)\..+", "features are read before the final norm"),
        (r"head\..+", "the head of the pre-training"),
    ),
    fills=("vit/.*",),
)
