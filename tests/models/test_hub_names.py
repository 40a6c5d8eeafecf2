"""Released checkpoints by their names, fetched from a stand-in hub."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import shutil
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest

from stvg_jax.cli import main
from stvg_jax.convert import convert_state_dict
from stvg_jax.core import checkpoint
from stvg_jax.core.errors import InputError
from stvg_jax.models import catalogue
from stvg_jax.models.loading import load_model
from stvg_jax.models.names import default_checkpoint, default_retrieval_checkpoint, find_checkpoint
from tests.models import standin
from tests.models.conftest import NAME, note
from tests.videos import write_video

FILE = "TASTVG_HCSTVG.pth"


def refused(name=NAME):
    with pytest.raises(InputError) as caught:
        find_checkpoint(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def left(tmp_path):
    """Names in the cache."""
    return sorted(path.name for path in (tmp_path / "cache" / "checkpoints").iterdir())


def test_a_released_checkpoint_by_its_name(hub, released, tmp_path, monkeypatch, capsys):
    folder = find_checkpoint(NAME)
    assert folder == tmp_path / "cache" / "checkpoints" / NAME
    digest = hashlib.sha256(released.file.read_bytes()).hexdigest()
    told = capsys.readouterr().err
    assert f"Gstar666/TASTVG/{FILE}: SHA-256 {digest}, revision {'a' * 40}, noted in {folder}.source.json" in told
    assert f"fetching {FILE}" in told
    assert {key: note(tmp_path)[key] for key in ("source", "sha256", "revision")} == {
        "source": f"Gstar666/TASTVG/{FILE}",
        "sha256": digest,
        "revision": "a" * 40,
    }
    expected = convert_state_dict(released.tensors, config=released.config)
    found = checkpoint.read(folder, checkpoint.describe(folder))
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[path], value) for path, value in expected.items())
    report = json.loads((folder / "conversion.json").read_text())
    assert (report["sha256"], report["verified"]) == (digest, len(expected))
    # The file of gigabytes is gone, and so is the lock's holder.
    assert left(tmp_path) == [NAME, f"{NAME}.lock", f"{NAME}.source.json"]

    # Again: no connection, no checksum.
    hub.requests.clear()
    monkeypatch.setattr("stvg_jax.convert.readers.sha256", lambda path: pytest.fail("read again"))
    assert load_model(find_checkpoint(NAME)).description.model == "ta_stvg"
    assert hub.requests == []
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_a_sentence_is_grounded_by_a_name(hub, tmp_path, capsys):
    write_video(tmp_path / "video.mp4", 12)
    arguments = ["ground", str(tmp_path / "video.mp4"), "the man leaves", "--checkpoint", NAME, "--export", "csv"]
    for out in ("first", "second"):
        assert main([*arguments, "--out", str(tmp_path / out), "--cut", "--format", "gif"]) == 0
        names = {"tube.json", "tube.png", "tube.gif", "cut.gif", "tube.csv"}
        assert {path.name for path in (tmp_path / out).iterdir()} == names
        assert ("fetching" in capsys.readouterr().err) == (out == "first")
        if out == "first":
            hub.requests.clear()
    assert hub.requests == []
    assert (tmp_path / "first" / "tube.json").read_text() == (tmp_path / "second" / "tube.json").read_text()


def interrupt(monkeypatch, repository, after=60_000):
    """Breaks a fetch off after some bytes, as Ctrl-C would."""
    repository.stops_after = after

    def stop(seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("huggingface_hub.file_download.time.sleep", stop)
        with pytest.raises(KeyboardInterrupt):
            find_checkpoint(NAME)


def test_an_interrupted_fetch_is_continued(hub, quick, repository, tmp_path, monkeypatch):
    interrupt(monkeypatch, repository)
    assert left(tmp_path) == [f"{NAME}.fetching", f"{NAME}.lock"]
    (partial,) = (tmp_path / "cache" / "checkpoints" / f"{NAME}.fetching").rglob("*.partial")
    assert partial.stat().st_size == 60_000
    assert checkpoint.is_checkpoint(find_checkpoint(NAME))
    assert hub.asked("GET", f"/cdn/Gstar666/TASTVG/0/{FILE}") == [0, 60_000]
    assert left(tmp_path) == [NAME, f"{NAME}.lock", f"{NAME}.source.json"]


def test_what_a_kill_has_left_goes(hub, quick, tmp_path):
    unfinished = tmp_path / "cache" / "checkpoints" / f".{NAME}.x1y2"
    unfinished.mkdir(parents=True)
    (unfinished / "parameters").touch()
    find_checkpoint(NAME)
    assert left(tmp_path) == [NAME, f"{NAME}.lock", f"{NAME}.source.json"]


def test_what_is_left_of_another_version_is_not_continued(hub, quick, repository, monkeypatch):
    interrupt(monkeypatch, repository)
    repository.files[FILE] += b"\0"  # behind the archive, where no reader looks
    assert checkpoint.is_checkpoint(find_checkpoint(NAME))
    assert hub.asked("GET", f"/cdn/Gstar666/TASTVG/0/{FILE}") == [0, 0]


def test_a_connection_that_breaks_is_taken_up_again(hub, quick, repository, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    repository.stops_after = 60_000
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    assert checkpoint.is_checkpoint(find_checkpoint(NAME))
    assert hub.asked("GET", f"/cdn/Gstar666/TASTVG/0/{FILE}") == [0, 60_000]
    # The user's token goes to the hub, and not along to where the hub leads.
    tokens = {path.partition("/")[2].partition("/")[0]: token for path, token in hub.tokens if path.endswith(FILE)}
    assert tokens == {"Gstar666": "hf_secret", "cdn": ""}


def test_a_file_that_changed_is_refused(hub, quick, repository, tmp_path):
    folder = find_checkpoint(NAME)
    shutil.rmtree(folder)
    old = note(tmp_path)["sha256"]
    repository.files[FILE] += b"\0"
    hub.requests.clear()
    message = refused()
    new = hashlib.sha256(repository.files[FILE]).hexdigest()
    date = note(tmp_path)["noted"][:10]
    assert message == (
        f"Gstar666/TASTVG/{FILE} has changed: its SHA-256 is {new}, and was {old}, revision {'a' * 40}, on {date}; if "
        f"you trust the new one, delete {folder}.source.json and start again"
    )
    # It was not fetched to know that.
    assert hub.asked("GET", FILE) == []
    Path(f"{folder}.source.json").unlink()
    find_checkpoint(NAME)
    assert note(tmp_path)["sha256"] == new


def test_a_known_hash_must_be_that_of_the_file(hub, quick, repository, tmp_path, monkeypatch):
    record = dataclasses.replace(catalogue.CATALOGUE[NAME], sha256="0" * 64, revision="a" * 40)
    monkeypatch.setitem(catalogue.CATALOGUE, NAME, record)
    digest = hashlib.sha256(repository.files[FILE]).hexdigest()
    assert f"its SHA-256 is {digest}, and the catalogue of this library has {'0' * 64}" in refused()
    monkeypatch.setitem(catalogue.CATALOGUE, NAME, dataclasses.replace(record, sha256=digest))
    find_checkpoint(NAME)
    # What the catalogue knows needs no note.
    assert left(tmp_path) == [NAME, f"{NAME}.lock"]


def test_a_file_that_arrives_damaged(hub, quick, repository, tmp_path):
    repository.damaged = True
    message = refused()
    assert message.startswith(f"Gstar666/TASTVG/{FILE} arrived damaged: its SHA-256 is ")
    assert message.endswith(f"and the hub has {hashlib.sha256(repository.files[FILE]).hexdigest()}; start again")
    assert left(tmp_path) == [f"{NAME}.lock"]
    repository.damaged = False
    assert checkpoint.is_checkpoint(find_checkpoint(NAME))


def test_a_file_that_is_cut(hub, quick, repository, tmp_path):
    repository.cut = 1_000
    size = len(repository.files[FILE])
    told = f"{FILE} of Gstar666/TASTVG broke off after {size - 1_000:,} of {size:,} bytes (Consistency check failed"
    message = refused()
    assert message.startswith(told)
    assert message.endswith("); start again, which continues there")
    # There is nothing to continue with, so it begins anew.
    assert refused().startswith(f"{FILE} of Gstar666/TASTVG could not be fetched from http://")
    assert refused().startswith(told)
    repository.cut = 0
    assert checkpoint.is_checkpoint(find_checkpoint(NAME))


def test_no_room(hub, quick, repository, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda path: usage)
        message = refused()
    where = tmp_path / "cache" / "checkpoints"
    assert message == (
        f"{NAME} needs 5 MB in {where}, which has 1 MB left; make room, or set STVG_JAX_CACHE to a folder on another "
        "disk"
    )
    assert hub.asked("GET", FILE) == []


def test_a_disk_that_fills(hub, quick, tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("stvg_jax.core.hub._Counted.write", full)
        message = refused()
    assert "is full; make room and start again, which continues after 0 bytes, or set STVG_JAX_CACHE" in message
    assert not (tmp_path / "cache" / "checkpoints" / NAME).exists()
    assert checkpoint.is_checkpoint(find_checkpoint(NAME))


def test_a_conversion_that_fails_leaves_the_file_for_the_next_start(hub, quick, tmp_path, monkeypatch):
    def fail(source, out, **options):
        raise InputError("no tokenizer")

    with monkeypatch.context() as patched:
        patched.setattr("stvg_jax.convert.convert_file.convert_file", fail)
        assert refused() == "no tokenizer"
    assert left(tmp_path) == [f"{NAME}.fetching", f"{NAME}.lock"]
    find_checkpoint(NAME)
    assert len(hub.asked("GET", f"/cdn/Gstar666/TASTVG/0/{FILE}")) == 1


BY_HAND = f"; or get {FILE} elsewhere, and then: stvg-jax checkpoints {NAME} --file {FILE}"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "GatedRepo",
            "Gstar666/TASTVG is gated: accept its terms at https://huggingface.co/Gstar666/TASTVG and log in",
        ),
        ("RepoNotFound", "the Hugging Face hub has no repository Gstar666/TASTVG; one that is private needs `hf auth"),
        ("EntryNotFound", f"Gstar666/TASTVG on the Hugging Face hub lacks {FILE}"),
        ("", "Gstar666/TASTVG could not be fetched from the Hugging Face hub: "),
    ],
)
def test_what_the_hub_refuses(code, message, hub, quick, repository, tmp_path):
    repository.refuses = code or "Other"
    found = refused()
    assert found.startswith(f"{NAME}: {message}")
    assert found.endswith(BY_HAND)
    assert left(tmp_path) == [f"{NAME}.lock"]


def test_without_a_network(hub, quick, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        found = refused()
        assert found.startswith(f"{NAME}: Gstar666/TASTVG is not on this machine, and HF_HUB_OFFLINE forbids to fetch")
        assert found.endswith(BY_HAND)
    assert hub.requests == []
    folder = find_checkpoint(NAME)
    # What is here needs none.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert find_checkpoint(NAME) == folder


def test_a_hub_that_cannot_be_reached(hub, monkeypatch):
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    assert refused().startswith(f"{NAME}: the hub at http://127.0.0.1:9 cannot be reached: ")


def test_a_file_in_the_cache_of_the_hub_is_not_fetched_again(hub, quick, tmp_path, monkeypatch):
    assert huggingface_hub.hf_hub_download("Gstar666/TASTVG", FILE, cache_dir=tmp_path / "hub")
    hub.requests.clear()
    find_checkpoint(NAME)
    assert hub.asked("HEAD", FILE) == hub.asked("GET", FILE) == []
    assert note(tmp_path)["revision"] == "a" * 40
    assert list((tmp_path / "hub").rglob(FILE))


def test_a_file_that_was_downloaded_by_hand(hub, quick, released, tmp_path, capsys):
    given = shutil.copy(released.file, tmp_path / "downloaded.pth")
    assert main(["checkpoints", NAME, "--file", str(given)]) == 0
    assert f"  here         {tmp_path / 'cache' / 'checkpoints' / NAME}" in capsys.readouterr().out
    assert hub.asked("GET", FILE) == []
    assert Path(given).exists()
    shutil.rmtree(find_checkpoint(NAME))
    Path(given).write_bytes(b"another file")
    assert main(["checkpoints", NAME, "--file", str(given)]) == 2
    assert f"Gstar666/TASTVG/{FILE} has changed: its SHA-256 is " in capsys.readouterr().err
    assert main(["checkpoints", NAME, "--file", str(tmp_path / "none.pth")]) == 2
    assert "none.pth" in capsys.readouterr().err


def test_a_wrong_file_is_not_what_others_are_compared_with(hub, released, tmp_path, capsys):
    (tmp_path / "wrong.pth").write_bytes(b"no checkpoint")
    assert main(["checkpoints", NAME, "--file", str(tmp_path / "wrong.pth")]) == 2
    assert "wrong.pth" in capsys.readouterr().err
    assert left(tmp_path) == [f"{NAME}.lock"]


def test_a_file_from_another_server(hub, quick, repository, released, monkeypatch, tmp_path):
    """As for the files that lie on Zenodo and GitHub; they get no token of the hub."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    url = f"{hub.address}/files/Gstar666/TASTVG/0/{FILE}"
    record = dataclasses.replace(catalogue.CATALOGUE[NAME], repository=None, url=url)
    monkeypatch.setitem(catalogue.CATALOGUE, NAME, record)
    interrupt(monkeypatch, repository)
    assert checkpoint.is_checkpoint(find_checkpoint(NAME))
    assert hub.asked("GET", FILE) == [0, 60_000]
    assert note(tmp_path)["source"] == url
    assert [token for path, token in hub.tokens if path.endswith(FILE)] == ["", ""]


