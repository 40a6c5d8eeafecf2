"""The golden cases of TA-STVG: inputs drawn as documented, and comparison with what the released system computed."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import jax
import numpy as np

from stvg_jax.grounding.ta_stvg import TASTVG, TASTVGConfig
from stvg_jax.grounding.types import GroundingBatch, GroundingOutput
from stvg_jax.nn.functional import PureModule
from stvg_jax.tree import unflatten
from tests.released import GOLDENS


@dataclasses.dataclass(frozen=True)
class Case:
    """One golden file: normalised frames [t, h, w, 3], token ids [l], what was computed, and its description."""

    frames: np.ndarray
    ids: np.ndarray
    golden: dict[str, np.ndarray]
    meta: dict[str, Any]

    @property
    def batch(self) -> GroundingBatch:
        return GroundingBatch(frames=self.frames[None], text_ids=self.ids[None])


def load(name: str) -> Case:
    with np.load(GOLDENS / f"{name}.npz") as file:
        golden = {key: file[key] for key in file.files}
    meta = json.loads(str(golden.pop("meta")))
    t, h, w, scale = meta["T"], meta["H"], meta["W"], meta["frame_scale"]
    video = np.random.default_rng(meta["seed"]).standard_normal((t, 3, h, w)).astype(np.float32)
    if scale:
        video = video * np.linspace(1 - scale, 1 + scale, t, dtype=np.float32)[:, None, None, None]
    return Case(video.transpose(0, 2, 3, 1), np.array(meta["input_ids"], np.int32), golden, meta)


def with_offsets(parameters: dict[str, np.ndarray], meta: dict[str, Any]) -> dict[str, np.ndarray]:
    """Parameters with the biases moved as a selective case asks, so that thresholds split the frames."""
    sampling = ("appearance_sampling", "motion_sampling")
    offsets = {f"target_queries/{s}/head/decoder/bias": meta["temporal_head_bias_offset"] for s in sampling}
    offsets["actioness_head/layers/1/bias"] = meta["action_bias_offset"]
    return parameters | {path: parameters[path] + np.float32(offset) for path, offset in offsets.items()}


def run(parameters: dict[str, np.ndarray], call, *args: Any, dtype=np.float32) -> Any:
    """`call(model, *args)` under jit, on the full-size model with these flat parameters."""
    module = PureModule(TASTVG(TASTVGConfig(), dtype=dtype))
    return jax.jit(lambda p, *a: module.apply(p, lambda m: call(m, *a)))(unflatten(parameters), *args)


def differences(output: GroundingOutput, golden: dict[str, np.ndarray], row: int = 0) -> dict[str, float]:
    """Largest absolute difference of every output, each decoder layer apart; frames beyond the golden are padding."""
    out = output.row(row)
    t = len(golden["logits_f_m"])
    layers = len(out.boxes_cxcywh)
    pairs = {
        "sampling/motion": (out.motion_sampling_logits[:t], golden["logits_f_m"]),
        "sampling/appearance": (out.appearance_sampling_logits[:t], golden["logits_f_a"]),
        "sampling/score": (out.sampling_score[:t], golden["att_sequences"][0]),
        "attributes/appearance": (out.appearance_attribute_logits, golden["logits_r_a"][0]),
        "attributes/motion": (out.motion_attribute_logits, golden["logits_r_m"][0]),
    }
    for k in range(layers):
        name = "" if k == layers - 1 else f"aux{k}."
        pairs[f"boxes/{k}"] = (out.boxes_cxcywh[k, :t], golden[f"{name}pred_boxes"])
        pairs[f"start_end/{k}"] = (out.start_end_logits[k, :t], golden[f"{name}pred_sted"][0])
        pairs[f"actioness/{k}"] = (out.actioness_logits[k, :t], golden[f"{name}pred_actioness"][0, :, 0])
    for name, (ours, theirs) in pairs.items():
        assert ours.shape == theirs.shape, name
    return {name: float(np.abs(ours - theirs).max()) for name, (ours, theirs) in pairs.items()}
