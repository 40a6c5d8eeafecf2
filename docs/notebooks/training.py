# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Train on your data
#
# A few steps of a small model, TubeDETR in the size for moving shapes, on a dataset in the form of your own. The steps
# are too few to learn anything; the way is the same for a training of days. [The notebook before](evaluation.py)
# describes the files.

# %%
import json
from pathlib import Path

import numpy as np

from stvg_jax.data_pipeline.shapes import make_example
from stvg_jax.data_pipeline.shapes.video import write_video

folder = Path("mine")
(folder / "videos").mkdir(parents=True, exist_ok=True)


def make_split(split: str, count: int) -> None:
    """Writes videos of one size, which spares compilations, and what happens in them."""
    videos, samples, number = {}, [], 0
    while len(videos) < count:
        example = make_example(0, split=f"notebook {split}", index=number, sentences=2)
        number += 1
        frames = example.frames()
        frame_count, height, width, _ = frames.shape
        if width != height:
            continue
        name = f"{split}-{len(videos)}.mp4"
        write_video(folder / "videos" / name, frames, example.fps)
        videos[name] = {"width": width, "height": height, "frame_count": frame_count}
        for truth in example.groundings:
            sample = {"id": f"{split}-{len(samples)}", "video": name, "sentence": truth.sentence}
            tube = {"tube": [truth.start_frame, truth.end_frame], "boxes": np.round(truth.boxes_xyxy, 2).tolist()}
            samples.append(sample | tube)
    content = {"format": "stvg_jax.annotations/1", "videos": videos, "samples": samples}
    (folder / f"{split}.json").write_text(json.dumps(content))


make_split("train", 4)

# %% [markdown]
# ## Frames and words
#
# A training reads stored frames: all of them, as it draws others each time. A text encoder that is trained from nothing
# needs the words of the sentences; one that starts from a checkpoint has its own.

# %%
# !stvg-jax prepare frames --dataset json --annotations mine --split train --out frames --height 96 --frames all

# %%
sentences = [sample["sentence"] for sample in json.loads((folder / "train.json").read_text())["samples"]]
words = sorted({word for sentence in sentences for word in sentence.split()})
Path("words.json").write_text(json.dumps({"words": words}))
words

# %% [markdown]
# ## Settings
#
# A configuration is a Python file; `--config.SECTION.KEY=VALUE` changes a value of it. An unknown key, or a value of
# another type, is refused before anything is allocated. A real training starts from checkpoints:
# `--config.train.initialise="('ta_stvg_hcstvg1',)"` fine-tunes a released model, with its own configuration.

# %%
changes = {
    "data.dataset": "json",
    "data.annotations": "mine",
    "data.frames": "frames",
    "train.initialise": "()",
    "train.tokenizer": "words.json",
    "train.batch_size": 2,
    "train.save_every": 1,
    "train.log_every": 1,
    "train.validate_every": 0,
    "train.validate_split": "",
    "schedule.epochs": 2,
    # Sizes: fewer layers and frames, and one length of texts, are compiled sooner.
    "model.transformer.encoder_layers": 1,
    "model.transformer.decoder_layers": 1,
    "loader.window": 4,
    "loader.text_lengths": "(24,)",
}
command = ["stvg-jax", "train", "--config", "shapes_tubedetr", "--workdir", "run"]
command += [f"--config.{key}={value}" for key, value in changes.items()]

# %% [markdown]
# ## A training that is interrupted
#
# Ctrl-C or SIGTERM saves and stops after the current step.

# %%
import subprocess
import time

metrics = Path("run/metrics.jsonl")
with Path("train.log").open("w") as log:
    training = subprocess.Popen(command, stdout=log, stderr=log)
    while training.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") >= 2):
        time.sleep(0.1)
    training.terminate()
    training.wait()
print(Path("train.log").read_text().splitlines()[-1])
before = metrics.read_text().splitlines()
print(len(before), "steps")

# %% [markdown]
# The same command continues, and gives the numbers of a training without interruption.

# %%
done = subprocess.run(command, capture_output=True, text=True)
print(done.stderr[-1000:])
done.check_returncode()

# %%
import pandas

lines = metrics.read_text().splitlines()
assert lines[: len(before)] == before
pandas.DataFrame(map(json.loads, lines))[["step", "loss", "gradient_norm", "videos_per_second"]]

# %% [markdown]
# ## Use it
#
# `run/last` is a checkpoint, for `ground`, `eval` and `Grounder.load`; with a split for validation, `run/best` is the
# best one.

# %%
from stvg_jax import Grounder

tube = Grounder.load("run/last").ground("mine/videos/train-0.mp4", sentences[0])
tube
