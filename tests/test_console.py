"""The command with streams that are closed, full, cut short or of a poor encoding."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from stvg_jax.cli import main
from stvg_jax.core.errors import InputError
from tests.data_pipeline.annotations.folders import generic_file, write_json

ROOT = Path(__file__).parents[1]
STVG = f"{shlex.quote(sys.executable)} -m stvg_jax.cli"
# What any command does with its streams, without the time that a model takes.
LINES = """
import os, sys
from stvg_jax.console import leave, open_streams
open_streams()
for i in range({count}):
    print(f"answer {{i}} \\u2013 \\udcff", flush={flush})
    print("progress \\u2013", file=sys.stderr)
os.write(2, b"from a library\\n")
open("done", "w").close()
sys.exit(leave(0))
"""


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of bash; its exit code is that of the first program of a pipe."""
    return subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def lines(folder: Path, streams: str, count: int = 3, flush: bool = True, **environment: str):
    (folder / "lines.py").write_text(LINES.format(count=count, flush=flush))
    done = shell(f"{shlex.quote(sys.executable)} lines.py {streams}", folder, **environment)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    return done


@pytest.fixture
def score(tmp_path):
    """The command line of `score` for a right answer."""
    write_json(tmp_path / "test.json", generic_file())
    boxes = {"3": [10, 20, 40, 60], "4": [11, 21, 41, 61]}
    write_json(tmp_path / "p.json", {"predictions": {"one": boxes}, "video_predictions": {"one": {"sted": [3, 5]}}})
    return "score p.json --dataset json --annotations test.json --out out"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1:strict"])
def test_characters_that_the_encoding_lacks_are_escaped(tmp_path, encoding):
    done = lines(tmp_path, "", PYTHONIOENCODING=encoding)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [rf"answer {i} \u2013 \udcff" for i in range(3)]
    assert done.stderr.splitlines() == [r"progress \u2013"] * 3 + ["from a library"]


@pytest.mark.parametrize("streams", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "<&-"])
def test_closed_streams(tmp_path, streams):
    done = lines(tmp_path, streams)
    assert done.returncode == 0
    assert (tmp_path / "done").read_bytes() == b""  # a file opened later does not get what goes to a stream
    assert len(done.stdout.splitlines()) == (0 if " >&-" in f" {streams}" else 3)
    assert ("from a library" in done.stderr) == ("2>&-" not in streams)


@pytest.mark.parametrize("flush", [True, False])
@pytest.mark.parametrize("pipe", ["| head -1", "2>&1 | head -1", "2> >(true)"])
def test_a_reader_that_leaves(tmp_path, pipe, flush):
    done = lines(tmp_path, pipe, count=20_000, flush=flush)
    assert done.returncode == 0
    assert (tmp_path / "done").exists()
    assert done.stderr.count("\n") in (0, 20_001)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device(tmp_path, score):
    for arguments in (score, "--help", "score --help", "--version"):
        done = shell(f"{STVG} {arguments} > /dev/full", tmp_path)
        assert done.returncode == 2
        (line,) = [line for line in done.stderr.splitlines() if "space" in line]
        assert line.startswith("stvg-jax") and line.endswith("standard output: No space left on device")
        assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    done = lines(tmp_path, "2> /dev/full", flush=False)  # progress alone is no reason to stop
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)


def test_a_command_without_streams_does_its_work(tmp_path, score):
    done = shell(f"{STVG} {score} <&- >&- 2>&-", tmp_path)
    assert done.returncode == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["results"]["declarative"]["gt_m_vIoU"] == 1.0
    assert shell(f"{STVG} --version >&-", tmp_path).returncode == 0
    assert shell(f"{STVG} score 2>&-", tmp_path).returncode == 2
    done = shell(f"{STVG} score --help | head -1", tmp_path)
    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 1, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["ground", "v.mp4", "the red \udcff square"],
        ["ground", "v.mp4", "a square", "--subject", "a \ud83d"],
        ["score", "p.json", "--dataset", "json", "--annotations", "t", "--split", "\udcff"],
        ["train", "--config", "shapes", "--workdir", "w", "--config.data.annotations=\udcff"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_arguments_that_are_no_text(arguments, capsys):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"stvg-jax {arguments[0]}: the argument '") and "is not UTF-8" in line


