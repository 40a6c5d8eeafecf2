"""The golden cases: inputs drawn as documented, and comparison with what the released systems computed."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import jax
import numpy as np

from stvg_jax.core.registry import default_config, make_model
from stvg_jax.core.tree import unflatten
from stvg_jax.grounding.losses import total_loss
from stvg_jax.grounding.types import GroundingBatch, GroundingOutput
from stvg_jax.nn.declare import PureModule
from tests import memory
from tests.released import GOLDENS
from tests.train import golden


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


# What a case's description calls the offsets of these biases.
_OFFSETS = {
    "temporal_head_bias_offset": [f"target_queries/{s}_sampling/head/decoder/bias" for s in ("appearance", "motion")],
    "conf_bias_offset": [f"instance_context/{s}_confidence/layers/1/bias" for s in ("appearance", "motion")],
    "action_bias_offset": ["actioness_head/layers/1/bias"],
}


def with_offsets(parameters: dict[str, np.ndarray], meta: dict[str, Any]) -> dict[str, np.ndarray]:
    """Parameters with the biases moved as a selective case asks, so that thresholds split the frames."""
    offsets = {path: meta[name] for name, paths in _OFFSETS.items() if name in meta for path in paths}
    return parameters | {path: parameters[path] + np.float32(offset) for path, offset in offsets.items()}


def run(
    parameters: dict[str, np.ndarray], call, *args: Any, system: str = "ta_stvg", dtype=np.float32, **changes: Any
) -> Any:
    """`call(model, *args)` under jit, on the full-size model with these flat parameters; `changes` are to its
    configuration."""
    memory.give_back()  # whatever the parameters were made of
    module = PureModule(make_model(system, default_config(system) | changes, dtype))
    return jax.jit(lambda p, *a: module.apply(p, lambda m: call(m, *a)))(unflatten(parameters), *args)


def keep_results(model: Any, *names: str) -> dict[str, Any]:
    """Results of parts of a model, by name, filled when the model is called the next time."""
    results = {}

    def keep(name, part):
        def call(*args, **options):
            results[name] = part(*args, **options)
            return results[name]

        # TubeDETR's encoder has this method besides.
        call.join = getattr(part, "join", None)
        return call

    for name in names:
        setattr(model, name, keep(name, getattr(model, name)))
    return results


def layers(case: Case, name: str) -> np.ndarray:
    """An output [6, ...] of all decoder layers, the last of which has the released name alone."""
    return np.stack([*(case.golden[f"aux{k}.{name}"] for k in range(5)), case.golden[name]])


# The released names of the terms of losses.
_TERMS = {
    "box_l1": "loss_bbox",
    "box_giou": "loss_giou",
    "start_end": "loss_sted",
    "actioness": "loss_actioness",
    "confidence": "loss_conf",
    "guided_attention": "loss_guided_attn",
}


def assert_losses(output: GroundingOutput, case: Case, config: Any, tolerance: float) -> None:
    """Each term of the loss in every decoder layer, and the weighted sum, are the recorded ones."""
    terms = jax.jit(config.terms)(output, golden.targets(case.meta, case.golden["target_boxes"]))
    assert set(terms) == {name for name, released in _TERMS.items() if f"loss.{released}" in case.golden}
    for name, values in terms.items():
        expected = [case.golden[f"loss.{_TERMS[name]}{suffix}"] for suffix in ("_0", "_1", "_2", "_3", "_4", "")]
        np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance, err_msg=name)
    np.testing.assert_allclose(total_loss(terms, config), case.golden["total_loss"], rtol=1e-6)


def differences(output: GroundingOutput, golden: dict[str, np.ndarray], row: int = 0) -> dict[str, float]:
    """Largest absolute difference of every output, each decoder layer apart; frames beyond the golden are padding."""
    out = output.row(row)
    t = len(golden["pred_boxes"])
    layers = len(out.boxes_cxcywh)
    pairs = {}
    if "logits_f_m" in golden:
        pairs |= {
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
        if "boxes_conf" in golden:
            pairs[f"confidence/{k}"] = (out.confidences[k, :t], golden[f"{name}boxes_conf"])
    for name, (ours, theirs) in pairs.items():
        assert ours.shape == theirs.shape, name
    return {name: float(np.abs(ours - theirs).max()) for name, (ours, theirs) in pairs.items()}
