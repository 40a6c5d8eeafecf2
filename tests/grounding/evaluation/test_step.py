"""The evaluation step on one device and on several."""

from __future__ import annotations

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stvg_jax.eval import runner
from stvg_jax.parallel.mesh import make_mesh
from tests.hosts import run_hosts

_PROGRAM = """if True:
    import jax
    import numpy as np
    from jax.sharding import Mesh
    from stvg_jax.eval import runner
    from stvg_jax.grounding.evaluation.evaluator import GroundingEvaluator
    from stvg_jax.grounding.protocol import TWO_PASSES
    from stvg_jax.parallel.mesh import local_rows, to_mesh
    from stvg_jax.parallel.mesh import make_mesh, replicate
    from tests.tiny import tiny, tiny_model_config
    import sys

    runner.compiler_options = lambda: {"xla_backend_optimization_level": 0}
    # What is tested comes around the model: one layer of each kind is enough.
    changes = {"resnet": {"blocks": (1, 1)}, "swin": {"depths": (1, 1), "heads": (1, 2)}}
    changes |= {"transformer": {"encoder_layers": 1, "decoder_layers": 1}}
    config = tiny_model_config()
    changes = {part: config[part] | change for part, change in changes.items()}
    module, parameters = tiny(queries="sampling", second_pass=False, **changes)
    generator = np.random.default_rng(0)
    lengths, sizes = np.array([3, 2, 3, 1]), np.array([[64, 96], [64, 64], [48, 96], [64, 90]])
    batch = {
        "frames": generator.integers(0, 256, (4, 3, 64, 96, 3), dtype=np.uint8),
        "frames_valid": np.arange(3) < lengths[:, None],
        "sizes": sizes.astype(np.int32),
        "text_ids": generator.integers(4, 60, (4, 8), dtype=np.int32),
        "text_valid": np.arange(8) < np.array([8, 5, 3, 6])[:, None],
        "sample": np.arange(4, dtype=np.int32),
    }
    everywhere = make_mesh()
    alone = Mesh(np.array(jax.devices()[:1]).reshape(1, 1), everywhere.axis_names)
    evaluator = GroundingEvaluator(TWO_PASSES)
    results = []
    for mesh in (alone, everywhere):
        arrays = {name: batch[name] for name in batch if name != "sample"}
        output = runner.make_step(module, evaluator, mesh)(replicate(parameters, mesh), to_mesh(arrays, mesh))
        assert len(output["boxes_cxcywh"].sharding.device_set) == mesh.size
        results.append({name: local_rows(value) for name, value in output.items()})
    np.savez(sys.argv[1], lengths=lengths, **{f"{i}{k}": v for i, r in enumerate(results) for k, v in r.items()})
"""

SHAPES = {
    "boxes_cxcywh": (4, 3, 4),
    "start_end_logits": (4, 3, 2),
    "actioness_logits": (4, 3),
    "sampling_score": (4, 3),
}


def test_four_devices_give_what_one_gives(tmp_path):
    (done,) = run_hosts(["-c", _PROGRAM, str(tmp_path / "out.npz")], devices=4)
    assert done.returncode == 0, done.stderr
    results = dict(np.load(tmp_path / "out.npz"))
    real = np.arange(3) < results["lengths"][:, None]
    for name, shape in SHAPES.items():
        one, four = results["0" + name], results["1" + name]
        assert one.shape == four.shape == shape
        np.testing.assert_allclose(four[real], one[real], atol=2e-6, rtol=2e-6)
        # Otherwise rows could be exchanged unnoticed.
        assert np.abs(np.diff(one[:, 0], axis=0)).max() > 1e-4


def test_a_step_is_exact_and_compiled_with_the_options_of_the_backend(monkeypatch):
    def outputs(model, batch):
        return {
            "product": model * batch["x"],
            "exact": batch["x"] * (jax.config.jax_default_matmul_precision == "highest"),
        }

    module = types.SimpleNamespace(apply=lambda parameters, call: call(parameters))
    evaluator = types.SimpleNamespace(outputs=outputs)
    output = runner.make_step(module, evaluator, make_mesh())(jnp.float32(3), {"x": jnp.ones(2)})
    assert (output["product"].tolist(), output["exact"].tolist()) == ([3, 3], [1, 1])
    monkeypatch.setattr(runner, "compiler_options", lambda: {"xla_no_such_option": True})
    step = runner.make_step(module, evaluator, make_mesh())
    with pytest.raises(jax.errors.JaxRuntimeError, match="xla_no_such_option"):
        step(jnp.float32(3), {"x": jnp.ones(2)})