def test_a_file_and_that_of_its_backbone(hub, released, converted, monkeypatch, tmp_path, capsys):
    """As for STGT, whose frozen backbone is fetched from another place; both are noted."""
    backbones = []

    def convert(source, out, *, backbone, **options):
        backbones.append(backbone.read_bytes())
        shutil.copytree(converted, out)

    monkeypatch.setattr("stvg_jax.convert.convert_file.convert_file", convert)
    hub.repositories["nobody/vit"] = standin.Repository({"vit.pth": b"a backbone"})
    vit = catalogue.Record("vit", "ViT", kind="start", file="vit.pth", url=f"{hub.address}/files/nobody/vit/0/vit.pth")
    monkeypatch.setitem(catalogue.CATALOGUE, "vit", vit)
    record = dataclasses.replace(catalogue.CATALOGUE[NAME], backbone="vit")
    monkeypatch.setitem(catalogue.CATALOGUE, NAME, record)
    find_checkpoint(NAME)
    assert backbones == [b"a backbone"]
    noted = json.loads((tmp_path / "cache" / "checkpoints" / "vit.source.json").read_text())
    assert noted["sha256"] == hashlib.sha256(b"a backbone").hexdigest()
    assert not any(name.endswith(".fetching") for name in left(tmp_path))

    shutil.rmtree(find_checkpoint(NAME))
    (tmp_path / "other.pth").write_bytes(b"another")
    given = ["checkpoints", NAME, "--file", str(released.file), "--backbone", str(tmp_path / "other.pth")]
    assert main(given) == 2
    assert "vit.pth has changed: its SHA-256 is " in capsys.readouterr().err
    (tmp_path / "other.pth").write_bytes(b"a backbone")
    assert main(given) == 0
    assert backbones == [b"a backbone"] * 2


