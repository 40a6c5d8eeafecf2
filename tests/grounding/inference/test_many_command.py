"""`stvg-jax ground` for many videos: a file of answers that grows, continues and reports damage."""

from __future__ import annotations

import json
import shutil

import pytest

from stvg_jax.cli import main
from stvg_jax.core.files import sealed_line
from stvg_jax.grounding.inference import Grounder, Tube
from tests.videos import write_video

SENTENCE, OTHER = "the man in red sits down", "a dog runs to the white car"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with two videos and a damaged one."""
    folder = tmp_path_factory.mktemp("many")
    for count in (2, 3):
        write_video(folder / f"{count}.mp4", count)
    (folder / "damaged.mp4").write_bytes(b"dear diary" * 99)
    return folder


@pytest.fixture
def clips(made, tmp_path):
    """A copy of the folder that may be changed."""
    return shutil.copytree(made, tmp_path / "clips")


@pytest.fixture(scope="module")
def grounder(checkpoint):
    return Grounder.load(checkpoint)


@pytest.fixture
def run(tmp_path, checkpoint, grounder, capsys, monkeypatch):
    """Runs `ground` and returns the exit code, the output, and the error from the command's name on."""

    # Loaded once for all commands.
    monkeypatch.setattr(Grounder, "load", lambda path, dtype: grounder)

    def ground(*arguments, out=tmp_path / "out"):
        capsys.readouterr()
        arguments = ["ground", *arguments, "--out", out, "--checkpoint", checkpoint]
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out, printed.err[printed.err.find("stvg-jax ground: ") :] if code else ""

    return ground


@pytest.fixture
def read(monkeypatch):
    """Names of the videos that are read, in order."""
    names, read_clip = [], Grounder.read_clip

    def counted(self, video, *args, **options):
        names.append(video.rpartition("/")[2])
        return read_clip(self, video, *args, **options)

    monkeypatch.setattr(Grounder, "read_clip", counted)
    return names


def answers(folder):
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]


def test_a_folder_is_answered_once(clips, tmp_path, grounder, run, read):
    out = tmp_path / "out"
    code, printed, error = run(clips, SENTENCE, OTHER)
    assert code == 2
    assert printed == f"{out / 'answers.jsonl'}: 4 of 6 questions answered\n"
    summary, damaged = error.splitlines()
    assert summary == "stvg-jax ground: 2 of 6 questions have no answer (--retry asks again):"
    assert "damaged.mp4: " in damaged
    assert read == ["2.mp4", "3.mp4", "damaged.mp4"]
    assert sorted(path.name for path in out.iterdir()) == ["answers.jsonl", "lock", "settings.json"]

    lines = answers(out)
    assert [(line["video"], line["sentence"]) for line in lines] == [
        (str(clips / f"{name}.mp4"), sentence) for name in ("2", "3", "damaged") for sentence in (SENTENCE, OTHER)
    ]
    for line in lines[:4]:
        assert Tube.from_json(line["tube"]) == grounder.ground(line["video"], line["sentence"])
    assert "not a video" in lines[4]["error"]

    # The same again asks nothing, and says the same.
    read.clear()
    assert run(clips, SENTENCE, OTHER) == (code, printed, error)
    assert read == []
    assert answers(out) == lines
    assert run(clips, SENTENCE, OTHER, "--retry")[0] == 2
    assert read == ["damaged.mp4"]

    # A file that has changed is read again.
    read.clear()
    shutil.copy(clips / "3.mp4", clips / "damaged.mp4")
    assert run(clips, SENTENCE, OTHER)[:2] == (0, f"{out / 'answers.jsonl'}: 6 of 6 questions answered\n")
    assert read == ["damaged.mp4"]


def test_an_interruption_loses_one_answer(clips, tmp_path, run, read):
    (clips / "damaged.mp4").unlink()
    assert run(clips, SENTENCE)[0] == 0
    file = tmp_path / "out" / "answers.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    read.clear()
    assert run(clips, SENTENCE)[0] == 0
    assert read == ["3.mp4"]
    assert file.read_bytes() == whole


