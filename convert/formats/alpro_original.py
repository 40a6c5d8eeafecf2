"""Checkpoints of ALPRO's own code (salesforce/ALPRO): the pre-trained one, and those fine-tuned for retrieval."""

from __future__ import annotations

from stvg_jax.convert.formats.alpro import HEADS, bert, timesformer
from stvg_jax.convert.formats.parts import COMPUTED
from stvg_jax.convert.rules import Format, Rule, eight_rows

_VIDEO, _TEXT = r"visual_encoder\.model", r"text_encoder\.bert"


def _times(source: str, target: str) -> tuple[Rule, ...]:
    """Of the four frames of the pre-training, or the eight of the fine-tuned models (LAVIS: `load_from_pretrained`)."""
    return (Rule(source, (target,), eight_rows),)


FORMAT = Format(
    name="alpro_original",
    describes="a checkpoint of ALPRO's own code, such as the pre-trained one",
    signature=(rf"{_VIDEO}\.blocks\..+\.temporal_fc\..+", rf"{_TEXT}\.encoder\..+", r"itm_head\..+"),
    release=lambda tensors: "alpro_msrvtt",
    rules=(*timesformer(_VIDEO, times=_times), *bert(_TEXT), *HEADS),
    dropped=(
        (rf"{_TEXT}\.embeddings\.position_ids", COMPUTED),
        (rf"{_TEXT}\.pooler\..+", "BERT's pooler, which the model does not use"),
        (r"text_encoder\.cls\..+", "the head for masked words, of the pre-training"),
        (r"mpm_head\..+", "the head for entities, of the pre-training"),
        (r"prompter\..+", "the model that names entities for the pre-training"),
    ),
)