def test_arguments_that_may_be_paths_of_any_bytes(tmp_path, capsys):
    """Each is refused for another reason than its name: the next check."""
    folder = tmp_path / os.fsdecode(b"a\xff")
    if sys.platform != "linux":
        pytest.skip("a file name is text here")
    folder.mkdir()
    assert main(["ground", "v.mp4", "a square", "--checkpoint", str(folder)]) == 2
    assert capsys.readouterr().err.endswith(f"{tmp_path}/a\\udcff is not a checkpoint: it has no checkpoint.json\n")
    options = ["--config", "shapes", "--workdir", str(folder / "w"), f"--config.data.annotations={folder}"]
    assert main(["train", *options]) == 2
    assert "is not text" not in capsys.readouterr().err


def test_names_of_files_may_be_any_bytes(tmp_path, score):
    if sys.platform != "linux":
        pytest.skip("a file name is text here")
    (tmp_path / "p.json").rename(tmp_path / os.fsdecode(b"p\xff\n.json"))
    done = shell(f"{STVG} {score}".replace("p.json", r"$'p\xff\n.json'"), tmp_path)
    assert done.returncode == 0
    assert r"p\udcff\n.json" in done.stdout
    assert r"p\udcff\n.json" in (tmp_path / "out" / "table.md").read_text()
    done = shell(rf"{STVG} score $'\xff\e[31m\n' --dataset json --annotations $'no\xff\e[31m\nfile'", tmp_path)
    assert done.returncode == 2
    assert r"there is no file or folder no\udcff\x1b[31m" in done.stderr


def test_sentences_in_another_language_are_told_once(tmp_path, capsys):
    """Before the video is read, and without refusing them."""
    sentences = ["der Hund bellt laut", "the red square", "der Hund bellt laut"]
    assert main(["ground", str(tmp_path / "none.mp4"), *sentences, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "English" in line] == [
        "the sentence 'der Hund bellt laut' does not look like English; the models have learned no other language"
    ]
    assert "none.mp4" in told[-1]


def test_lines_of_messages_have_a_bounded_length(capsys):
    for arguments in (["ground", "v" * 100_000, "the man"], ["ground", "v.mp4", "the man", "--out", "o" * 100_000]):
        assert main(arguments) == 2
        assert all(len(line) < 2_100 for line in capsys.readouterr().err.splitlines())


def test_the_library_refuses_half_a_character():
    from stvg_jax.grounding.inference.grounder import Grounder
    from stvg_jax.models.names import default_checkpoint

    grounder = Grounder.load(default_checkpoint())
    for sentences, subjects in (
        (["the \ud83d man"], None),
        (["the man"], ["the \udcff"]),
        (["a man", "\udcff b"], None),
    ):
        with pytest.raises(InputError, match="holds half of a character"):
            grounder.ask(sentences, subjects)
    (question,) = grounder.ask(["the red \U0001f600 square"])
    assert question.subject.startswith("the red")


def test_programs_that_a_command_starts_have_its_streams(tmp_path):
    child = [sys.executable, "-c", "import sys; sys.exit(None in (sys.stdin, sys.stdout, sys.stderr))"]
    (tmp_path / "start.py").write_text(
        f"import subprocess, sys; from stvg_jax.console import open_streams; open_streams()\n"
        f"sys.exit(subprocess.run({child!r}).returncode)"
    )
    assert shell(f"{shlex.quote(sys.executable)} start.py <&- >&- 2>&-", tmp_path).returncode == 0
