"""Checkpoints read as data: torch (zip and legacy) and safetensors, without torch and without running anything.

with open_checkpoint("model.pth") as checkpoint:
    for name, tensor in find_nodes(checkpoint.tree)["model_ema"].own.items():
        array = tensor.read()
"""

from stvg_jax.convert.readers.checkpoint import Checkpoint, open_checkpoint, sha256
from stvg_jax.convert.readers.nodes import Node, find_nodes
from stvg_jax.convert.readers.tensors import Opaque, TensorRef

__all__ = ["Checkpoint", "Node", "Opaque", "TensorRef", "find_nodes", "open_checkpoint", "sha256"]
