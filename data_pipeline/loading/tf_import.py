"""The one place where TensorFlow comes in."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from stvg_jax.core.errors import missing_extra


@functools.cache
def import_tensorflow() -> ModuleType:
    """TensorFlow, kept off the GPUs: it would take all of their memory, and only decodes pictures here.

    Raises:
        InputError: it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _quiet():
        try:
            import tensorflow
        except ImportError as error:
            raise missing_extra("data", f"TensorFlow is needed to load batches ({error})") from error
        tensorflow.config.set_visible_devices([], "GPU")
    return tensorflow


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of what the C++ code writes to standard error is seen. It tells, whatever the log level, which
    instructions it was built for and that there is no GPU; real trouble arrives as an exception."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
