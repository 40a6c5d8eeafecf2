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
# # Evaluate on your data
#
# Your dataset is a folder with a JSON file for each split, such as `test.json`, and the folder `videos`. This notebook
# makes a small one of moving shapes and evaluates the model that comes with the library; for your own, leave out the
# next cell.

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


make_split("test", 3)

# %% [markdown]
# ## The annotations
#
# A sample is a sentence about a video, its tube (first frame, and one past the last) and a box `x1, y1, x2, y2` for
# each frame of it.

# %%
annotations = json.loads((folder / "test.json").read_text())
sample = annotations["samples"][0]
annotations["videos"][sample["video"]], {**sample, "boxes": sample["boxes"][:2]}

# %% [markdown]
# Everything wrong in a file is reported at once, with the place, the rule and the value.

# %%
from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.datasets.reading import read_annotations

print(len(read_annotations("json", folder, split="test", videos=folder / "videos").samples), "samples")
broken = {**annotations, "samples": [{**sample, "tube": [60, 80], "boxes": sample["boxes"]}]}
Path("broken.json").write_text(json.dumps(broken))
try:
    read_annotations("json", "broken.json", split="test", videos=folder / "videos")
except InputError as error:
    print(error)

# %% [markdown]
# ## Frames
#
# Every video is decoded once; the model of an evaluation reads the stored frames.

# %%
# !stvg-jax prepare frames --dataset json --annotations mine --split test --out frames --height 96

# %% [markdown]
# ## The evaluation
#
# `shapes` is the configuration of the built-in checkpoint. For a released one, take its own, such as `ta_stvg_hcstvg1`,
# and prepare frames without `--height`.

# %%
settings = "--config.data.dataset=json --config.data.annotations=mine --config.data.frames=frames"
# !stvg-jax eval --config shapes --checkpoint builtin --out eval {settings}

# %% [markdown]
# `eval/index.html` shows the best, the median and the worst cases in pictures; `eval/table.md` has the measures.

# %%
from IPython.display import Markdown

Markdown(Path("eval/table.md").read_text())

# %% [markdown]
# Each line of `eval/records.jsonl` is an answer with its measures.

# %%
import pandas

records = [json.loads(line) for line in Path("eval/records.jsonl").read_text().splitlines()]
table = pandas.DataFrame(records)[["id", "sentence", "true_start_frame", "start_frame", "tiou", "viou"]]
table.sort_values("viou")
