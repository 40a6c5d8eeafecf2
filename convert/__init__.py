"""Conversion of released PyTorch checkpoints. PyTorch is not needed, and no code in a file is ever run.

`convert_state_dict` works on arrays; `convert_file` reads a file and writes a checkpoint directory.
"""

from stvg_jax.convert.state_dict import convert_state_dict

__all__ = ["convert_state_dict"]
