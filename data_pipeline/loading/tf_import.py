"""The one place where TensorFlow comes in."""

from __future__ import annotations

import functools
import os
from types import ModuleType

from stvg_jax.errors import InputError


@functools.cache
def import_tensorflow() -> ModuleType:
    """TensorFlow, kept off the GPUs: it would take all of their memory, and only decodes pictures here.

    Raises:
        InputError: it is not installed.
    """
    # Otherwise it tells at every import which instructions it was built for.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import tensorflow
    except ImportError as error:
        raise InputError(f"TensorFlow is needed to load batches ({error}); pip install 'stvg-jax[data]'") from error
    tensorflow.config.set_visible_devices([], "GPU")
    return tensorflow
