"""A page that grounds a sentence in an uploaded video, for a Space of the Hugging Face hub."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import gradio

from stvg_jax import Grounder
from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.shapes import make_example
from stvg_jax.data_pipeline.shapes.video import write_enlarged
from stvg_jax.data_pipeline.video import open_video
from stvg_jax.grounding.inference.draw import draw_video

CHECKPOINT = os.environ.get("CHECKPOINT", "builtin")
MOST_SEC = 60.0

grounder = Grounder.load(CHECKPOINT)


def ground(video: str | None, sentence: str) -> tuple[str, dict]:
    """The video with the answer drawn into it, and the answer as in tube.json."""
    if video is None:
        raise gradio.Error("Choose a video first.")
    try:
        with open_video(video) as reader:
            if reader.info.duration_sec > MOST_SEC:
                raise InputError(f"the video lasts {reader.info.duration_sec:.0f} s; at most {MOST_SEC:g} s are taken")
        tube = grounder.ground(video, sentence)
        # gradio serves files of this folder, and deletes them after a time (`delete_cache`).
        path = Path(tempfile.mkdtemp(dir=os.environ["GRADIO_TEMP_DIR"])) / "tube.mp4"
        with open_video(video) as reader:
            draw_video(tube, reader.iter_frames(*tube.clip), path)
    except InputError as error:
        raise gradio.Error(str(error).replace(video, Path(video).name)) from error
    return str(path), tube.to_dict() | {"video": Path(video).name}


def make_page(folder: Path) -> gradio.Blocks:
    """The page; the example's video is written into the folder."""
    example = make_example(7, split="demo", sentences=2)
    write_enlarged(folder / "shapes.mp4", example.frames(), example.fps, 5)
    with gradio.Blocks(title="stvg_jax", delete_cache=(600, 3600)) as page:
        gradio.Markdown("# Find it in the video\nWhen, and where, does the video show what the sentence says?")
        if CHECKPOINT == "builtin":
            gradio.Markdown("The built-in model knows only generated videos of moving shapes, such as the example.")
        with gradio.Row():
            with gradio.Column():
                video = gradio.Video(label="Video")
                sentence = gradio.Textbox(label="Sentence, in English", max_length=500)
                button = gradio.Button("Find", variant="primary")
            with gradio.Column():
                drawn = gradio.Video(label="Answer")
                tube = gradio.JSON(label="tube.json")
        sentences = [grounding.sentence for grounding in example.groundings]
        examples = [[str(folder / "shapes.mp4"), sentence] for sentence in sentences]
        gradio.Examples(examples, [video, sentence])
        # One question at a time; others wait.
        gradio.on(
            [button.click, sentence.submit],
            ground,
            [video, sentence],
            [drawn, tube],
            concurrency_limit=1,
            api_name="ground",
        )
    return page


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        make_page(Path(folder)).queue(max_size=20).launch()
