"""`tfds build` for the datasets here: `python -m stvg_jax.data_pipeline.tfds DATASET [OPTION OF TFDS BUILD ...]`.

Bad input ends in one message and exit code 2. `tfds build` itself shows a traceback, needs `--imports`, and imports
mlcroissant, which tensorflow-datasets does not install.
"""

from __future__ import annotations

import sys

from absl import app
from tensorflow_datasets.scripts.cli import build, cli_utils

from stvg_jax.core.errors import InputError


def main(args: build.Args) -> None:
    try:
        args.execute()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    parser = cli_utils.make_flags_parser(build.Args, description="Prepares datasets for tensorflow-datasets.")
    # Not a folder of the same name in the working directory, which would be taken for a builder's.
    app.run(main, argv=[*sys.argv, "--imports", "stvg_jax.data_pipeline.tfds"], flags_parser=parser)
