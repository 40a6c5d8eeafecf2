"""Rules for parts that several released checkpoints share.

The backbones stand under different prefixes. `RULES`, `ALIASES` and `DROPPED` are common to TA-STVG and CG-STVG, whose
released files hold the weights as `model` and `model_ema`.
"""

from __future__ import annotations

from stvg_jax.convert.rules import (
    Rule,
    array,
    attention,
    conv,
    embedding,
    frozen_norm,
    image_patches,
    joint_kernels,
    linear,
    matrix,
    norm,
    patches,
    table,
)

POOLER = "RoBERTa's pooler; no model here uses the pooled sentence"
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
    rules = [rule for e in embeddings for rule in embedding(rf"{source}embeddings\.{e}", f"{target}/embeddings/{e}")]
    rules += norm(rf"{source}embeddings\.LayerNorm", f"{target}/embeddings/norm")
    return (*rules, *bert_layers(rf"{source}encoder\.layer", f"{target}/layers"))


def bert_layers(source: str, target: str) -> tuple[Rule, ...]:
    """The layers of Hugging Face's BertModel or RobertaModel."""
    source, target = rf"{source}\.(\d+)", rf"{target}/\1"
    rules: list[Rule] = []
    for part in ("query", "key", "value"):
        rules += linear(rf"{source}\.attention\.self\.{part}", f"{target}/attention/{part}")
    return (
        *rules,
        *linear(rf"{source}\.attention\.output\.dense", f"{target}/attention/out"),
        *norm(rf"{source}\.attention\.output\.LayerNorm", f"{target}/attention_norm"),
        *linear(rf"{source}\.intermediate\.dense", f"{target}/ffn/up"),
        *linear(rf"{source}\.output\.dense", f"{target}/ffn/down"),
        *norm(rf"{source}\.output\.LayerNorm", f"{target}/ffn_norm"),
    )


