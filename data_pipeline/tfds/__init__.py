"""The datasets as builders of tensorflow-datasets: importing this registers `hcstvg`, `vidstg` and `shapes`.

    import tensorflow_datasets as tfds
    import stvg_jax.data_pipeline.tfds

    tfds.load("shapes/small", split="train")

For programs that read their data through tensorflow-datasets, and for preparing VidSTG on many machines with Beam. A
builder writes one example per sentence, so the frames of a clip are stored again for each of its sentences; it starts
anew after a kill, and one broken video ends it. `stvg-jax train` reads frames from `data_pipeline.shards` instead,
where every frame is stored once and reading in random places was measured to be faster (its docstring has the table).

Nothing else in the library imports this package or TensorFlow through it.
"""

from stvg_jax.core.errors import missing_extra

try:
    import tensorflow_datasets  # noqa: F401
except ImportError as error:
    raise missing_extra("tfds", "these builders need tensorflow-datasets") from error

from stvg_jax.data_pipeline.tfds.hcstvg import Hcstvg, HcstvgConfig
from stvg_jax.data_pipeline.tfds.shapes import Shapes, ShapesConfig
from stvg_jax.data_pipeline.tfds.vidstg import Vidstg, VidstgConfig

__all__ = ["Hcstvg", "HcstvgConfig", "Shapes", "ShapesConfig", "Vidstg", "VidstgConfig"]
