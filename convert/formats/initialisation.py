"""Checkpoints that the released training starts from: MDETR, Kinetics Video Swin-T, RoBERTa-base.

Each fills a part of a model.
"""

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
from stvg_jax.convert.rules import Format, Rule, attention, first_row, linear, norm

_MDETR_SIGNATURE = (r"transformer\.resizer\..+", r"(query_embed|class_embed)\..+")
_MDETR_LAYER = r"transformer\.decoder\.layers\.(\d+)"
# What all models that start from it take.
_MDETR_RULES = (
    *resnet(r"backbone\.0\.body"),
    *roberta(r"transformer\.text_encoder\."),
    *linear(r"transformer\.resizer\.fc", "text_projection/fc"),
    *norm(r"transformer\.resizer\.layer_norm", "text_projection/norm"),
    *linear("input_proj", "appearance_projection"),
    *encoder_layer(r"transformer\.encoder\.layers\.(\d+)", r"encoder/layers/\1"),
    *mlp("bbox_embed", "box_head"),
)
_MDETR_DROPPED = (
    (r".*\.num_batches_tracked", COMPUTED),
    (r"transformer\.text_encoder\.embeddings\.position_ids", COMPUTED),
    (r"transformer\.text_encoder\.pooler\..*", POOLER),
    (r"(class_embed|isfinal_embed|contrastive_\w+|transformer\.CLS)(\..*)?", "MDETR's own task"),
    (r"(qa_embed|answer_\w+)(\..*)?", "MDETR's own task"),
)
_MDETR_FILLS = "(resnet|roberta|text_projection|appearance_projection|box_head|encoder/layers)/.*"

# For models with a spatial decoder, which have queries and a cross-attention of another kind.
_SPATIAL_RULES = decoder_layer(_MDETR_LAYER, r"spatial_decoder/layers/\1")
_SPATIAL_DROPPED = (
    (r"query_embed(\..*)?", "MDETR's own task"),
    (
        r"transformer\.decoder\.layers\.\d+\.(cross_attn_image|cross_attn_text|norm2)\..*",
        "replaced by conditional cross-attention",
    ),
)
_SPATIAL_FILLS = r"spatial_decoder/layers/\d+/(self_attn|self_norm|cross_norm|ffn|ffn_norm)/.*"

MDETR = Format(
    name="mdetr",
    describes="MDETR's pretrained_resnet101_checkpoint.pth: ResNet-101, RoBERTa, encoder and decoder layers",
    signature=_MDETR_SIGNATURE,
    rules=(*_MDETR_RULES, *_SPATIAL_RULES),
    dropped=(
        *_MDETR_DROPPED,
        *_SPATIAL_DROPPED,
        (r"transformer\.decoder\.norm\..*", "boxes are read before the decoder's norm"),
    ),
    fills=(_MDETR_FILLS, _SPATIAL_FILLS),
)

# The same file for STCAT, which reads boxes after the decoder's norm; never told by names, since MDETR comes first.
MDETR_STCAT = Format(
    name="mdetr_stcat",
    describes="the same file as a start for STCAT, with the decoder's norm",
    signature=_MDETR_SIGNATURE,
    release=lambda tensors: "stcat_hcstvg1",
    rules=(*_MDETR_RULES, *_SPATIAL_RULES, *norm(r"transformer\.decoder\.norm", "spatial_decoder/norm")),
    dropped=(*_MDETR_DROPPED, *_SPATIAL_DROPPED),
    fills=(_MDETR_FILLS, _SPATIAL_FILLS, "spatial_decoder/norm/.*"),
)

# The same file for TubeDETR, whose whole decoder comes from it; likewise.
MDETR_TUBEDETR = Format(
    name="mdetr_tubedetr",
    describes="the same file as a start for TubeDETR, with the whole decoder and its first query",
    signature=_MDETR_SIGNATURE,
    release=lambda tensors: "tubedetr_hcstvg1",
    rules=(
        *_MDETR_RULES,
        *decoder_layer(_MDETR_LAYER, r"decoder/layers/\1"),
        *attention(rf"{_MDETR_LAYER}\.cross_attn_image", r"decoder/layers/\1/cross_attn"),
        *norm(r"transformer\.decoder\.norm", "decoder/norm"),
        Rule(r"query_embed\.weight", ("query/embedding",), first_row),
    ),
    dropped=(
        *_MDETR_DROPPED,
        (r"transformer\.decoder\.layers\.\d+\.(cross_attn_text|norm2)\..*", "the text is read with the image"),
    ),
    fills=(_MDETR_FILLS, "(decoder|query)/.*"),
)

VIDEO_SWIN = Format(
    name="video_swin",
    describes="Kinetics Video Swin-T: swin_tiny_patch244_window877_kinetics400_1k.pth",
    signature=(r"backbone\.patch_embed\..+", r"backbone\.layers\.\d+\.blocks\.\d+\.attn\..+"),
    rules=video_swin("backbone", downsample=r"backbone\.layers\.(\d+)\.downsample"),
    dropped=(
        (r"backbone\..*\.relative_position_index", COMPUTED),
        (r"backbone\.norm\..*", "features are read before the final norm"),
        (r"cls_head\..*", "the classifier of Kinetics"),
    ),
    fills=("swin/.*",),
)

ROBERTA = Format(
    name="roberta",
    describes="RoBERTa-base as on the Hugging Face hub: model.safetensors or pytorch_model.bin",
    signature=(r"(?:roberta\.)?embeddings\..+", r"(?:roberta\.)?encoder\.layer\.\d+\.attention\..+"),
    rules=roberta(r"(?:roberta\.)?"),
    dropped=(
        (r"(?:roberta\.)?embeddings\.position_ids", COMPUTED),
        (r"(?:roberta\.)?pooler\..*", POOLER),
        (r"lm_head\..*", "the masked-word task"),
    ),
    fills=("roberta/.*",),
)