def eva_vit(source: str, target: str = "vit") -> tuple[Rule, ...]:
    """EVA's ViT, whose keys have no bias. `source` ends in its dot, or is empty."""
    block_source, block_target = rf"{source}blocks\.(\d+)", rf"{target}/blocks/\1"
    return (
        *image_patches(rf"{source}patch_embed\.proj", f"{target}/patches"),
        *table(rf"{source}cls_token", f"{target}/class_token"),
        *table(rf"{source}pos_embed", f"{target}/positions"),
        *norm(rf"{block_source}\.norm1", f"{block_target}/attention_norm"),
        *joint_kernels(rf"{block_source}\.attn\.qkv\.weight", f"{block_target}/attention"),
        *array(rf"{block_source}\.attn\.q_bias", f"{block_target}/attention/query/bias"),
        *array(rf"{block_source}\.attn\.v_bias", f"{block_target}/attention/value/bias"),
        *linear(rf"{block_source}\.attn\.proj", f"{block_target}/attention/out"),
        *norm(rf"{block_source}\.norm2", f"{block_target}/ffn_norm"),
        *linear(rf"{block_source}\.mlp\.fc1", f"{block_target}/ffn/up"),
        *linear(rf"{block_source}\.mlp\.fc2", f"{block_target}/ffn/down"),
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
    """Common parts of the layers of DETR-like decoders: self-attention, feed-forward and the three norms."""
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


NEVER_ACTS = "never used by the released forward pass"


def cross_attention_block(source: str, target: str) -> tuple[Rule, ...]:
    """A cross-attention layer, `BertLayer_Cross` in the released code."""
    rules = []
    for part in ("query", "key", "value"):
        rules += linear(rf"{source}\.attention\.self\.{part}", f"{target}/attention/{part}")
    return (
        *rules,
        *linear(rf"{source}\.attention\.output\.dense", f"{target}/attention/out"),
        *norm(rf"{source}\.attention\.output\.LayerNorm", f"{target}/attention_norm"),
        *linear(rf"{source}\.hidden_intermediate\.dense", f"{target}/ffn/up"),
        *linear(rf"{source}\.output\.dense", f"{target}/ffn/down"),
        *norm(rf"{source}\.output\.LayerNorm", f"{target}/ffn_norm"),
    )


def spatial_decoder(source: str, target: str) -> tuple[Rule, ...]:
    """The decoder that finds where, the same in STCAT and in the systems that build on it."""
    layer_source, layer_target = rf"{source}\.layers\.(\d+)", rf"{target}/layers/\1"
    projections = (
        "sa_(?:q|k)(?:content|pos|time)_proj|sa_v_proj|"
        "ca_qcontent_proj|ca_qpos_proj|ca_qpos_sine_proj|ca_kcontent_proj|ca_kpos_proj|ca_v_proj"
    )
    return (
        *linear(rf"{layer_source}\.({projections})", rf"{layer_target}/\2"),
        *linear(rf"{layer_source}\.cross_attn\.out_proj", f"{layer_target}/ca_out_proj"),
        *decoder_layer(layer_source, layer_target),
        *mlp(rf"{source}\.query_scale", f"{target}/query_scale"),
        *mlp(rf"{source}\.ref_point_head", f"{target}/ref_point_head"),
    )


def temporal_decoder(source: str, target: str) -> tuple[Rule, ...]:
    """The decoder that finds when, likewise."""
    layer_source, layer_target = rf"{source}\.layers\.(\d+)", rf"{target}/layers/\1"
    return (
        *attention(rf"{layer_source}\.cross_attn_image", f"{layer_target}/cross_attn"),
        *decoder_layer(layer_source, layer_target),
        *norm(rf"{source}\.norm", f"{target}/norm"),
    )


RULES = (
    *resnet(r"vis_encoder\.0\.body"),
    *video_swin("vid", downsample=r"vid\.downsamples\.(\d+)"),
    *roberta(r"text_encoder\.body\."),
    *linear(r"text_encoder\.resizer\.fc", "text_projection/fc"),
    *norm(r"text_encoder\.resizer\.layer_norm", "text_projection/norm"),
    *linear("input_proj", "appearance_projection"),
    *linear("input_proj2", "motion_projection"),
    *encoder_layer(r"ground_encoder\.encoder\.spatial_layers\.(\d+)", r"encoder/layers/\1"),
    *norm(r"ground_encoder\.encoder\.norm", "encoder/norm"),
    *norm(r"ground_decoder\.pos_fc\.0", "anchor_head/norm"),
    *linear(r"ground_decoder\.pos_fc\.2", "anchor_head/dense"),
    *norm(r"ground_decoder\.pos_fc\.4", "anchor_head/box_norm"),
    *spatial_decoder(r"ground_decoder\.decoder", "spatial_decoder"),
    *temporal_decoder(r"ground_decoder\.time_decoder", "temporal_decoder"),
    *mlp("bbox_embed", "box_head"),
    *mlp("temp_embed", "start_end_head"),
    *mlp("action_embed", "actioness_head"),
)
ALIASES = (
    (r"ground_decoder\.decoder\.bbox_embed\.(.+)", r"bbox_embed.\1"),
    (r"ground_decoder\.time_embed2\.(.+)", r"action_embed.\1"),
)
DROPPED = (
    (r".*\.time_embed\.te", COMPUTED),
    (r"vid\..*\.relative_position_index", COMPUTED),
    (r"text_encoder\.body\.embeddings\.position_ids", COMPUTED),
    (r"text_encoder\.body\.pooler\..*", POOLER),
    (r"ground_encoder\.fusion\..*", NEVER_ACTS),
    (r"ground_encoder\.encoder\.(local_pos_embed|frame_cls|video_cls)\.weight", NEVER_ACTS),
    (r"ground_encoder\.encoder\.temporal_layers\..*", NEVER_ACTS),
    (r"ground_decoder\.time_fc\..*", NEVER_ACTS),
    (r"ground_decoder\.decoder\.layers\.\d+\.ca_qtime_proj\..*", NEVER_ACTS),
    (r"ground_decoder\.decoder\.(fuse_linear|norm|norm2)\..*", NEVER_ACTS),
)
