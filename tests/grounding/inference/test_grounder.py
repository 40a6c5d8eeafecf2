"""The Grounder on small videos of many kinds, with an untrained model: everything but the quality of the answer."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.language.text import model_text
from stvg_jax.data_pipeline.video import open_video
from stvg_jax.grounding.inference import Grounder, Tube
from stvg_jax.grounding.ta_stvg import TASTVGConfig
from stvg_jax.models.loading import load_model
from stvg_jax.models.names import default_checkpoint, find_checkpoint
from stvg_jax.runtime import memory
from stvg_jax.runtime.compilation import Program
from tests.videos import cut_without_encoding, damage_frame, write_rotated, write_video

# With its subject 41 tokens of the byte tokenizer, padded to 64, as all sentences here that the model sees.
SENTENCE, TEXT_LENGTH = "the man in red sits down", 64
# Of 18 frames 17 are sampled: passes of 9, more than Swin's window of 8, and of 8. One to three frames give passes of
# one. Every further shape costs a compilation.
COUNT = 18
IRREGULAR_MS = np.cumsum([0, *np.random.default_rng(0).integers(10, 300, COUNT - 1)]).tolist()
KINDS = {
    "plain.mp4": {},
    "one-frame.mp4": {"count": 1},
    "two-frames.mp4": {"count": 2},
    "three-frames.mp4": {"count": 3},
    "long.mp4": {"count": 300, "gop": 50},
    "very-wide.mp4": {"size": (480, 48)},
    "variable-rate.mp4": {"times_ms": IRREGULAR_MS},
    "no-frame-count.mkv": {},
    "no-times.avi": {},
    "odd-size.mkv": {"codec": "ffv1", "size": (97, 63)},
    "all-keyframes.mp4": {"count": COUNT + 10, "gop": 1, "b_frames": 0},
}
SCORES = {"frame": int, "pass": int, "sampling": float, "actioness": float, "start": float, "end": float}
SCHEMA = {
    "schema": str, "video": str, "sentence": str, "subject": str, "width": int, "height": int, "fps": float,
    "clip_start_frame": int, "clip_end_frame": int, "start_frame": int, "end_frame": int, "start_sec": float,
    "end_sec": float, "confidence": float, "calibrated": bool, "found": type(None), "boxes": list, "scores": list,
}  # fmt: skip


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    """Name -> path of a video of that kind."""
    folder = tmp_path_factory.mktemp("videos")

    def path(name):
        if not (folder / name).exists():
            if name == "rotated.mp4":
                return write_rotated(folder / name, 90, count=COUNT)
            write_video(folder / name, **{"count": COUNT} | KINDS[name])
        return folder / name

    return path


@pytest.fixture(scope="session")
def grounder(checkpoint):
    return Grounder.load(checkpoint)


@pytest.fixture
def compiled(monkeypatch):
    """Grows with every compilation."""
    original, calls = jax.stages.Lowered.compile, []

    def count(self, *args, **options):
        calls.append(self)
        return original(self, *args, **options)

    monkeypatch.setattr(jax.stages.Lowered, "compile", count)
    return calls


def assert_same(tube, other, **changed):
    """Equal tubes, but for the fields given."""
    for field in dataclasses.fields(tube):
        ours, theirs = getattr(tube, field.name), changed.get(field.name, getattr(other, field.name))
        for a, b in zip(*map(jax.tree.leaves, map(_plain, (ours, theirs))), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=field.name)


def _plain(value):
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value


def assert_schema(values, schema):
    assert {key: type(value) for key, value in values.items()} == schema


@pytest.mark.parametrize("name", [*(name for name in KINDS if name != "all-keyframes.mp4"), "rotated.mp4"])
def test_tube_of_any_video(grounder, video, tmp_path, name):
    tube = grounder.ground(video(name), SENTENCE)
    assert tube.video == str(video(name))
    assert_sound(tube)
    if name != "variable-rate.mp4":
        np.testing.assert_allclose(
            np.array([tube.start_sec, tube.end_sec]) * tube.fps, [tube.start_frame, tube.end_frame], atol=1e-5
        )
    tube.write_json(tmp_path / "tube.json")
    record = json.loads((tmp_path / "tube.json").read_text())
    assert record == tube.to_dict()
    assert Tube.from_json(tmp_path / "tube.json") == Tube.from_json(record) == tube
    # 30 s, for a model of clips of 20 s.
    assert_schema(record, SCHEMA | ({"warning": str} if name == "long.mp4" else {}))
    assert [entry["frame"] for entry in record["boxes"]] == tube.box_frames.tolist()
    assert np.array_equal(np.array([entry["box"] for entry in record["boxes"]], np.float32), tube.boxes_xyxy)
    answered = [entry["frame"] for entry in record["boxes"] if entry["in_interval"]]
    assert answered == [f for f in tube.box_frames if tube.start_frame <= f < tube.end_frame]
    for entry in record["scores"]:
        assert_schema(entry, SCORES)
    assert [path.name for path in tmp_path.iterdir()] == ["tube.json"]


def assert_sound(tube):
    """An answer fits the video."""
    with open_video(tube.video) as reader:
        info = reader.info
    assert (tube.width, tube.height) == (info.width, info.height)
    assert tube.fps == pytest.approx(info.fps, rel=1e-11)
    assert tube.clip == (0, info.frame_count)
    assert 0 <= tube.start_frame < tube.end_frame <= info.frame_count

    times = [*info.timestamps_sec, info.duration_sec]
    assert (tube.start_sec, tube.end_sec) == (round(times[tube.start_frame], 6), round(times[tube.end_frame], 6))

    assert tube.box_frames[0] == 0
    assert (np.diff(tube.box_frames) == 1).all()
    assert tube.boxes_xyxy.shape == (len(tube.box_frames), 4)
    assert (tube.boxes_xyxy >= 0).all()
    assert (tube.boxes_xyxy <= (info.width, info.height) * 2).all()
    assert (tube.boxes_xyxy[:, :2] <= tube.boxes_xyxy[:, 2:]).all()

    scores = tube.scores
    assert set(scores.frames) <= set(tube.box_frames)
    assert (np.diff(scores.frames) >= 0).all()
    for values in (scores.sampling, scores.actioness, scores.start, scores.end):
        assert ((values >= 0) & (values <= 1)).all()
    for i in (0, 1):
        np.testing.assert_allclose([scores.start[scores.passes == i].sum()], 1, rtol=1e-5)
        np.testing.assert_allclose([scores.end[scores.passes == i].sum()], 1, rtol=1e-5)


def test_predictions_differ_between_frames(grounder, video):
    """Answers depend on the input; otherwise the comparisons below would compare constants."""
    tube = grounder.ground(video("plain.mp4"), SENTENCE)
    assert (np.ptp(tube.boxes_xyxy[:, :2], axis=0) > 1).all()
    assert np.ptp(tube.scores.actioness) > 0.01


def test_halves_of_unequal_length_equal_each_half_alone(grounder, video):
    """9 samples at even positions and 8 at odd ones, in one batch that is padded in time and in text."""
    (question,) = grounder.ask([SENTENCE])
    clip = grounder.read_clip(video("plain.mp4"), [question])
    assert [len(ids) for ids in clip.frame_ids] == [9, 8]
    assert clip.frames_valid.sum(1).tolist() == [9, 8]
    assert len(question.ids) < TEXT_LENGTH
    both = grounder._run_text(grounder.encode_clip(clip), question.ids, TEXT_LENGTH)
    for i, ids in enumerate(clip.frame_ids):
        n = len(ids)
        alone, row = grounder.forward(clip.frames[i, :n], question.ids), both.row(i)
        for field in dataclasses.fields(alone):
            ours, theirs = getattr(row, field.name), getattr(alone, field.name)
            if field.name == "uses":
                assert not ours and not theirs
                continue
            if theirs is None:
                assert ours is None and field.name in ("confidences", "attention")
                continue
            if ours.ndim > 1:
                ours = ours[:, :n]
            elif field.name.startswith(("motion_sampling", "appearance_sampling", "sampling")):
                ours = ours[:n]
            np.testing.assert_allclose(ours, theirs, atol=1e-5, err_msg=field.name)


def test_a_window_in_frames_and_in_seconds(grounder, video):
    by_frames = grounder.ground(video("all-keyframes.mp4"), SENTENCE, frames=(5, 23))
    assert by_frames.clip == (5, 23)
    assert 5 <= by_frames.start_frame < by_frames.end_frame <= 23
    assert by_frames.box_frames[0] == 5
    assert_same(grounder.ground(video("all-keyframes.mp4"), SENTENCE, start=0.5, end=2.3), by_frames)
    assert_same(grounder.ground(video("all-keyframes.mp4"), SENTENCE, start=0.41, end=np.float32(2.21)), by_frames)


def test_a_window_is_a_video_of_its_own_shifted(grounder, video, tmp_path):
    alone = cut_without_encoding(video("all-keyframes.mp4"), tmp_path / "cut.mp4", 10)
    window = grounder.ground(video("all-keyframes.mp4"), SENTENCE, frames=(10, None))
    expected = grounder.ground(alone, SENTENCE)
    assert expected.clip == (0, COUNT)
    scores = dataclasses.replace(expected.scores, frames=expected.scores.frames + 10)
    assert_same(
        window,
        expected,
        video=str(video("all-keyframes.mp4")),
        clip=(10, 10 + COUNT),
        fps=window.fps,
        start_frame=expected.start_frame + 10,
        end_frame=expected.end_frame + 10,
        start_sec=pytest.approx(expected.start_sec + 1),
        end_sec=pytest.approx(expected.end_sec + 1),
        box_frames=expected.box_frames + 10,
        scores=scores,
    )


def test_open_ends_of_windows(grounder, video):
    whole = grounder.ground(video("two-frames.mp4"), SENTENCE)
    for window in ({"frames": (0, None)}, {"frames": [None, np.int64(2)]}, {"start": 0}, {"end": 99}):
        assert_same(grounder.ground(video("two-frames.mp4"), SENTENCE, **window), whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": (0, 5), "start": 0}, "in frames or in seconds, not both"),
        ({"frames": (0, 19)}, r"frames 0:19 are not a part of the video, which has frames 0:18, the last at 1.70 s"),
        ({"frames": (18, None)}, "frames 18:18 are not a part"),
        ({"frames": (-1, 5)}, "frames -1:5 hold nothing; begin at 0"),
        ({"frames": (5, 5)}, "frames 5:5 hold nothing"),
        ({"frames": (7, 5)}, "frames 7:5 hold nothing"),
        ({"frames": (None, 0)}, "frames :0 hold nothing"),
        ({"frames": (0, 3, 5)}, r"frames of type tuple: must be two, \(first, one past the last\)"),
        ({"frames": 5}, "frames of type int: must be two"),
        ({"frames": "0:5"}, "frames '0:5': must be two"),
        ({"frames": (True, 5)}, "frames True: must be a whole number"),
        ({"frames": (0.0, 5)}, "frames 0.0: must be a whole number"),
        ({"frames": (0, 10**30)}, "frames of type int: must be a whole number of 64 bits"),
        ({"start": 50.0}, "seconds 50 to the end hold no frame .* the last at 1.70 s"),
        ({"start": 0.41, "end": 0.42}, "seconds 0.41 to 0.42 hold no frame"),
        ({"start": 1.0, "end": 0.5}, "seconds 1:0.5 hold nothing"),
        ({"start": 1, "end": 1}, "seconds 1:1 hold nothing"),
        ({"end": 0}, "seconds :0 hold nothing"),
        ({"end": -2.5}, "end -2.5: must be a finite number of seconds, 0 or more"),
        ({"start": -1}, "start -1: must be a finite"),
        ({"start": float("nan")}, "start nan: must be a finite"),
        ({"end": float("inf")}, "end inf: must be a finite"),
        ({"end": 10**400}, "end inf: must be a finite"),
        ({"start": "1"}, "start '1': must be a number of seconds"),
        ({"start": True}, "start True: must be a number of seconds"),
        ({"resolution": "420"}, "resolution '420': must be a whole number"),
        ({"resolution": 64.0}, "resolution 64.0: must be a whole number"),
        ({"resolution": True}, "resolution True: must be a whole number"),
        ({"allow_partial": 1}, "allow_partial of type int: must be True or False"),
        ({"decoder": None}, "unknown decoder None"),
        ({"resolution": 31}, "resolution 31: .* at least 32 pixels"),
        ({"resolution": 0}, "resolution 0"),
        ({"resolution": 4097}, "resolution 4097: .* at most 4096: attention"),
        ({"decoder": "magic"}, "unknown decoder 'magic'"),
    ],
)
def test_clips_that_cannot_be_read(grounder, video, options, message):
    with pytest.raises(InputError, match=message):
        grounder.ground(video("plain.mp4"), SENTENCE, **options)


def test_damage_is_named_and_can_be_left_out(grounder, tmp_path):
    path = damage_frame(write_video(tmp_path / "a.mp4", COUNT, gop=3), 3)
    with pytest.raises(InputError, match="frame 3 of 18"):
        grounder.ground(path, SENTENCE)
    assert grounder.ground(path, SENTENCE, allow_partial=True).clip == (0, 3)


def test_several_questions_share_one_decode_and_one_compilation(grounder, tmp_path, monkeypatch, compiled):
    """On a portrait video and at a resolution that no other test uses."""
    portrait = write_video(tmp_path / "portrait.mp4", 3, size=(48, 96))
    opened = []
    monkeypatch.setattr(
        "stvg_jax.data_pipeline.video.open_video",
        lambda *args, **options: opened.append(args) or open_video(*args, **options),
    )
    sentences = [SENTENCE, "a dog runs to the white car", "who opens the door of the house?"]
    questions = grounder.ask(sentences)
    clip = grounder.read_clip(portrait, questions, resolution=36)
    assert clip.frames.shape == (2, 1, 36, 18, 3)
    assert len(compiled) == 2
    features = grounder.encode_clip(clip)
    tubes = [grounder.answer(question, clip, features) for question in questions]
    assert len(opened) == 1
    assert len(compiled) == 2
    assert not np.array_equal(tubes[0].boxes_xyxy, tubes[1].boxes_xyxy)
    for sentence, tube in zip(sentences, tubes, strict=True):
        assert_sound(tube)
        assert (tube.sentence, tube.width, tube.height) == (sentence, 48, 96)
        assert_same(tube, grounder.ground(portrait, sentence, resolution=36))
    assert len(compiled) == 2


def test_another_grounder_loads_programs_from_disk(checkpoint, grounder, video, compiled):
    expected = grounder.ground(video("one-frame.mp4"), SENTENCE)
    compiled.clear()
    assert_same(Grounder.load(checkpoint).ground(video("one-frame.mp4"), SENTENCE), expected)
    assert compiled == []


def test_another_process_loads_programs_from_disk(checkpoint, grounder, video):
    expected = grounder.ground(video("two-frames.mp4"), SENTENCE)
    program = """if True:
        import sys, jax
        from stvg_jax.grounding.inference import Grounder
        from stvg_jax.runtime import memory
        jax.config.update("jax_default_matmul_precision", "highest")
        jax.stages.Lowered.compile = None
        tube = Grounder.load(sys.argv[1]).ground(sys.argv[2], sys.argv[3])
        print(tube.boxes_xyxy.tolist())
    """
    command = [sys.executable, "-c", program, checkpoint, video("two-frames.mp4"), SENTENCE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == expected.boxes_xyxy.tolist()


@pytest.fixture
def program_file(tmp_path, monkeypatch):
    """A stored program that doubles its argument."""
    monkeypatch.setenv("STVG_JAX_CACHE", str(tmp_path))
    run_doubling()
    (file,) = (tmp_path / "programs").iterdir()
    return file


def run_doubling(identity="doubling"):
    result = Program("doubling", lambda x: 2 * x, identity)(np.arange(4, dtype=np.float32))
    np.testing.assert_array_equal(result, [0, 2, 4, 6])


def test_a_stored_program_is_used(program_file, compiled, caplog):
    before = program_file.read_bytes()
    run_doubling()
    assert compiled == []
    assert caplog.messages == []
    assert program_file.read_bytes() == before
    assert program_file.stat().st_mode & 0o077 == 0


def test_another_identity_is_another_program(program_file, compiled):
    run_doubling("other model")
    assert len(compiled) == 1
    assert len(list(program_file.parent.iterdir())) == 2


@pytest.mark.parametrize("damage", [b"", b"not a program", None])
def test_a_damaged_program_is_compiled_again(program_file, compiled, caplog, damage):
    program_file.write_bytes(program_file.read_bytes()[:-100] if damage is None else damage)
    with caplog.at_level(logging.WARNING):
        run_doubling()
        run_doubling()
    assert len(compiled) == 1
    (message,) = caplog.messages
    assert message.startswith(f"compiling again: {program_file} cannot be loaded")


def test_a_program_that_others_could_have_written_is_compiled_again(program_file, compiled, caplog):
    program_file.chmod(0o666)
    with caplog.at_level(logging.WARNING):
        run_doubling()
        run_doubling()
    assert len(compiled) == 1
    assert caplog.messages == [f"compiling again: another user could have written {program_file}"]
    assert program_file.stat().st_mode & 0o077 == 0


def test_a_clip_that_no_device_holds_is_refused_before_anything_is_compiled(grounder, video, monkeypatch):
    monkeypatch.setattr(memory, "device_memory", lambda: 1000)
    monkeypatch.setattr(Program, "prepare", lambda *args, **options: pytest.fail("compiled"))
    with pytest.raises(InputError, match=r"resolution 64: 2 x \d+ frames of \d+x64 take at least .* GB on a device"):
        grounder.read_clip(video("plain.mp4"), resolution=64)


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STVG_JAX_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        run_doubling()
        run_doubling()
    assert caplog.messages == [
        f"compiled programs are not kept in {tmp_path / 'file'} (File exists); STVG_JAX_CACHE names another folder"
    ]


def test_nothing_is_left_of_a_program_that_cannot_be_kept(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("STVG_JAX_CACHE", str(tmp_path))

    def fail(source, target):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with caplog.at_level(logging.WARNING):
        run_doubling()
    assert "no space left" in caplog.messages[-1]
    assert list((tmp_path / "programs").iterdir()) == []


def truncate_parameters(folder):
    largest = max((f for f in folder.rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])


# Reads that were under way complain to an event loop that is gone by then.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("damage", [shutil.rmtree, truncate_parameters])
def test_damaged_parameters_are_reported_at_first_use(checkpoint, video, tmp_path, damage):
    shutil.copytree(checkpoint, tmp_path / "damaged")
    damage(tmp_path / "damaged" / "parameters")
    grounder = Grounder.load(tmp_path / "damaged")
    for _ in range(2):
        with pytest.raises(InputError, match=r"/damaged.*(is damaged|cannot be read)") as error:
            grounder.ground(video("two-frames.mp4"), SENTENCE)
        assert "\n" not in str(error.value)


def test_bfloat16_is_close_to_float32(checkpoint, grounder, video):
    exact = grounder.ground(video("two-frames.mp4"), SENTENCE)
    rough = Grounder.load(checkpoint, dtype="bfloat16").ground(video("two-frames.mp4"), SENTENCE)
    difference = np.abs(rough.boxes_xyxy - exact.boxes_xyxy) / ([exact.width, exact.height] * 2)
    assert 0 < difference.max() < 0.03
    assert np.abs(rough.scores.actioness - exact.scores.actioness).max() < 0.03


def test_unknown_dtype(checkpoint):
    with pytest.raises(InputError, match="dtype 'float16' is unknown; choose one of float32, bfloat16"):
        Grounder.load(checkpoint, dtype="float16")
    with pytest.raises(InputError, match="dtype of type type: must be text"):
        Grounder.load(checkpoint, dtype=np.float32)


@pytest.mark.parametrize("checkpoint", [5, "", b"checkpoints/ta", np.zeros(2)])
def test_what_is_no_checkpoint(checkpoint):
    with pytest.raises(InputError, match="checkpoint .*: must be the path of a file or folder"):
        Grounder.load(checkpoint)


def test_the_built_in_checkpoint_has_a_name():
    assert find_checkpoint(None) == find_checkpoint("builtin") == default_checkpoint()
    assert find_checkpoint("./builtin") == Path("builtin")
    unnamed, named = Grounder.load(), Grounder.load("builtin")
    assert unnamed.fingerprint == named.fingerprint
    assert unnamed.trained_clip.sec == named.trained_clip.sec == 4.0


FRAMES = np.zeros((1, 32, 32, 3), np.float32)


@pytest.mark.parametrize(
    ("frames", "ids", "message"),
    [
        (FRAMES[0], [0, 2], r"frames \(32, 32, 3\)"),
        (FRAMES[..., :2], [0, 2], r"frames \(1, 32, 32, 2\)"),
        (FRAMES[:0], [0, 2], r"frames \(0, 32, 32, 3\)"),
        (FRAMES[:, :0], [0, 2], r"frames \(1, 0, 32, 3\)"),
        (FRAMES, [], r"input_ids \(0,\)"),
        (FRAMES, [[0, 2]], r"input_ids \(1, 2\)"),
        (FRAMES * np.nan, [0, 2], "not finite"),
        (np.zeros((1, 32, 32, 3), np.uint8), [0, 2], "frames are uint8; they must be floats, normalised"),
        (None, [0, 2], "frames are object; they must be floats"),
        ("a.mp4", [0, 2], "frames are <U5; they must be floats"),
        ([[0.0], [0.0, 1.0]], [0, 2], "frames are not an array"),
        (FRAMES, [0.0, 2.0], "input_ids are float64; they must be whole numbers"),
        (FRAMES, [False, True], "input_ids are bool"),
        (FRAMES, "a man", "input_ids are <U5"),
        (FRAMES, None, "input_ids are object"),
        (FRAMES, [0, 260, 2], "input_ids from 0 to 260; the model knows 0 to 259"),
        (FRAMES, [0, -1, 2], "input_ids from -1 to 2"),
        (FRAMES, [0] * 513, "513 input_ids; the text encoder takes at most 512"),
    ],
)
def test_forward_refuses_other_arrays(grounder, frames, ids, message):
    with pytest.raises(InputError, match=message):
        grounder.forward(frames, ids)


@pytest.mark.parametrize(
    ("video", "message"),
    [
        (None, "video None: must be the path"),
        (5, "video of type int: must be the path"),
        ("", "video '': must be the path"),
        ("a\0b", r"video 'a\\x00b': must be the path"),
        (b"a.mp4", "video of type bytes: must be the path"),
        (Path(), "not a file"),
    ],
)
def test_what_is_no_video(grounder, video, message):
    with pytest.raises(InputError, match=message):
        grounder.ground(video, SENTENCE)


def test_what_is_no_sentence(grounder, video):
    for sentence, message in (
        (None, "sentence None: must be text"),
        (b"a man", "sentence of type bytes: must be"),
        ("the \ud83d man", "holds half of a character"),
    ):
        with pytest.raises(InputError, match=message):
            grounder.ground(video("two-frames.mp4"), sentence)
    with pytest.raises(InputError, match="subject of type int: must be text"):
        grounder.ground(video("two-frames.mp4"), SENTENCE, subject=5)
    with pytest.raises(InputError, match="must be lists of texts"):
        grounder.ask(SENTENCE)
    with pytest.raises(InputError, match="2 subjects for 1 sentences"):
        grounder.ask([SENTENCE], ["the man", "the dog"])
    with pytest.raises(InputError, match="0 subjects for 1 sentences"):
        grounder.ask([SENTENCE], [])


@pytest.mark.parametrize("sentence", ["", "   ", "\n", "...", "?!", "🙂"])
@pytest.mark.parametrize("subject", [None, "the man"])
def test_sentences_without_words(grounder, sentence, subject):
    with pytest.raises(InputError, match="no words|no English word"):
        grounder.ask([sentence], [subject])


def test_a_sentence_in_another_alphabet(grounder):
    with pytest.raises(InputError, match="'一个男人在跑' has no English word in it"):
        grounder.ask(["一个男人在跑"])


def test_a_sentence_that_is_too_long(grounder):
    limit = grounder.tokenizer.max_tokens
    filling = "x" * (limit - len("the man the man ") - 2)
    (question,) = grounder.ask([f"the man {filling}"], ["the man"])
    assert len(question.ids) == limit
    with pytest.raises(InputError, match=f"has {limit + 1} tokens with its subject; .* at most {limit}") as error:
        grounder.ask([f"the man {filling}x"], ["the man"])
    assert "\n" not in str(error.value)
    for questions in ([["the man " * 20_000]], [["the man"], ["man " * 20_000]]):
        with pytest.raises(InputError, match="characters, and at most 5,120 are read") as error:
            grounder.ask(*questions)
        assert len(str(error.value)) < 200


def test_the_subject_is_found_or_given(grounder):
    found, given = grounder.ask(["The man in RED sits down"] * 2, [None, "A red man"])
    assert (found.subject, given.subject) == ("The man in RED", "A red man")
    assert decode(found.ids) == "the man in red the man in red sits down"
    assert decode(given.ids) == "A red man the man in red sits down"
    assert found.sentence == given.sentence == "The man in RED sits down"


def test_a_model_that_reads_no_subject(checkpoint):
    class Silent(TASTVGConfig):
        reads_subject = False

    loaded = load_model(checkpoint)
    grounder = Grounder(dataclasses.replace(loaded, config=Silent(**vars(loaded.config))))
    (question,) = grounder.ask(["The man in RED sits down"])
    assert question.subject == "The man in RED"
    assert decode(question.ids) == "the man in red sits down"
    with pytest.raises(InputError, match="subject 'the man': this model reads the sentence alone"):
        grounder.ask([SENTENCE], ["the man"])


@pytest.mark.parametrize(
    ("rule", "text"),
    [("hcstvg", "The man the man's 2 dogs, a t-shirt."), ("vidstg", "The man the man s dogs a t shirt")],
)
def test_text_is_cleaned_as_the_data_set_was(rule, text):
    """The released code lower-cases the sentence, not the subject that an annotation gives."""
    assert model_text("The man", "The man's 2 dogs, a T-shirt.", rule) == text


@pytest.mark.parametrize("subject", ["", " "])
def test_an_empty_subject(grounder, subject):
    with pytest.raises(InputError, match="the subject is empty"):
        grounder.ask([SENTENCE], [subject])


def test_a_sentence_beyond_ascii(grounder, video, tmp_path):
    sentence = "the café owner – 🙂 – walks"
    tube = grounder.ground(video("two-frames.mp4"), sentence)
    assert tube.subject == "the café owner"
    tube.write_json(tmp_path / "tube.json")
    assert json.loads((tmp_path / "tube.json").read_text())["sentence"] == sentence


def decode(ids):
    """The text behind ids of the byte tokenizer, ASCII only."""
    import tokenizers

    assert ids[0] == 0
    assert ids[-1] == 2
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    return "".join(alphabet[i - 4] for i in ids[1:-1]).replace("Ġ", " ")


@pytest.mark.parametrize("asked", [(5,), (None,), (["a"], 5), (np.array("a"),)])
def test_sentences_and_subjects_are_lists(grounder, asked):
    with pytest.raises(InputError, match="must be lists of texts"):
        grounder.ask(*asked)
