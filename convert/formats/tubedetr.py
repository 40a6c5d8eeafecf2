"""The released TubeDETR checkpoints (antoyang/TubeDETR)."""

from __future__ import annotations

from stvg_jax.convert.formats.parts import COMPUTED, POOLER, decoder_layer, encoder_layer, mlp, resnet, roberta
from stvg_jax.convert.rules import Format, array, attention, embedding, linear, norm

_DECODER_LAYER = r"transformer\.decoder\.layers\.(\d+)", r"decoder/layers/\1"

FORMAT = Format(
    name="tubedetr",
    describes="a released or self-trained TubeDETR checkpoint",
    signature=(r"transformer\.decoder\.layers\.\d+\.cross_attn_image\..+", r"sted_embed\..+"),
    # Nothing in the tensors tells stride, resolution or dataset.
    release=lambda tensors: "tubedetr_hcstvg1",
    rules=(
        *resnet(r"backbone\.0\.body"),
        *roberta(r"transformer\.text_encoder\."),
        *linear(r"transformer\.resizer\.fc", "text_projection/fc"),
        *norm(r"transformer\.resizer\.layer_norm", "text_projection/norm"),
        *linear("input_proj", "appearance_projection"),
        *encoder_layer(r"transformer\.encoder\.layers\.(\d+)", r"encoder/layers/\1"),
        *attention(rf"{_DECODER_LAYER[0]}\.cross_attn_image", f"{_DECODER_LAYER[1]}/cross_attn"),
        *decoder_layer(*_DECODER_LAYER),
        *norm(r"transformer\.decoder\.norm", "decoder/norm"),
        *linear(r"transformer\.fast_encoder", "fast_branch/project"),
        *linear(r"transformer\.fast_residual", "fast_branch/residual"),
        # With `fast_mode` "transformer".
        *encoder_layer(r"transformer\.fast_encoder\.layers\.0", "fast_branch/layer"),
        *norm(r"transformer\.fast_encoder\.norm", "fast_branch/norm"),
        *array(r"transformer\.time_embed\.time_embed\.weight", "time_table"),
        *embedding("query_embed", "query"),
        *mlp("bbox_embed", "box_head"),
        *mlp("sted_embed", "start_end_head"),
    ),
    dropped=(
        (r"transformer\.time_embed\.te", COMPUTED),
        (r"transformer\.text_encoder\.embeddings\.position_ids", COMPUTED),
        (r"transformer\.text_encoder\.pooler\..*", POOLER),
    ),
)
