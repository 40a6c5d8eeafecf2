"""The released CG-STVG checkpoints (HengLan/CGSTVG)."""

from __future__ import annotations

from stvg_jax.convert.formats.parts import ALIASES, DROPPED, NEVER_ACTS, RULES, cross_attention_block, mlp
from stvg_jax.convert.rules import Format

_DECODER = r"ground_decoder\.decoder"
_GUIDED = rf"{_DECODER}\.layers\.([1-9]\d*)\.ca2"

FORMAT = Format(
    name="cg_stvg",
    describes="a released or self-trained CG-STVG checkpoint",
    signature=(rf"{_DECODER}\.layers\.\d+\.ca2\..+", rf"{_DECODER}\.conf\..+"),
    # A file does not say its dataset. The models for HC-STVG v1 and v2 differ in training only.
    release=lambda tensors: "cg_stvg_hcstvg1",
    rules=(
        *RULES,
        *cross_attention_block(_GUIDED, r"spatial_decoder/layers/\1/context_attn"),
        *mlp(rf"{_DECODER}\.gf_mlp", "instance_context/appearance_mlp"),
        *mlp(rf"{_DECODER}\.gf_mlp2", "instance_context/motion_mlp"),
        *mlp(rf"{_DECODER}\.conf", "instance_context/appearance_confidence"),
        *mlp(rf"{_DECODER}\.conf2", "instance_context/motion_confidence"),
    ),
    aliases=ALIASES,
    dropped=(
        *DROPPED,
        (rf"{_GUIDED}\.memory_intermediate\..*", NEVER_ACTS),
        (rf"{_DECODER}\.layers\.0\.ca2\..*", "the first layer never has a context to attend to"),
        (r"ground_decoder\.template_generator\..*", NEVER_ACTS),
    ),
)
