"""Rules for the backbones, which several released checkpoints hold under different prefixes."""

from __future__ import annotations

from stvg_jax.convert.rules import (
    Rule,
    array,
    attention,
    conv,
    embedding,
    frozen_norm,
    linear,
    matrix,
    norm,
    patches,
)

POOLER = "RoBERTa's pooler; no model here looks at the pooled sentence"
COMPUTED = "a table that is computed, not learned"


def resnet(source: str, target: str = "resnet") -> tuple[Rule, ...]:
    """torchvision's ResNet with FrozenBatchNorm2d."""
    # Stages are numbered from 1 there and from 0 here.
    rules = [*conv(rf"{source}\.conv1", f"{target}/stem"), *frozen_norm(rf"{source}\.bn1", f"{target}/stem")]
    for stage in range(4):
        block_source, block_target = rf"{source}\.layer{stage + 1}\.(\d+)", rf"{target}/stages/{stage}/\1"
        for i in (1, 2, 3):
            rules += conv(rf"{block_source}\.conv{i}", f"{block_target}/conv{i}")
            rules += frozen_norm(rf"{block_source}\.bn{i}", f"{block_target}/conv{i}")
        rules += conv(rf"{block_source}\.downsample\.0", f"{block_target}/downsample")
        rules += frozen_norm(rf"{block_source}\.downsample\.1", f"{block_target}/downsample")
    return tuple(rules)


def video_swin(source: str, downsample: str, target: str = "swin") -> tuple[Rule, ...]:
    """Video Swin; `downsample` is the pattern of patch merging, with the stage as its only group."""
    block_source, block_target = rf"{source}\.layers\.(\d+)\.blocks\.(\d+)", rf"{target}/stages/\1/\2"
    table = "attn/relative_position_bias_table"
    return (
        *patches(rf"{source}\.patch_embed\.proj", f"{target}/patch_embed/proj"),
        *norm(rf"{source}\.patch_embed\.norm", f"{target}/patch_embed/norm"),
        *norm(rf"{block_source}\.norm1", f"{block_target}/norm1"),
        *array(rf"{block_source}\.attn\.relative_position_bias_table", f"{block_target}/{table}"),
        *linear(rf"{block_source}\.attn\.qkv", f"{block_target}/attn/qkv"),
        *linear(rf"{block_source}\.attn\.proj", f"{block_target}/attn/proj"),
        *norm(rf"{block_source}\.norm2", f"{block_target}/norm2"),
        *linear(rf"{block_source}\.mlp\.fc1", f"{block_target}/mlp/up"),
        *linear(rf"{block_source}\.mlp\.fc2", f"{block_target}/mlp/down"),
        *matrix(rf"{downsample}\.reduction", rf"{target}/downsamples/\1/reduction"),
        *norm(rf"{downsample}\.norm", rf"{target}/downsamples/\1/norm"),
    )


def roberta(source: str, target: str = "roberta") -> tuple[Rule, ...]:
    """Hugging Face's RobertaModel. `source` ends in its dot, or is empty."""
    embeddings = ("word_embeddings", "position_embeddings", "token_type_embeddings")
    layer_source, layer_target = rf"{source}encoder\.layer\.(\d+)", rf"{target}/layers/\1"
    rules = [rule for e in embeddings for rule in embedding(rf"{source}embeddings\.{e}", f"{target}/embeddings/{e}")]
    rules += norm(rf"{source}embeddings\.LayerNorm", f"{target}/embeddings/norm")
    for part in ("query", "key", "value"):
        rules += linear(rf"{layer_source}\.attention\.self\.{part}", f"{layer_target}/attention/{part}")
    return (
        *rules,
        *linear(rf"{layer_source}\.attention\.output\.dense", f"{layer_target}/attention/out"),
        *norm(rf"{layer_source}\.attention\.output\.LayerNorm", f"{layer_target}/attention_norm"),
        *linear(rf"{layer_source}\.intermediate\.dense", f"{layer_target}/ffn/up"),
        *linear(rf"{layer_source}\.output\.dense", f"{layer_target}/ffn/down"),
        *norm(rf"{layer_source}\.output\.LayerNorm", f"{layer_target}/ffn_norm"),
    )


def encoder_layer(source: str, target: str) -> tuple[Rule, ...]:
    """A layer of DETR's transformer encoder."""
    return (
        *attention(rf"{source}\.self_attn", f"{target}/self_attn"),
        *norm(rf"{source}\.norm1", f"{target}/attention_norm"),
        *linear(rf"{source}\.linear1", f"{target}/ffn/up"),
        *linear(rf"{source}\.linear2", f"{target}/ffn/down"),
        *norm(rf"{source}\.norm2", f"{target}/ffn_norm"),
    )


def decoder_layer(source: str, target: str) -> tuple[Rule, ...]:
    """What all of DETR's decoder layers share here: self-attention, feed-forward and the three norms."""
    return (
        *attention(rf"{source}\.self_attn", f"{target}/self_attn"),
        *norm(rf"{source}\.norm1", f"{target}/self_norm"),
        *norm(rf"{source}\.norm3", f"{target}/cross_norm"),
        *linear(rf"{source}\.linear1", f"{target}/ffn/up"),
        *linear(rf"{source}\.linear2", f"{target}/ffn/down"),
        *norm(rf"{source}\.norm4", f"{target}/ffn_norm"),
    )


def mlp(source: str, target: str) -> tuple[Rule, ...]:
    """A multi-layer perceptron of numbered Linear layers."""
    return linear(rf"{source}\.layers\.(\d+)", rf"{target}/layers/\1")