def test_an_interrupted_run_keeps_its_answers(clips, tmp_path, run, read, monkeypatch):
    answer, asked = Grounder.answer, []

    def interrupt(self, question, *args, **options):
        asked.append(question)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return answer(self, question, *args, **options)

    monkeypatch.setattr(Grounder, "answer", interrupt)
    assert run(clips, SENTENCE)[0] == 130
    assert [line["video"] for line in answers(tmp_path / "out")] == [str(clips / "2.mp4")]
    read.clear()
    assert run(clips, SENTENCE)[0] == 2
    assert read == ["3.mp4", "damaged.mp4"]


def test_a_file_of_questions(clips, tmp_path, run, read):
    file = clips / "questions.csv"
    file.write_text(f"video,sentence,start\n3.mp4,{SENTENCE},\n2.mp4,{OTHER},\n3.mp4,{OTHER},0.1\n")
    assert run("--queries", file)[0] == 0
    assert read == ["3.mp4", "3.mp4", "2.mp4"]
    found = answers(tmp_path / "out")
    assert [(line["sentence"], line["start"]) for line in found] == [(SENTENCE, None), (OTHER, 0.1), (OTHER, None)]
    assert found[1]["tube"]["clip_start_frame"] == 1


def test_bad_rows_and_sentences_are_told_before_a_video_is_read(clips, tmp_path, run, read):
    file = clips / "questions.csv"
    file.write_text(f"video,sentence\n3.mp4,...\nabsent.mp4,{OTHER}\n3.mp4,{OTHER}\n")
    code, _, error = run("--queries", file)
    lines = error.splitlines()
    assert code == 2
    assert lines[0] == f"stvg-jax ground: {file}: 2 rows cannot be used; mend them"
    assert "line 2: the sentence '...' has no words" in lines[1]
    assert "line 3: video" in lines[2]
    assert "has no words" in run(clips, "...")[2]
    assert read == []
    assert not (tmp_path / "out").exists()


def test_answers_may_stand_beside_the_videos(clips, run, read, monkeypatch):
    monkeypatch.chdir(clips)
    long = f"the man {'very ' * 60}slowly sits down."
    assert run("2.*", long, out="answers")[0] == 0
    assert run(".", long, out="answers")[0] == 2
    assert read == ["2.mp4", "3.mp4", "damaged.mp4"]


def test_patterns_and_further_videos(clips, tmp_path, run):
    assert run(clips / "[2]*.mp4", SENTENCE, "--video", clips / "3.mp4", "--subject", "the man", "--end", 0.2)[0] == 0
    assert [(line["video"], line["subject"], line["end"]) for line in answers(tmp_path / "out")] == [
        (str(clips / "2.mp4"), "the man", 0.2),
        (str(clips / "3.mp4"), "the man", 0.2),
    ]


def test_answers_are_drawn_on_request(clips, tmp_path, run, read, monkeypatch):
    (clips / "damaged.mp4").unlink()
    assert run(clips, SENTENCE, "--export", "csv")[0] == 0
    folders = sorted(path for path in (tmp_path / "out").iterdir() if path.is_dir())
    assert [path.name[:-9] for path in folders] == [f"{n}-the-man-in-red-sits-down" for n in (2, 3)]
    assert all({path.name for path in folder.iterdir()} == {"tube.json", "tube.csv"} for folder in folders)

    # Answers of an earlier start are drawn too, and only once.
    read.clear()
    for _ in range(2):
        assert run(clips, SENTENCE, "--draw", "--cut", "--no-video")[0] == 0
        names = {"tube.json", "tube.png", "cut.mp4"}
        assert all({path.name for path in folder.iterdir()} == names for folder in folders)
        monkeypatch.setattr("stvg_jax.grounding.inference.answer.Outputs.draw", None)
    assert read == []


