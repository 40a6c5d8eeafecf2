"""Videos of the network, from a server on the loopback address."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.core.progress import Silent
from stvg_jax.data_pipeline.video import open_video
from stvg_jax.data_pipeline.video.addresses import check_addresses, is_address
from stvg_jax.data_pipeline.video.network import fetched
from tests.loopback import Files, serving
from tests.videos import write_video


@pytest.fixture
def server(tmp_path, monkeypatch):
    """(folder that is served, its address)."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    with serving(folder) as address:
        yield folder, address


def test_a_file_arrives_byte_for_byte(server):
    folder, address = server
    video = write_video(folder / "a clip.mp4")
    with fetched(f"{address}/a%20clip.mp4?token=1", Silent()) as file:
        assert file.name == "a_clip.mp4"
        assert file.read_bytes() == video.read_bytes()
    assert not file.exists()


def test_a_playlist_is_copied_and_a_live_one_for_some_seconds(server):
    folder, address = server
    parts = {"hls_time": "1", "hls_list_size": "0"}
    playlist = write_video(folder / "list.m3u8", 30, fps=10, gop=10, b_frames=0, container_options=parts)
    with fetched(f"{address}/list.m3u8", Silent()) as file, open_video(file) as reader:
        assert reader.info.frame_count == 30
        frames = np.stack(list(reader.read(list(range(30)))))
    with fetched(f"{address}/list.m3u8", Silent(), record_sec=1.5) as file, open_video(file) as reader:
        assert reader.info.frame_count == 15
        np.testing.assert_array_equal(np.stack(list(reader.read(list(range(15))))), frames[:15])
    playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST\n", ""))
    live = pytest.raises(InputError, match="is a live stream; say how much of it to take, as by --record 20")
    with live, fetched(f"{address}/list.m3u8", Silent()):
        pass


def test_what_cannot_be_fetched_is_told(server, tmp_path, monkeypatch):
    folder, address = server
    video = write_video(folder / "clip.mp4")

    def refused(path, **options):
        with pytest.raises(InputError) as caught, fetched(address + path, Silent(), **options):
            pass
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert refused("/none.mp4") == f"'{address}/none.mp4' cannot be fetched: File not found"
    assert "is a file, not a stream; choose a part of it by --start" in refused("/clip.mp4", record_sec=2.0)
    monkeypatch.setattr(Files, "cut", 100)
    size = video.stat().st_size
    assert f"broke off after {size - 100:,} of {size:,} bytes; start again" in refused("/clip.mp4")
    secret = tmp_path / "secret.ts"
    secret.write_bytes(b"x" * 1000)
    (folder / "bad.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n")
    monkeypatch.setattr(Files, "cut", 0)
    assert "cannot be read" in refused("/bad.m3u8")


def test_the_network_is_used_when_it_is_allowed(tmp_path):
    assert is_address("HTTPS://a.b/c.mp4") and is_address("rtsp://camera/1")
    assert not is_address("file:///etc/passwd") and not is_address(tmp_path)
    check_addresses("https://a.b/c.mp4", [], allowed=True, record_sec=None)
    for (video, others, allowed, seconds), message in (
        (("https://a.b/c.mp4", [], False, None), "--allow-network lets this command fetch it"),
        (("https://a.b/c.mp4", [tmp_path], True, None), "leave out --video"),
        (("rtsp://camera/1", [], True, -1.0), "it must be a positive number of seconds"),
        ((tmp_path, [], True, 5.0), "--record is for the address of a stream"),
    ):
        with pytest.raises(InputError, match=message):
            check_addresses(video, others, allowed=allowed, record_sec=seconds)
