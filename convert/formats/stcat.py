"""The released STCAT checkpoints (jy0205/STCAT); they are `model` or `model_ema` of a training's."""

from __future__ import annotations

from collections.abc import Mapping

from stvg_jax.convert.formats.parts import (
    COMPUTED,
    NEVER_ACTS,
    POOLER,
    encoder_layer,
    mlp,
    resnet,
    roberta,
    spatial_decoder,
    temporal_decoder,
)
from stvg_jax.convert.rules import Format, array, linear, norm

_ENCODER = r"ground_encoder\.encoder"
_TEMPLATE = r"ground_decoder\.template_generator"
_TIME = "ground_decoder.time_embed.te"
# Rows of the table of times: one more than the frames of the longest video.
_VIDSTG_ROWS = 301


def _release(tensors: Mapping) -> str:
    """Told by the longest video that the model was made for."""
    rows = tensors[_TIME].shape[0] if _TIME in tensors and tensors[_TIME].shape else 0
    return "stcat_vidstg" if rows == _VIDSTG_ROWS else "stcat_hcstvg1"


FORMAT = Format(
    name="stcat",
    describes="a released or self-trained STCAT checkpoint",
    signature=(r"ground_decoder\.temp_decoder\..+", rf"{_TEMPLATE}\..+"),
    release=_release,
    rules=(
        *resnet(r"vis_encoder\.0\.body"),
        *roberta(r"text_encoder\.body\."),
        *linear(r"text_encoder\.resizer\.fc", "text_projection/fc"),
        *norm(r"text_encoder\.resizer\.layer_norm", "text_projection/norm"),
        *linear("input_proj", "appearance_projection"),
        *encoder_layer(rf"{_ENCODER}\.spatial_layers\.(\d+)", r"encoder/layers/\1"),
        *encoder_layer(rf"{_ENCODER}\.temporal_layers\.(\d+)", r"encoder/temporal_layers/\1"),
        *array(rf"{_ENCODER}\.frame_cls\.weight", "encoder/frame_token"),
        *array(rf"{_ENCODER}\.local_pos_embed\.weight", "encoder/frame_position"),
        *array(rf"{_ENCODER}\.video_cls\.weight", "encoder/video_token"),
        *(
            rule
            for part in ("content", "gamma", "beta", "anchor")
            for rule in linear(rf"{_TEMPLATE}\.{part}_proj", f"template/{part}")
        ),
        *spatial_decoder(r"ground_decoder\.decoder", "spatial_decoder"),
        *norm(r"ground_decoder\.decoder\.norm", "spatial_decoder/norm"),
        *temporal_decoder(r"ground_decoder\.temp_decoder", "temporal_decoder"),
        *mlp("bbox_embed", "box_head"),
        *mlp("temp_embed", "start_end_head"),
        *mlp("action_embed", "actioness_head"),
    ),
    aliases=((r"ground_decoder\.decoder\.bbox_embed\.(.+)", r"bbox_embed.\1"),),
    dropped=(
        (r".*\.time_embed\.te", COMPUTED),
        (r"text_encoder\.body\.embeddings\.position_ids", COMPUTED),
        (r"text_encoder\.body\.pooler\..*", POOLER),
        (r"ground_encoder\.fusion\..*", NEVER_ACTS),
        (r"ground_decoder\.decoder\.layers\.\d+\.ca_qtime_proj\..*", NEVER_ACTS),
    ),
)
