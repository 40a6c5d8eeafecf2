"""Videos of several containers and codecs."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz import mutations
from tests.fuzz.engine import Target
from tests.fuzz.worker import Place

_KINDS = {
    "a.mp4": {},
    "faststart.mp4": {"codec": "mpeg4", "container_options": {"movflags": "faststart"}},
    "a.mkv": {},
    "a.avi": {"codec": "mpeg4", "b_frames": 0},
    "a.ts": {"codec": "mpeg2video"},
    "a.webm": {"codec": "libvpx", "b_frames": 0},
    "a.flv": {"codec": "flv1", "b_frames": 0},
}
_ATOMS = (
    b"ftyp moov mvhd trak tkhd edts elst mdia mdhd hdlr minf stbl stsd avc1 avcC stts ctts stss stsc stsz stco mdat"
)
_TOKENS = (
    *(_ATOMS.split()),
    *(
        b"\x1a\x45\xdf\xa3",
        b"\x18\x53\x80\x67",
        b"\x1f\x43\xb6\x75",
        b"\xa3",
        b"\x16\x54\xae\x6b",
        b"\x01" + b"\xff" * 7,
    ),
    *(b"RIFF", b"AVI LIST", b"hdrl", b"movi", b"idx1", b"strh", b"00dc", b"GIF89a", b"\x21\xf9\x04", b"\x2c", b"\x3b"),
    *(
        b"\0\0\1",
        b"\0\0\0\1\x67",
        b"\0\0\0\1\x68",
        b"\x47",
        b"FLV\x01",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"\0\0\0\1",
    ),
    *(b"#EXTM3U\n", b"ffconcat version 1.0\nfile /etc/hostname\n", b"v=0\n", b"http://127.0.0.1:9/"),
)


def _videos(folder: Path) -> list[bytes]:
    from tests.videos import write_video

    files = [write_video(folder / name, 8, (48, 32), gop=4, **options) for name, options in _KINDS.items()]
    gif = _gif(folder / "a.gif")
    # A picture that would fill the memory: ffmpeg makes it as large as the header says.
    huge = gif[:6] + (20_000).to_bytes(2, "little") * 2 + gif[10:]
    return [*(file.read_bytes() for file in files), gif, huge]


def _gif(path: Path) -> bytes:
    from PIL import Image

    from tests.videos import numbered_picture

    pictures = [Image.fromarray(numbered_picture(n, 48, 32)) for n in range(4)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100)
    return path.read_bytes()


def _read_video(data: bytes, place: Place) -> object:
    from stvg_jax.core.errors import InputError
    from stvg_jax.data_pipeline.video import open_video

    path = place.file("video", data)
    try:
        with open_video(path, allow_partial=True) as reader:
            good = reader.info.frame_count
            reader.read([0, good - 1])
    except InputError:
        good = None
    with open_video(path) as reader:
        count = reader.info.frame_count
        for frame_id in (count - 1, 0, count // 2):
            reader.read([frame_id])
        seen = sum(1 for _ in reader.iter_frames(0, min(count, 40)))
    return good, count, seen


TARGETS = (Target("video", _videos, _read_video, (mutations.damage_bytes,), _TOKENS),)
