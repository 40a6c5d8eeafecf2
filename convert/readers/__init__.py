"""Reading checkpoints as data: torch (zip and legacy) and safetensors, without torch and without running anything.

with open_checkpoint("model.pth") as checkpoint:
    for name, tensor in find_state_dicts(checkpoint)["model_ema"].items():
        array = tensor.read()
"""

from convert.readers.checkpoint import Checkpoint, find_state_dicts, flat_tensors, open_checkpoint, sha256
from convert.readers.tensors import Opaque, TensorRef

__all__ = ["Checkpoint", "Opaque", "TensorRef", "find_state_dicts", "flat_tensors", "open_checkpoint", "sha256"]
