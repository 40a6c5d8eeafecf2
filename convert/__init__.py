"""Released PyTorch checkpoints to checkpoints of this library. No PyTorch is needed, and no code of a file is ever run.

`convert_state_dict` works on arrays; `convert_file` reads a file and writes a checkpoint directory.
"""

from stvg_jax.convert.state_dict import convert_state_dict

__all__ = ["convert_state_dict"]
