"""Numbers that the data and the models must agree on."""

from __future__ import annotations

# RoBERTa's id of padding. No result depends on it, since padded tokens are masked.
TEXT_PAD = 1
# Texts are padded to one of these lengths in tokens, so that few programs are compiled.
TEXT_LENGTHS = (32, 64, 128, 256, 512)
# Width / height; wider frames are squeezed to it (TA-STVG, datasets/hcstvg.py, `max_rate`).
MAX_ASPECT = 1.4
