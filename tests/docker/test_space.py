"""The Space's page, started on the loopback address and asked by gradio's client."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from stvg_jax.data_pipeline.shapes.example import make_example
from stvg_jax.data_pipeline.shapes.video import write_enlarged
from stvg_jax.data_pipeline.video import open_video

ROOT = Path(__file__).parents[2]
SPACE = ROOT / "docker" / "space"


def test_what_the_hub_reads():
    _, front, _ = (SPACE / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    matter = yaml.safe_load(front)
    assert {"title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "app_file"} <= matter.keys()
    assert (SPACE / matter["app_file"]).is_file()
    # A longer one is refused.
    assert len(matter["short_description"]) <= 60
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"stvg_jax-{version}-" in (SPACE / "requirements.txt").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_video_is_grounded(tmp_path):
    gradio_client = pytest.importorskip("gradio_client", reason="gradio is not installed")
    pytest.importorskip("gradio", reason="gradio is not installed")
    example = make_example(7, split="demo", sentences=2)
    video, truth = tmp_path / "shapes.mp4", example.groundings[1]
    write_enlarged(video, example.frames(), example.fps, 2)
    environment = os.environ | {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "STVG_JAX_CACHE": str(tmp_path / "cache"),
        "PYTHONUNBUFFERED": "1",
    }
    with (tmp_path / "log").open("w") as log:
        page = subprocess.Popen(
            [sys.executable, SPACE / "app.py"], stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
        try:
            address = next(match for line in page.stdout if (match := re.search(r"http://\S+", line)))[0]
            client = gradio_client.Client(address, download_files=tmp_path / "answer", verbose=False)
            drawn, tube = client.predict(gradio_client.handle_file(video), truth.sentence, api_name="/ground")
            with pytest.raises(Exception, match="sentence"):
                client.predict(gradio_client.handle_file(video), "", api_name="/ground")
        finally:
            page.terminate()
            page.wait(30)
    assert tube["sentence"] == truth.sentence
    assert abs(tube["start_frame"] - truth.start_frame) <= 4
    assert tube["video"] == "shapes.mp4"
    with open_video(drawn["video"] if isinstance(drawn, dict) else drawn) as reader:
        assert reader.info.frame_count == 64
