"""Files that refer to other files or to the network: refused, and nothing that they refer to is opened."""

import os
import socket

import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.video import open_video
from tests.videos import write_video

_PERIOD = '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="9" codecs="avc1.4d401e">'
CONTENTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{url}\n#EXT-X-ENDLIST\n",
    "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{url}\n#EXT-X-ENDLIST\n",
    "key.m3u8": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:3,\npart.ts\n#EXT-X-ENDLIST\n',
    "list.ffconcat": "ffconcat version 1.0\nfile {url}\n",
    "concat.mp4": "ffconcat version 1.0\nfile {url}\n",
    "list.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    + _PERIOD
    + "<BaseURL>{url}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "call.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 33\n",
    "part.idx": "# VobSub index file, v7\nid: en, index: 0\ntimestamp: 00:00:01:000, filepos: 0",
    "part%d.ts": "a pattern of numbered pictures",
    "part%d.png": "a pattern of numbered pictures",
    "redirect.asx": '<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
    "reference.mov": "[Reference]\nRef1={url}\n",
}


@pytest.fixture
def server():
    """A socket that notices whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.mark.parametrize("place", ["file", "absolute", "network"])
@pytest.mark.parametrize("name", CONTENTS)
def test_references_are_not_followed(tmp_path, server, name, place):
    parts = [write_video(tmp_path / "part.ts", 3), tmp_path / "part.sub", tmp_path / "part1.ts", tmp_path / "part1.png"]
    content = parts[0].read_bytes()
    for part in parts:
        part.write_bytes(content)
        # Reading a file changes the time of the last access where that is older than the change, on most systems.
        os.utime(part, (1, 2))
    port = server.getsockname()[1]
    url = {"file": "part.ts", "absolute": str(parts[0]), "network": f"http://127.0.0.1:{port}/part.ts"}[place]
    path = tmp_path / name
    path.write_text(CONTENTS[name].format(url=url, port=port))
    with pytest.raises(InputError) as refused:
        open_video(path)
    assert "\n" not in str(refused.value)
    assert [part.stat().st_atime for part in parts] == [1] * len(parts)
    with pytest.raises(BlockingIOError):
        server.accept()


@pytest.mark.parametrize("name", ["http:/127.0.0.1/a.mp4", "concat:a.mp4|b.mp4", "subfile,,start,0,end,9,,:a.mp4", "-"])
def test_a_name_is_a_path_whatever_it_looks_like(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        open_video(name)
    target = tmp_path / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(write_video(tmp_path / "video.mp4", 3).read_bytes())
    with open_video(name) as reader:
        assert reader.info.frame_count == 3
