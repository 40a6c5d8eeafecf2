"""The released TA-STVG checkpoints (HengLan/TA-STVG; `model` and `model_ema` of a training checkpoint)."""

from __future__ import annotations

from convert.formats.parts import (
    COMPUTED,
    POOLER,
    decoder_layer,
    encoder_layer,
    mlp,
    resnet,
    roberta,
    video_swin,
)
from convert.rules import Format, Rule, array, attention, linear, matrix, norm


def _classifier(source: str, target: str) -> tuple[Rule, ...]:
    """`TemporalSampling` and `SpatialActivation`: BERT cross-attention layers and a prediction head."""
    layer_source, layer_target = rf"{source}\.layer_ca\.(\d+)", rf"{target}/layers/\1"
    rules = []
    for part in ("query", "key", "value"):
        rules += linear(rf"{layer_source}\.attention\.self\.{part}", f"{layer_target}/attention/{part}")
    return (
        *rules,
        *linear(rf"{layer_source}\.attention\.output\.dense", f"{layer_target}/attention/out"),
        *norm(rf"{layer_source}\.attention\.output\.LayerNorm", f"{layer_target}/attention_norm"),
        *linear(rf"{layer_source}\.hidden_intermediate\.dense", f"{layer_target}/ffn/up"),
        *linear(rf"{layer_source}\.output\.dense", f"{layer_target}/ffn/down"),
        *norm(rf"{layer_source}\.output\.LayerNorm", f"{layer_target}/ffn_norm"),
        *linear(rf"{source}\.head\.transform\.dense", f"{target}/head/transform"),
        *norm(rf"{source}\.head\.transform\.LayerNorm", f"{target}/head/norm"),
        *matrix(rf"{source}\.head\.decoder", f"{target}/head/decoder"),
        *array(rf"{source}\.head\.bias", f"{target}/head/decoder/bias"),
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


_NEVER_ACTS = "never used by the released forward pass"

FORMAT = Format(
    name="ta_stvg",
    describes="a released or self-trained TA-STVG checkpoint",
    signature=(r"[st]_(temporal|spatial)_clas\..+",),
    rules=(
        *resnet(r"vis_encoder\.0\.body"),
        *video_swin("vid", downsample=r"vid\.downsamples\.(\d+)"),
        *roberta(r"text_encoder\.body\."),
        *linear(r"text_encoder\.resizer\.fc", "text_projection/fc"),
        *norm(r"text_encoder\.resizer\.layer_norm", "text_projection/norm"),
        *linear("input_proj", "appearance_projection"),
        *linear("input_proj2", "motion_projection"),
        *encoder_layer(r"ground_encoder\.encoder\.spatial_layers\.(\d+)", r"encoder/layers/\1"),
        *norm(r"ground_encoder\.encoder\.norm", "encoder/norm"),
        *_classifier("s_temporal_clas", "target_queries/appearance_sampling"),
        *_classifier("t_temporal_clas", "target_queries/motion_sampling"),
        *_classifier("s_spatial_clas", "target_queries/appearance_activation"),
        *_classifier("t_spatial_clas", "target_queries/motion_activation"),
        *norm(r"ground_decoder\.pos_fc\.0", "anchor_head/norm"),
        *linear(r"ground_decoder\.pos_fc\.2", "anchor_head/dense"),
        *norm(r"ground_decoder\.pos_fc\.4", "anchor_head/box_norm"),
        *_spatial_decoder(r"ground_decoder\.decoder", "spatial_decoder"),
        *_temporal_decoder(r"ground_decoder\.time_decoder", "temporal_decoder"),
        *mlp("bbox_embed", "box_head"),
        *mlp("temp_embed", "start_end_head"),
        *mlp("action_embed", "actioness_head"),
    ),
    aliases=(
        (r"ground_decoder\.decoder\.bbox_embed\.(.+)", r"bbox_embed.\1"),
        (r"ground_decoder\.time_embed2\.(.+)", r"action_embed.\1"),
    ),
    dropped=(
        (r".*\.time_embed\.te", COMPUTED),
        (r"vid\..*\.relative_position_index", COMPUTED),
        (r"text_encoder\.body\.embeddings\.position_ids", COMPUTED),
        (r"text_encoder\.body\.pooler\..*", POOLER),
        (r"[st]_(temporal|spatial)_clas\.(class|positional)_embedding", _NEVER_ACTS),
        (r"[st]_(temporal|spatial)_clas\.layer_ca\.\d+\.memory_intermediate\..*", _NEVER_ACTS),
        (r"ground_encoder\.fusion\..*", _NEVER_ACTS),
        (r"ground_encoder\.encoder\.(local_pos_embed|frame_cls|video_cls)\.weight", _NEVER_ACTS),
        (r"ground_encoder\.encoder\.temporal_layers\..*", _NEVER_ACTS),
        (r"ground_decoder\.time_fc\..*", _NEVER_ACTS),
        (r"ground_decoder\.decoder\.layers\.\d+\.ca_qtime_proj\..*", _NEVER_ACTS),
        (r"ground_decoder\.decoder\.(gf_mlp|gf_mlp2|fuse_linear|norm|norm2)\..*", _NEVER_ACTS),
    ),
)
