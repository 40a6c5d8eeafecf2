"""The released TA-STVG checkpoints (HengLan/TA-STVG)."""

from __future__ import annotations

from collections.abc import Mapping

from stvg_jax.convert.formats.parts import ALIASES, DROPPED, NEVER_ACTS, RULES, cross_attention_block
from stvg_jax.convert.rules import Format, Rule, array, linear, matrix, norm

# Attribute vocabularies of the releases, appearance and motion words.
_RELEASES: dict[tuple[int, ...], str] = {(15, 60): "ta_stvg_hcstvg1", (20, 34): "ta_stvg_vidstg"}


def _classifier(source: str, target: str) -> tuple[Rule, ...]:
    """`TemporalSampling` and `SpatialActivation`: BERT cross-attention layers and a prediction head."""
    return (
        *cross_attention_block(rf"{source}\.layer_ca\.(\d+)", rf"{target}/layers/\1"),
        *linear(rf"{source}\.head\.transform\.dense", f"{target}/head/transform"),
        *norm(rf"{source}\.head\.transform\.LayerNorm", f"{target}/head/norm"),
        *matrix(rf"{source}\.head\.decoder", f"{target}/head/decoder"),
        *array(rf"{source}\.head\.bias", f"{target}/head/decoder/bias"),
    )


def _release(tensors: Mapping) -> str:
    """The release with these sizes of the attribute vocabularies. HC-STVG v1 and v2 have the same model."""
    heads = ("s_spatial_clas.head.bias", "t_spatial_clas.head.bias")
    words = tuple(int(tensors[h].shape[0]) for h in heads if h in tensors and len(tensors[h].shape) == 1)
    return _RELEASES.get(words, "ta_stvg_hcstvg1")


FORMAT = Format(
    name="ta_stvg",
    describes="a released or self-trained TA-STVG checkpoint",
    signature=(r"[st]_(temporal|spatial)_clas\..+",),
    release=_release,
    rules=(
        *RULES,
        *_classifier("s_temporal_clas", "target_queries/appearance_sampling"),
        *_classifier("t_temporal_clas", "target_queries/motion_sampling"),
        *_classifier("s_spatial_clas", "target_queries/appearance_activation"),
        *_classifier("t_spatial_clas", "target_queries/motion_activation"),
    ),
    aliases=ALIASES,
    dropped=(
        *DROPPED,
        (r"[st]_(temporal|spatial)_clas\.(class|positional)_embedding", NEVER_ACTS),
        (r"[st]_(temporal|spatial)_clas\.layer_ca\.\d+\.memory_intermediate\..*", NEVER_ACTS),
        (r"ground_decoder\.decoder\.(gf_mlp|gf_mlp2)\..*", NEVER_ACTS),
    ),
)
