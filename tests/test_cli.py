"""The command line: what it writes, and that bad input ends in one clear line, exit code 2 and nothing written."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time

import av
import numpy as np
import pytest

from stvg_jax import __version__
from stvg_jax.cli import main
from stvg_jax.core import checkpoint
from stvg_jax.core.progress import Terminal
from stvg_jax.data_pipeline.shapes.example import make_example
from stvg_jax.data_pipeline.shapes.video import write_video as write_shapes
from tests.grounding.inference.conftest import tiny_checkpoint, use_test_cache
from tests.videos import damage_frame, truncate, write_audio, write_video

SENTENCE = "the man in red sits down"


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    use_test_cache(monkeypatch, tmp_path_factory.getbasetemp() / "programs")


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A tiny untrained checkpoint, whose programs the tests of the Grounder use too."""
    return tiny_checkpoint(tmp_path_factory.getbasetemp() / "checkpoint")


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("videos") / "three.mp4", count=3)


@pytest.fixture
def out(tmp_path):
    """An output folder with an older answer in it."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tube.json").write_text("an older answer")
    return tmp_path / "out"


def run(*arguments):
    try:
        return main([str(a) for a in arguments])
    except SystemExit as stop:
        return stop.code


@pytest.fixture
def refused(out, model, capsys):
    """Runs `ground`, checks that it refuses in one line and writes nothing, and returns the line."""

    def ground(video, *sentences_and_options, out=out, checkpoint=model):
        parent = out.parent if out.parent.is_dir() else out.parent.parent
        before = sorted(parent.rglob("*"))
        capsys.readouterr()
        assert run("ground", video, *sentences_and_options, "--out", out, "--checkpoint", checkpoint) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        lines = printed.err.splitlines()
        assert "Traceback" not in printed.err
        assert lines[-1].startswith("stvg-jax ground: ")
        progress = [line for line in lines[:-1] if not line.startswith("device: ")]
        assert all(": " in line and line.endswith(" s") for line in progress), "lines of progress"
        assert sorted(parent.rglob("*")) == before
        if out.is_dir():
            assert (out / "tube.json").read_text() == "an older answer"
        return lines[-1]

    return ground


def listed(capsys, *arguments):
    """The report of `ground` when it refuses with a list."""
    assert run("ground", *arguments) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error[error.index("stvg-jax ground: ") :].splitlines()


# ---- what works ----


def frames_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return sum(1 for _ in container.decode(stream)), (stream.width, stream.height), stream.average_rate


def test_two_sentences(tmp_path, video, model, capsys):
    out = tmp_path / "a" / "b"
    sentences = [SENTENCE, "a dog runs to the white car"]
    assert run("ground", video, *sentences, "--checkpoint", model, "--out", out) == 0
    folders = [out / "01-the-man-in-red-sits-down", out / "02-a-dog-runs-to-the-white-car"]
    assert sorted(out.iterdir()) == folders
    printed = capsys.readouterr()
    for sentence, folder in zip(sentences, folders, strict=True):
        assert sorted(f.name for f in folder.iterdir()) == ["tube.json", "tube.mp4", "tube.png"]
        tube = json.loads((folder / "tube.json").read_text())
        assert (tube["sentence"], tube["width"], tube["height"]) == (sentence, 96, 64)
        # Below the caption, above the bar.
        count, (width, height), rate = frames_of(folder / "tube.mp4")
        assert (count, width, rate) == (3, 96, 10)
        assert height > 64
        assert f'"{sentence}" (target: {tube["subject"]})' in printed.out
        assert f"frames {tube['start_frame']} to {tube['end_frame'] - 1} (both included)" in printed.out
        assert f"written to {folder}" in printed.out
    # Progress goes where it does not mix with answers; one line per stage where nobody watches.
    assert "reading frames (2): " in printed.err
    assert "running the video encoder: " in printed.err
    assert "\r" not in printed.err


def test_options(tmp_path, model):
    video = write_video(tmp_path / "thirty.mp4")
    options = ["--frames", "10:13", "--subject", "a red man", "--no-video", "--out", tmp_path / "out"]
    assert run("ground", video, SENTENCE, "--checkpoint", model, *options) == 0
    tube = json.loads((tmp_path / "out" / "tube.json").read_text())
    assert sorted(f.name for f in (tmp_path / "out").iterdir()) == ["tube.json", "tube.png"]
    assert (tube["subject"], tube["clip_start_frame"], tube["clip_end_frame"]) == ("a red man", 10, 13)


def test_demo(tmp_path, capsys):
    out = tmp_path / "demo"
    assert run("demo", "--out", out) == 0
    printed = capsys.readouterr().out
    count, (_, height), _ = frames_of(out / "shapes.mp4")
    assert (count, height) == (64, 480)
    tubes = sorted(out.glob("*/tube.json"))
    assert len(tubes) == 3
    for path in tubes:
        assert sorted(f.name for f in path.parent.iterdir()) == ["tube.json", "tube.mp4", "tube.png"]
        assert json.loads(path.read_text())["sentence"] in printed
    overlaps = [float(number) for number in re.findall(r"vIoU (\d\.\d\d)", printed)]
    assert len(overlaps) == 3
    assert sum(overlaps) / 3 > 0.75, "a trained model finds shapes"
    first, wanted = re.findall(r"   1 .* (\S+\.mp4)|this was written about (\S+\.mp4);", printed)
    assert first[0] == wanted[1], "a trained model finds the video that is described"
    assert json.loads((out / "search" / "tube.json").read_text())["video"] == first[0]


def test_without_a_checkpoint_the_built_in_one_answers(tmp_path, capsys):
    example = make_example(1, split="demo")
    write_shapes(tmp_path / "shapes.mp4", example.frames(), example.fps)
    sentence = example.groundings[0].sentence
    assert run("ground", tmp_path / "shapes.mp4", sentence, "--no-video", "--out", tmp_path / "out") == 0
    assert "built-in checkpoint, which knows only generated videos of moving shapes" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "tube.json").read_text())["sentence"] == sentence


@pytest.mark.parametrize("command", [[], ["ground"], ["convert"], ["demo"]])
def test_help_has_an_example(command, capsys):
    assert run(*command, "--help") == 0
    text = capsys.readouterr().out
    assert f"\n  stvg-jax {' '.join(command)}" in text


def test_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"stvg-jax {__version__}\n"


def test_progress_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Terminal().stage("thinking"):
        time.sleep(0.5)
    with Terminal().bar("reading", 3, "page") as step:
        step(3)
    with pytest.raises(ValueError, match="enough"), Terminal().stage("thinking again"):
        raise ValueError("enough")
    printed = capsys.readouterr().err
    assert "thinking ... 0 s" in printed
    assert "thinking: 0.5 s\n" in printed
    assert "3/3" in printed
    assert "thinking again" not in printed


def test_interruption(monkeypatch, video, model, tmp_path, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("stvg_jax.data_pipeline.video.open_video", interrupt)
    assert run("ground", video, SENTENCE, "--checkpoint", model, "--out", tmp_path / "out") == 130
    assert capsys.readouterr().err.splitlines()[-1] == "stvg-jax ground: interrupted"


# ---- wrong command lines ----


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["play"], "invalid choice: 'play'"),
        (["ground"], "VIDEO, SENTENCE"),
        (["ground", "a.mp4", "--checkpoint", "c"], "SENTENCE"),
        (["ground", "a.mp4", SENTENCE, "--checkpoint", "c", "--frames", "5"], "'5' is not a range of frames"),
        (["ground", "a.mp4", SENTENCE, "--checkpoint", "c", "--frames", "a:b"], "such as 0:200 or 50:"),
        (["ground", "a.mp4", SENTENCE, "--checkpoint", "c", "--frames", "1:2:3"], "'1:2:3' is not a range"),
        (["ground", "a.mp4", SENTENCE, "--frames", f"0:{'9' * 5000}"], "is not a range of frames"),
        (["ground", "a.mp4", SENTENCE, "--checkpoint", "c", "--start", "soon"], "--start: invalid float value: 'soon'"),
        (["ground", "a.mp4", SENTENCE, "--checkpoint", "c", "--dtype", "float16"], "'float16'"),
        (["ground", "a.mp4", SENTENCE, "--checkpoint", "c", "--quiet"], "unrecognized arguments: --quiet"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    assert run(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("stvg-jax")
    assert message in line
    assert line.endswith("--help`)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--frames", "0:2", "--start", "0"], "in frames or in seconds, not both"),
        (["--frames", "0:4"], "frames 0:4 are not a part of the video, which has frames 0:3"),
        (["--frames", "3:"], "frames 3:3 are not a part"),
        (["--frames", "2:1"], "frames 2:1 hold nothing"),
        (["--frames", "5:5"], "frames 5:5 hold nothing"),
        (["--start", "5"], "seconds 5 to the end hold no frame of the video"),
        (["--start", "0.2", "--end", "0.1"], "seconds 0.2:0.1 hold nothing"),
        (["--start", "nan"], "start nan: must be a finite number of seconds"),
        (["--start", "-1"], "start -1: must be"),
        (["--end", "-1"], "end -1: must be"),
        (["--end", "inf"], "end inf: must be"),
        (["--resolution", "16"], "resolution 16: the model's grid needs at least 32 pixels"),
        (["--subject", "a", "--subject", "b"], "--subject is given 2 times"),
        (["--subject", ""], "the subject is empty"),
    ],
)
def test_options_that_do_not_fit(refused, video, options, message):
    assert message in refused(video, SENTENCE, *options)


# ---- videos ----


def test_a_missing_video(refused, tmp_path):
    assert f"{tmp_path / 'absent.mp4'}: no such file" in refused(tmp_path / "absent.mp4", SENTENCE)


@pytest.mark.parametrize(("content", "message"), [("", "empty (0 bytes)"), ("dear diary\n" * 99, "not a video")])
def test_a_file_that_is_no_video(refused, tmp_path, content, message):
    (tmp_path / "notes.mp4").write_text(content)
    assert message in refused(tmp_path / "notes.mp4", SENTENCE)


def test_sound_only(refused, tmp_path):
    assert "no video track in this file, only audio" in refused(write_audio(tmp_path / "a.m4a"), SENTENCE)


def test_a_damaged_video(refused, tmp_path, model):
    path = damage_frame(write_video(tmp_path / "a.mp4", 18, gop=3), 3)
    line = refused(path, SENTENCE)
    assert "frame 3 of 18 cannot be decoded" in line
    assert "--allow-partial" in line
    options = ["--checkpoint", model, "--out", tmp_path / "partial", "--allow-partial"]
    assert run("ground", path, SENTENCE, *options) == 0
    assert frames_of(tmp_path / "partial" / "tube.mp4")[0] == 3


def test_damage_that_only_drawing_meets(model, out, tmp_path, capsys):
    """The last frame of a clip is never sampled, but it is a part of tube.mp4. The answer is kept."""
    (out / "tube.mp4").write_text("of the older answer")
    path = damage_frame(write_video(tmp_path / "a.mp4", 3, gop=1, b_frames=0), 2)
    assert run("ground", path, SENTENCE, "--out", out, "--checkpoint", model) == 2
    printed = capsys.readouterr()
    last = printed.err.splitlines()[-1]
    assert "frame 2 of 3 cannot be decoded" in last
    assert f"(the answer is written; drawing it into {out} failed)" in last
    assert f'"{SENTENCE}"' in printed.out
    assert json.loads((out / "tube.json").read_text())["sentence"] == SENTENCE
    assert not (out / "tube.mp4").exists()


def test_frames_keep_their_own_times(tmp_path, model):
    """Of a video that shows three pictures, an hour apart, and of one whose rate changes."""
    for name, times_ms in (("hours", [0, 3_600_000, 7_200_000]), ("changing", [0, 40, 240])):
        video = write_video(tmp_path / f"{name}.mp4", 3, b_frames=0, times_ms=times_ms)
        assert run("ground", video, SENTENCE, "--out", tmp_path / name, "--checkpoint", model) == 0
        with av.open(str(tmp_path / name / "tube.mp4")) as container:
            shown = [float(f.pts * f.time_base) * 1000 for f in container.decode(container.streams.video[0])]
        assert shown == pytest.approx(times_ms)
        tube = json.loads((tmp_path / name / "tube.json").read_text())
        assert tube["start_sec"] * 1000 == times_ms[tube["start_frame"]]


def test_a_video_cut_short(refused, tmp_path):
    path = truncate(write_video(tmp_path / "a.mkv"))
    assert "cut short" in refused(path, SENTENCE)


@pytest.mark.parametrize("name", ["tube.mp4", "tube.png"])
def test_the_answer_never_replaces_the_video(refused, out, video, name):
    shutil.copy(video, out / name)
    line = refused(out / name, SENTENCE)
    assert "would replace the video" in line
    assert "--out" in line
    assert (out / name).read_bytes() == video.read_bytes()


# ---- sentences ----


@pytest.mark.parametrize("sentence", ["", "  ", "...", "42"])
def test_a_sentence_without_words(refused, video, sentence):
    line = refused(video, sentence)
    assert "no words" in line or "no English word" in line


def test_the_second_sentence_counts_too(refused, video):
    assert "no words" in refused(video, SENTENCE, "")


def test_a_sentence_that_is_too_long(refused, video):
    line = refused(video, "the man " + "walks " * 100)
    assert "tokens with its subject; the text encoder takes at most 512" in line


# ---- output folders ----


@pytest.mark.parametrize("inside", ["", "below", "far/below"])
def test_an_output_folder_that_cannot_be_written(refused, video, tmp_path, inside):
    """A file is in the way."""
    (tmp_path / "file").write_text("mine")
    assert f"cannot write into {tmp_path / 'file' / inside}" in refused(video, SENTENCE, out=tmp_path / "file" / inside)
    assert (tmp_path / "file").read_text() == "mine"


def test_one_of_several_folders_is_in_the_way(refused, video, out):
    (out / "02-a-dog").write_text("a file")
    assert "02-a-dog: Not a directory" in refused(video, SENTENCE, "a dog")


def test_a_full_disk(refused, video, monkeypatch):
    def fail(self, path):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("stvg_jax.grounding.inference.tube.Tube.write_json", fail)
    assert "No space left on device" in refused(video, SENTENCE)


# ---- checkpoints ----


@pytest.fixture
def broken(model, tmp_path):
    """A copy of the model whose checkpoint.json can be edited: `broken(change)`."""

    def copy(change):
        folder = tmp_path / "broken"
        shutil.copytree(model, folder)
        record = json.loads((folder / "checkpoint.json").read_text())
        change(record)
        (folder / "checkpoint.json").write_text(json.dumps(record))
        return folder

    return copy


def setter(**values):
    return lambda record: record.update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (setter(model="cg_stvg_2"), "model 'cg_stvg_2' is unknown; this version has ta_stvg"),
        (setter(model="clip", config={"model": {}, "clip": {}}), "model 'clip' is unknown; this version has ta_stvg"),
        (setter(kind="initialisation", note="from mdetr"), "parameters to start a training from ('from mdetr')"),
        (setter(format="stvg_jax.checkpoint/9"), "has format 'stvg_jax.checkpoint/9'; this version reads"),
        (setter(colour="blue"), "unknown keys"),
        (setter(config={"clip": {}}), "its configuration has no model"),
        (setter(config={"model": {}, "clip": 3}), "clip of its configuration must be an object"),
        (lambda record: record["config"]["model"].update(depth=3), "config.model.depth is unknown"),
        (lambda record: record["config"]["clip"].update(resolution="low"), "config.clip.resolution is 'low'"),
    ],
)
def test_a_checkpoint_of_another_kind(refused, video, broken, change, message):
    assert message in refused(video, SENTENCE, checkpoint=broken(change))


def test_checkpoints_that_are_none(refused, video, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"PK")
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "checkpoint.json").write_text("{")
    for name, message in {
        "absent": "does not exist",
        "weights.pth": "`stvg-jax convert` turns a .pth file into one",
        "folder": "is not a checkpoint: it has no checkpoint.json",
        "text": "cannot be read",
    }.items():
        assert message in refused(video, SENTENCE, checkpoint=tmp_path / name)


def test_a_checkpoint_without_tokenizer(refused, video, broken):
    folder = broken(setter())
    (folder / "tokenizer" / "tokenizer.json").write_text("[]")
    assert "tokenizer.json is not a tokenizer" in refused(video, SENTENCE, checkpoint=folder)
    shutil.rmtree(folder / "tokenizer")
    assert "has no tokenizer.json" in refused(video, SENTENCE, checkpoint=folder)


@pytest.fixture(scope="session")
def misfit(model, tmp_path_factory):
    """A whole, consistent checkpoint whose parameters are not quite those of its model."""
    folder = tmp_path_factory.mktemp("misfit") / "misfit"
    description = checkpoint.describe(model)
    parameters = checkpoint.read(model, description)
    del parameters["box_head/layers/0/bias"]
    parameters["box_head/layers/0/colour"] = np.zeros((2, 3), np.float32)
    parameters["box_head/layers/1/bias"] = np.zeros(5, np.float32)
    with checkpoint.new_directory(folder) as partial:
        shutil.copytree(model / checkpoint.TOKENIZER, partial / checkpoint.TOKENIZER)
        checkpoint.write(partial, parameters, description)
    return folder


DIFFERENCES = {
    "- missing   box_head/layers/0/bias (32,)",
    "+ unexpected box_head/layers/0/colour (2, 3)",
    "! box_head/layers/1/bias has shape (5,), the model needs (32,)",
}


def test_parameters_that_do_not_fit_the_model_are_listed(video, misfit, out, capsys):
    first, *lines = listed(capsys, video, SENTENCE, "--checkpoint", misfit, "--out", out)
    assert "does not fit the model, 3 parameters differ" in first
    assert set(lines) == DIFFERENCES
    assert [f.name for f in out.iterdir()] == ["tube.json"]


def test_parameters_that_are_not_those_of_their_description_are_listed(video, model, misfit, tmp_path, out, capsys):
    """checkpoint.json tells of the right parameters; what is stored is something else."""
    shutil.copytree(misfit, tmp_path / "mixed")
    record = json.loads((misfit / "checkpoint.json").read_text())
    record["parameters"] = json.loads((model / "checkpoint.json").read_text())["parameters"]
    (tmp_path / "mixed" / "checkpoint.json").write_text(json.dumps(record))
    lines = listed(capsys, video, SENTENCE, "--checkpoint", tmp_path / "mixed", "--out", out)
    for name in ("0/bias", "0/colour", "1/bias"):
        assert sum(f"box_head/layers/{name}" in line for line in lines) == 1
    assert [f.name for f in out.iterdir()] == ["tube.json"]
