"""What the released TA-STVG and CG-STVG checkpoints have in common; they are `model` or `model_ema` of a training's."""

from __future__ import annotations

from stvg_jax.convert.formats.parts import (
    COMPUTED,
    POOLER,
    decoder_layer,
    encoder_layer,
    mlp,
    resnet,
    roberta,
    video_swin,
)
from stvg_jax.convert.rules import Rule, attention, linear, norm

NEVER_ACTS = "never used by the released forward pass"


def cross_attention_block(source: str, target: str) -> tuple[Rule, ...]:
    """`BertLayer_Cross`."""
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


def _spatial_decoder(source: str, target: str) -> tuple[Rule, ...]:
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


def _temporal_decoder(source: str, target: str) -> tuple[Rule, ...]:
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
    *_spatial_decoder(r"ground_decoder\.decoder", "spatial_decoder"),
    *_temporal_decoder(r"ground_decoder\.time_decoder", "temporal_decoder"),
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