def test_a_drawing_that_fails_is_reported(clips, tmp_path, run):
    (clips / "damaged.mp4").unlink()
    assert run(clips, SENTENCE)[0] == 0
    (tmp_path / "out" / "answers.jsonl").rename(tmp_path / "kept")
    line = json.loads((tmp_path / "kept").read_text().splitlines()[0])
    # A frame beyond the end, as if the decoder failed there.
    line["tube"]["end_frame"] = line["tube"]["clip_end_frame"] = 50
    line.pop("sha256")
    (tmp_path / "out" / "answers.jsonl").write_text(sealed_line(line))
    code, printed, error = run(clips, SENTENCE, "--draw")
    assert code == 2
    assert "2 of 2 questions answered" in printed
    assert error.startswith("stvg-jax ground: 1 answers are not drawn:\n")


def test_answers_of_another_model_or_resolution_are_kept(clips, tmp_path, run):
    assert run(clips / "2.*", SENTENCE)[0] == 0
    before = answers(tmp_path / "out")
    code, _, error = run(clips / "2.*", SENTENCE, "--resolution", 80)
    assert code == 2
    assert "has answers with another resolution ('64' before, '80' now); choose another folder with --out" in error
    file = tmp_path / "out" / "settings.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model": "another"}))
    assert "has answers with another model" in run(clips / "2.*", SENTENCE)[2]
    file.write_text("[]")
    assert "is not the settings of answers" in run(clips / "2.*", SENTENCE)[2]
    file.unlink()
    assert "has no settings.json beside it" in run(clips / "2.*", SENTENCE)[2]
    assert answers(tmp_path / "out") == before


def test_damaged_answers_are_named(clips, tmp_path, run):
    assert run(clips / "2.*", SENTENCE)[0] == 0
    file = tmp_path / "out" / "answers.jsonl"
    file.write_text(file.read_text().replace("red", "rad", 1))
    assert "answers.jsonl is damaged: it does not end in the checksum" in run(clips / "2.*", SENTENCE)[2]
    file.write_text(sealed_line({"video": "a.mp4"}))
    assert "is no answer: it has no 'sentence'" in run(clips / "2.*", SENTENCE)[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{clips}", SENTENCE, "--frames", "0:2"], "--frames is for a single video"),
        (["{clips}", SENTENCE, "--end", "-1"], "end -1: must be a finite number"),
        (["{clips}", SENTENCE, "--resolution", "16"], "resolution 16: the model's grid needs at least 32"),
        (["{clips}", SENTENCE, "--subject", "a", "--subject", "b"], "--subject is given 2 times"),
        (["{clips}/*.avi", SENTENCE], "no file fits this pattern"),
        (["{clips}", SENTENCE, "--video", "absent.mp4"], "absent.mp4: no such file or folder"),
        (["{clips}", "{clips}/2.mp4", SENTENCE], "is a file; give further videos by --video"),
        (["{clips}/2.mp4", "{clips}/3.mp4", SENTENCE], "is a file; give further videos by --video"),
        (["{clips}/..", SENTENCE, "--draw"], "/out is within "),
        (["--queries", "absent.csv"], "absent.csv: no such file"),
        (["--queries", "a.csv", "--start", "0"], "--start and --queries do not go together; write it into a.csv"),
        (["--queries", "a.csv", "--video", "b.mp4"], "--video and --queries do not go together"),
        (["a.mp4", SENTENCE, "--queries", "a.csv"], "VIDEO and --queries do not go together"),
    ],
)
def test_options_that_do_not_fit(made, tmp_path, run, arguments, message):
    folder = tmp_path / "a" if "/.." in arguments[0] else made
    folder.mkdir(exist_ok=True)
    code, printed, error = run(*(argument.replace("{clips}", str(folder)) for argument in arguments))
    assert (code, printed) == (2, "")
    (line,) = error.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()
