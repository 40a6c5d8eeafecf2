"""The released ALPRO checkpoints for retrieval (salesforce/LAVIS), and the models for questions."""

from __future__ import annotations

from collections.abc import Callable

from stvg_jax.convert.formats.parts import COMPUTED, bert_layers
from stvg_jax.convert.rules import Format, Rule, array, embedding, image_patches, joint_attention, linear, norm, table

_VIDEO, _TEXT = r"visual_encoder\.model", "text_encoder"


def timesformer(
    source: str, target: str = "timesformer", times: Callable[[str, str], tuple[Rule, ...]] = table
) -> tuple[Rule, ...]:
    """TimeSformer with divided attention; `times` makes the rule for its table of frames."""
    block_source, block_target = rf"{source}\.blocks\.(\d+)", rf"{target}/blocks/\1"
    return (
        *image_patches(rf"{source}\.patch_embed\.proj", f"{target}/patches"),
        *table(rf"{source}\.cls_token", f"{target}/class_token"),
        *table(rf"{source}\.pos_embed", f"{target}/positions"),
        *times(rf"{source}\.time_embed", f"{target}/times"),
        *norm(rf"{block_source}\.temporal_norm1", f"{block_target}/time_norm"),
        *joint_attention(rf"{block_source}\.temporal_attn", f"{block_target}/time_attention"),
        *linear(rf"{block_source}\.temporal_fc", f"{block_target}/time_projection"),
        *norm(rf"{block_source}\.norm1", f"{block_target}/attention_norm"),
        *joint_attention(rf"{block_source}\.attn", f"{block_target}/attention"),
        *norm(rf"{block_source}\.norm2", f"{block_target}/ffn_norm"),
        *linear(rf"{block_source}\.mlp\.fc1", f"{block_target}/ffn/up"),
        *linear(rf"{block_source}\.mlp\.fc2", f"{block_target}/ffn/down"),
        *norm(rf"{source}\.norm", f"{target}/norm"),
    )


def bert(source: str, target: str = "bert") -> tuple[Rule, ...]:
    """BERT without a pooler."""
    return (
        *embedding(rf"{source}\.embeddings\.word_embeddings", f"{target}/words"),
        *embedding(rf"{source}\.embeddings\.position_embeddings", f"{target}/positions"),
        *embedding(rf"{source}\.embeddings\.token_type_embeddings", f"{target}/types"),
        *norm(rf"{source}\.embeddings\.LayerNorm", f"{target}/norm"),
        *bert_layers(rf"{source}\.encoder\.layer", f"{target}/layers"),
    )


ENCODERS = (*timesformer(_VIDEO), *bert(_TEXT))
HEADS = (
    *linear("vision_proj", "video_projection"),
    *linear("text_proj", "text_projection"),
    *linear("itm_head", "match_head"),
    *array("temp", "temperature"),
)
# Of the models for questions.
ANSWERS = (*linear(r"classifier\.0", "hidden"), *linear(r"classifier\.2", "answers"))

FORMAT = Format(
    name="alpro",
    describes="a released or self-trained ALPRO checkpoint for retrieval",
    signature=(rf"{_VIDEO}\.blocks\..+\.temporal_fc\..+", rf"{_TEXT}\.encoder\..+", r"itm_head\..+"),
    release=lambda tensors: "alpro_msrvtt",
    rules=(*ENCODERS, *HEADS),
    dropped=((rf"{_TEXT}\.embeddings\.position_ids", COMPUTED),),
)
