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
# # Ground a sentence in your video
#
# A *tube* is the answer to a sentence about a video: the time in which the sentence is true, and a box around its
# target in every frame of that time. This notebook makes a video of moving shapes, because the model that comes with
# the library knows nothing else. For your own, put its path into `video` and the name of a released model into
# `Grounder.load`; `stvg-jax checkpoints` lists them.

# %%
from pathlib import Path

from stvg_jax import Grounder, Tube
from stvg_jax.data_pipeline.shapes import make_example
from stvg_jax.data_pipeline.shapes.video import write_enlarged

video = Path("shapes.mp4")
example = make_example(7, split="demo", sentences=2)
write_enlarged(video, example.frames(), example.fps, 3)
sentences = [grounding.sentence for grounding in example.groundings]
sentences

# %% [markdown]
# ## One sentence
#
# The first answer takes a while, because the model is compiled for the size of the video; the program is kept for
# later.

# %%
grounder = Grounder.load()  # or Grounder.load("ta_stvg_hcstvg1")
tube = grounder.ground(video, sentences[1])
tube

# %% [markdown]
# Frames count from 0, ends are one past the last frame, and boxes are `x1, y1, x2, y2` in pixels.

# %%
print(tube.subject, tube.start_sec, tube.end_sec, tube.start_frame, tube.end_frame)
print(tube.box_at(tube.start_frame))

# %% [markdown]
# Every frame that was searched has a box; `in_interval` tells which belong to the answer.

# %%
table = tube.to_pandas()
table[table.in_interval].head()

# %% [markdown]
# ## Several sentences, or a part of the video
#
# Questions about the same part of a video share its decoding and its features.

# %%
tubes = grounder.ground_many([(video, sentence) for sentence in sentences])
[(tube.sentence, tube.start_sec, tube.end_sec) for tube in tubes]

# %%
grounder.ground(video, sentences[1], start=0.25, end=2.0)

# %% [markdown]
# ## Keep it, and take it elsewhere
#
# `tube.json` gives the same tube back. Exports are for annotation tools, trackers' evaluations and spreadsheets.

# %%
tube.write_json("tube.json")
assert Tube.from_json("tube.json") == tube
for format, name in {"coco": "tube.coco.json", "mot": "tube.mot.txt", "csv": "tube.csv"}.items():
    tube.export(name, format)
print(Path("tube.csv").read_text().splitlines()[:3])

# %% [markdown]
# The same on the command line also draws the answer into the video (`tube.mp4`):
#
# ```
# stvg-jax ground shapes.mp4 "the small red circle which goes up" --out answer --export coco
# ```
