"""Names of checkpoints: folders, names of the catalogue, and repositories of the Hugging Face hub."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from stvg_jax.core.arguments import check_path
from stvg_jax.core.errors import InputError, quoted
from stvg_jax.core.progress import Progress, Terminal
from stvg_jax.models.catalogue import CATALOGUE
from stvg_jax.models.fetching import fetch
from stvg_jax.models.shared import SCHEME, fetch_shared, parse_address

BUILTIN = "builtin"
# Names of the built-in checkpoints in the catalogue.
BUILTIN_GROUNDING = "shapes"
BUILTIN_RETRIEVAL = "shapes_retrieval"
SCOPE = "the built-in checkpoint knows only generated videos of moving shapes"
PURPOSE = (
    "the built-in checkpoint, which knows only generated videos of moving shapes (docs/shapes.md); for videos of "
    "people and things, take a released one, such as --checkpoint ta_stvg_hcstvg1: see `stvg-jax checkpoints`"
)
RETRIEVAL_PURPOSE = (
    "the built-in checkpoint for retrieval, which knows only generated videos of moving shapes (docs/shapes.md); for "
    "videos of people and things, take a released one, such as --checkpoint alpro_msrvtt: see `stvg-jax checkpoints`"
)
NAMES_HELP = "a folder, a name that `stvg-jax checkpoints` lists, or owner/name on the Hugging Face hub"


def default_checkpoint() -> Path:
    """Folder of a small TA-STVG that was trained on generated videos of moving shapes; its `README.md` describes it.

    It knows about a hundred lower-case words, as in "the small red square that goes left".
    """
    return Path(__file__).parent / "default_checkpoint"


def default_retrieval_checkpoint() -> Path:
    """Folder of a small dual encoder that was trained on the same kind of videos; its `README.md` describes it."""
    return Path(__file__).parent / "default_retrieval_checkpoint"


def is_builtin(checkpoint: str | os.PathLike[str] | None, *, retrieval: bool = False) -> bool:
    """True for names of the built-in checkpoint that grounds, or of the one for retrieval ("./builtin" is a folder)."""
    if checkpoint is None or not isinstance(checkpoint, str):
        return checkpoint is None and not retrieval
    if not retrieval and checkpoint == BUILTIN:
        return True
    return checkpoint == (BUILTIN_RETRIEVAL if retrieval else BUILTIN_GROUNDING) and not Path(checkpoint).exists()


def find_checkpoint(
    checkpoint: str | os.PathLike[str] | None, *, grounds: bool = True, progress: Progress | None = None
) -> Path:
    """Folder of a checkpoint, which may have to be fetched and converted first.

    Args:
        checkpoint: a folder; a name of `stvg_jax.models.catalogue`; "owner/name", "owner/name@revision" or the same
            behind "hf://" for a converted checkpoint on the Hugging Face hub; None or "builtin" for the built-in one
            that grounds.
            A folder that exists comes before other names, except for "builtin".
        grounds: whether it must be a whole model; False for a training that starts from it.
        progress: shows what is fetched; None for the standard error.

    Raises:
        InputError: the value is no path; nothing has this name; or it cannot be fetched.
    """
    if is_builtin(checkpoint):
        return default_checkpoint()
    if is_builtin(checkpoint, retrieval=True):
        return default_retrieval_checkpoint()
    path = Path(check_path("checkpoint", checkpoint))
    if not isinstance(checkpoint, str) or path.exists():
        return path
    if (record := CATALOGUE.get(checkpoint)) is not None:
        if grounds and record.kind == "start":
            raise InputError(
                f"{checkpoint} ({record.system}) is a start for a training, not a model; `stvg-jax checkpoints` lists "
                "those that ground"
            )
        return fetch(record, progress or Terminal())
    # Below a folder that exists, a name that does not is a slip.
    if checkpoint.startswith(SCHEME) or not path.parent.is_dir():
        if (address := parse_address(checkpoint)) is not None:
            return fetch_shared(address, progress or Terminal())
    elif close := difflib.get_close_matches(checkpoint, CATALOGUE, n=1, cutoff=0.75):
        raise InputError(f"checkpoint {quoted(checkpoint)} is neither a folder nor a name; did you mean {close[0]}?")
    return path
