"""Features of the frozen part of a model, kept on disk for its training.

FOLDER/features.json   everything that decides them
FOLDER/SPLIT.f16       float16 [videos, ...], in the order of the split; appended, so that an interrupted start goes on
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from stvg_jax.core.errors import InputError
from stvg_jax.core.files import whole_file
from stvg_jax.core.json_files import read_json
from stvg_jax.core.pixels import normalize_as_clip
from stvg_jax.core.progress import Progress, Terminal
from stvg_jax.core.registry import get_family
from stvg_jax.core.tree import unflatten
from stvg_jax.nn.declare import PureModule
from stvg_jax.parallel.hosts import from_first_host
from stvg_jax.train.initialise import initial_parameters
from stvg_jax.train.optim import FROZEN, assign_groups

if TYPE_CHECKING:
    from stvg_jax.data_pipeline.loading.captioned import CaptionedVideo
    from stvg_jax.data_pipeline.shards import FrameStore
    from stvg_jax.retrieval.clip import RetrievalClip

_DESCRIPTION = "features.json"
_VIDEOS_PER_STEP = 16


class FrozenPart:
    """The part of a new training's model that stays as it starts.

    Args:
        experiment: configuration of the experiment, as nested dictionaries.
        config, clip: its sections `model` and `clip`.

    Attributes:
        identity: JSON values that decide the features of a video, apart from its frames.
        shape: of the features of a video.

    Raises:
        InputError: the model's family keeps no features.
    """

    def __init__(self, experiment: Mapping[str, Any], config: Any, clip: RetrievalClip):
        family, train = get_family(experiment["name"]), experiment["train"]
        model = family.model(config, dtype=np.float32)
        if not hasattr(model, "video_features"):
            raise InputError(f"config.data.features: a {experiment['name']} keeps no features; set it to ''")
        self._module = PureModule(model)
        groups = assign_groups(self._module.declarations, family.groups(config))
        parameters, _ = initial_parameters(
            self._module.declarations, train["initialise"], train["leave_out"], train["seed"]
        )
        frozen = {path: array for path, array in parameters.items() if groups[path] == FROZEN}
        self._parameters = jax.device_put(unflatten(parameters))
        self._run = jax.jit(self._features)
        frames = np.zeros((1, clip.frames, *clip.shown.size, 3), np.uint8)
        self.shape = jax.eval_shape(self._features, self._parameters, frames).shape[1:]
        digest = hashlib.sha256()
        for path in sorted(frozen):
            digest.update(path.encode() + np.ascontiguousarray(frozen[path]).tobytes())
        self.identity = {
            "model": experiment["name"],
            "clip": {name: getattr(clip, name) for name in ("frames", "frame_rule", "resolution", "sizing")},
            "frozen": digest.hexdigest(),
            "shape": list(self.shape),
        }

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [b, t, h, w, 3] -> float16 [b, ...]."""
        return np.asarray(self._run(self._parameters, frames), np.float16)

    def _features(self, parameters: dict, frames: jax.Array) -> jax.Array:
        return self._module.apply(parameters, lambda model: model.video_features(normalize_as_clip(frames)))


def prepare_features(
    folder: Path,
    split: str,
    part: FrozenPart,
    samples: Sequence[CaptionedVideo],
    store: FrameStore,
    clip: RetrievalClip,
    progress: Progress | None = None,
) -> np.ndarray:
    """The features of a split's videos, computed where they are missing; all hosts call it.

    Args:
        folder: folder of the features, which all hosts share.
        split: name of the file.
        part: the model.
        samples: the videos.
        store: their frames.
        clip: settings of the videos; its frame rule chooses the frames.
        progress: shows the videos; None for the standard error.

    Returns:
        float16 [videos, ...], mapped.

    Raises:
        InputError: the folder holds the features of another model or other videos, or a frame cannot be read.
    """
    path, row = folder / f"{split}.f16", 2 * int(np.prod(part.shape))

    def write() -> None:
        _check_same(folder, split, part, samples, store)
        done = path.stat().st_size // row if path.exists() else 0
        if done >= len(samples):
            return
        with (
            path.open("ab") as file,
            (progress or Terminal()).bar(f"computing features of {split}", len(samples), "video", done) as step,
        ):
            # An interruption may have left a part of a row.
            file.truncate(done * row)
            for first in range(done, len(samples), _VIDEOS_PER_STEP):
                names = [sample.video for sample in samples[first : first + _VIDEOS_PER_STEP]]
                frames = np.stack([clip.shown.pictures(store, name, store.videos[name]) for name in names])
                padded = np.pad(frames, ((0, _VIDEOS_PER_STEP - len(names)), *((0, 0),) * 4))
                file.write(part(padded)[: len(names)].tobytes())
                for _ in names:
                    step()

    from_first_host(write)
    return np.memmap(path, np.float16, "r", shape=(len(samples), *part.shape))


def _check_same(
    folder: Path, split: str, part: FrozenPart, samples: Sequence[CaptionedVideo], store: FrameStore
) -> None:
    """Notes what decides the features of a split, or compares it with the note."""
    names = hashlib.sha256(json.dumps([sample.video for sample in samples]).encode()).hexdigest()
    wanted = json.loads(json.dumps(part.identity | {"videos": names, "frames": store.settings.values}))
    os.makedirs(folder, exist_ok=True)
    file = folder / _DESCRIPTION
    noted = read_json(file) if file.exists() else {}
    if not isinstance(noted, dict) or noted.get(split, wanted) != wanted:
        raise InputError(
            f"{folder} holds features of another model, or of other videos; delete it, or choose another folder with "
            "--config.data.features"
        )
    if split not in noted:
        with whole_file(file) as out:
            out.write(json.dumps(noted | {split: wanted}, indent=1) + "\n")
