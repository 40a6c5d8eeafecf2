"""The released TubeDETR checkpoints (antoyang/TubeDETR)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stvg_jax.convert.formats.parts import COMPUTED, POOLER, decoder_layer, encoder_layer, mlp, resnet, roberta
from stvg_jax.convert.readers import Opaque
from stvg_jax.convert.rules import Format, array, attention, embedding, linear, norm
from stvg_jax.core.errors import InputError, quoted

_DECODER_LAYER = r"transformer\.decoder\.layers\.(\d+)", r"decoder/layers/\1"

# Arguments of the released trainings, each on one dataset.
_DATASETS = (["hcstvg"], ["vidstg"])
# Arguments of the released `main.py` that no model here has with other values.
_FIXED = {"pass_pos_and_query": True, "dilation": False}


def settings(tree: Any) -> dict[str, dict[str, Any]]:
    """Settings of the sections `model` and `clip`, from the arguments that the released `main.py` saves as `args`; none
    from a file without them, which has those of the release.

    Raises:
        InputError: the model was trained in a way that is not known here.
    """
    args = tree.get("args") if isinstance(tree, dict) else None
    values = args.state if isinstance(args, Opaque) else args
    if not isinstance(values, Mapping) or "stride" not in values:
        return {}
    wrong = {name: values[name] for name, value in _FIXED.items() if values.get(name, value) is not value}
    if values.get("combine_datasets", _DATASETS[0]) not in _DATASETS:
        wrong["combine_datasets"] = values["combine_datasets"]
    if wrong:
        listed = ", ".join(f"{name}={quoted(str(value))}" for name, value in wrong.items())
        raise InputError(f"the checkpoint's own arguments say {listed}; such a model is not known here")
    return {"model": _model_settings(values), "clip": _clip_settings(values)}


def _model_settings(values: Mapping[Any, Any]) -> dict[str, Any]:
    fast = (values.get("fast_mode") or "residual") if values.get("fast", True) else "off"
    time = "none" if values.get("no_time_embed") else "learned" if values.get("learn_time_embed") else "sine"
    # Without a stride every frame is a slow one.
    along_time = not values.get("no_tsa", False)
    return {"stride": values["stride"] or 1, "fast": fast, "along_time": along_time, "time": time}


def _clip_settings(values: Mapping[Any, Any]) -> dict[str, Any]:
    names = {"resolution": "resolution", "video_max_len": "frames_per_pass", "fps": "sample_fps"}
    told = {ours: values[name] for name, ours in names.items() if name in values}
    if type(told.get("sample_fps")) is int:
        told["sample_fps"] = float(told["sample_fps"])
    read, limit = (values.get(name, 200) for name in ("video_max_len_train", "video_max_len"))
    # Values of another type are refused as settings.
    if not (isinstance(read, int) and isinstance(limit, int) and read >= limit):
        told["frames_at_once"] = read
    if "combine_datasets" in values:
        told["sampling"] = f"tubedetr_{values['combine_datasets'][0]}"
    return told


FORMAT = Format(
    name="tubedetr",
    describes="a released or self-trained TubeDETR checkpoint",
    signature=(r"transformer\.decoder\.layers\.\d+\.cross_attn_image\..+", r"sted_embed\..+"),
    # Nothing in the tensors tells stride, resolution or dataset.
    release=lambda tensors: "tubedetr_hcstvg1",
    settings=settings,
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