def test_a_backbone_is_for_checkpoints_that_lack_one(hub, quick, tmp_path, capsys):
    assert main(["checkpoints", NAME, "--fetch", "--backbone", str(tmp_path / "vit.pth")]) == 2
    assert f"{NAME} lacks no backbone; leave out --backbone" in capsys.readouterr().err


def test_a_file_without_an_address():
    message = refused("stcat_vidstg")
    assert message == (
        "stcat_vidstg: its authors' file has no fixed address; download it from "
        "https://disk.pku.edu.cn/link/AA1337478438D4457DAD8FEF817234A04E, and then: stvg-jax checkpoints stcat_vidstg "
        "--file vidstg_res448.pth"
    )


def test_a_note_that_is_damaged(hub, quick, tmp_path):
    path = tmp_path / "cache" / "checkpoints" / f"{NAME}.source.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"source": "x", "sha256": "0", "revision": "", "noted": ""}))
    assert refused() == f"{path} is damaged (its sha256 is none); delete it to trust the file anew"


def test_without_a_home_there_is_no_place(monkeypatch):
    for name in ("STVG_JAX_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, "")
    assert refused() == "fetched checkpoints have no place: there is no home folder; set STVG_JAX_CACHE to a path"


def test_a_cache_that_cannot_be_written(hub, quick, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("STVG_JAX_CACHE", str(tmp_path / "file" / "cache"))
    assert refused().startswith(
        f"cannot write {tmp_path / 'file' / 'cache' / 'checkpoints' / NAME}.lock: Not a directory"
    )


def test_names_that_need_no_hub(tmp_path, monkeypatch, released):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint(None) == find_checkpoint("builtin") == find_checkpoint("shapes") == default_checkpoint()
    assert find_checkpoint("./builtin") == Path("builtin")
    assert find_checkpoint("shapes_retrieval") == default_retrieval_checkpoint()
    # A folder comes before a name, and below a folder that exists there is no repository.
    for name in (NAME, "shapes", "runs/mine"):
        Path(name).mkdir(parents=True)
        assert find_checkpoint(name) == Path(name)
    assert find_checkpoint("runs/other") == Path("runs/other")
    assert find_checkpoint(Path("cg_stvg_vidstg")) == Path("cg_stvg_vidstg")
    assert refused("cg_stvg_hcstvg") == (
        "checkpoint 'cg_stvg_hcstvg' is neither a folder nor a name; did you mean cg_stvg_hcstvg2?"
    )
    assert refused("mdetr").startswith("mdetr (MDETR) is a start for a training, not a model")
    assert "HF_HUB_OFFLINE forbids" in refused("nobody/nothing")
    assert refused("hf://nothing") == (
        "'hf://nothing' names no repository; write hf://owner/name or hf://owner/name@revision"
    )
