"""Files whose times stand in coding order, are missing or repeated, start again, or are of unusual length."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest

from stvg_jax.core.errors import InputError
from stvg_jax.data_pipeline.video import open_video
from stvg_jax.data_pipeline.video.packets import scan_packets
from stvg_jax.data_pipeline.video.table import table_from_packets
from tests.data_pipeline.video.kinds import OPEN_GOPS, every_number
from tests.data_pipeline.video.making import copy, in_coding_order
from tests.videos import number_in, numbers_in, write_video

CODECS = {
    "h264": {"options": {"bf": "3"}},
    "h264-open": {"options": OPEN_GOPS},
    # Its default are open groups of pictures.
    "hevc": {"codec": "libx265", "options": {"x265-params": "log-level=0:keyint=10:bframes=3"}},
}
# The packets whose times stand in coding order, and the delay of these: all, all but the first group of pictures, the
# first group alone, the second one alone with the keyframe in its place, and the middle.
PARTS = {
    "all": (range(30), 0),
    "late": (range(10, 30), 0),
    "early": (range(10), 0),
    "inside": (range(10, 20), 2),
    "across": (range(12, 25), 2),
}
DISORDERED = [
    *itertools.product(CODECS, ("mp4", "mkv", "flv", "ts"), ("all",)),
    *itertools.product(CODECS, ("mp4", "ts"), ("late", "early", "inside", "across")),
]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    return {name: write_video(folder / f"{name}.mp4", **options) for name, options in CODECS.items()}


@pytest.fixture(scope="module")
def disordered(sources, tmp_path_factory):
    folder = tmp_path_factory.mktemp("disordered")
    return {
        (codec, suffix, part): in_coding_order(sources[codec], folder / f"{codec}-{part}.{suffix}", *PARTS[part])
        for codec, suffix, part in DISORDERED
    }


@pytest.mark.parametrize("kind", DISORDERED, ids="-".join)
def test_times_in_coding_order_show_every_frame_in_display_order(disordered, kind):
    with open_video(disordered[kind]) as reader:
        assert reader.info.frame_count == 30
        assert numbers_in(reader.read(range(30))) == list(range(30))
        assert np.all(np.diff(reader.info.timestamps_sec) > 0)
        assert reader.info.fps == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("kind", DISORDERED, ids="-".join)
def test_times_in_coding_order_give_no_other_picture_to_a_single_read(disordered, kind):
    ids = np.random.default_rng(0).permutation(30)[:12]
    with open_video(disordered[kind]) as reader:
        assert [number_in(reader.read([i])[0]) for i in ids] == ids.tolist()
    for i in ids[:3]:
        with open_video(disordered[kind]) as reader:
            assert numbers_in(reader.read([i])) == [i]


@pytest.mark.parametrize("part", PARTS)
def test_decord_is_refused_for_times_in_coding_order(disordered, part):
    pytest.importorskip("decord")
    with pytest.raises(InputError, match="no times in display order.*use decoder 'pyav'"):
        open_video(disordered["h264", "mp4", part], decoder="decord")


def test_a_keyframe_that_such_times_may_misplace_is_not_sought(disordered):
    found = 0
    for kind in DISORDERED:
        packets = scan_packets(disordered[kind])
        table = table_from_packets(packets)
        found += table is not None and np.count_nonzero(table.key) < np.count_nonzero(packets.key)
    assert found > 2


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_keyframes_of_open_groups_are_told_from_others(sources, tmp_path, codec, suffix):
    packets = scan_packets(copy(sources[codec], tmp_path / f"a.{suffix}"))
    assert packets.open_key.tolist() == [i > 0 and codec != "h264" and bool(key) for i, key in enumerate(packets.key)]


@pytest.mark.parametrize(("codec", "keys"), [("h264", [0, 10, 20]), ("h264-open", [0, 20]), ("hevc", [0, 10, 20])])
def test_keyframes_of_ordinary_files_are_sought(sources, codec, keys):
    table = table_from_packets(scan_packets(sources[codec]))
    # No picture shown before it follows the keyframe 10 of the open one, so that it is left out to be safe.
    assert np.flatnonzero(table.key).tolist() == keys


@pytest.mark.parametrize("suffix", ["h264", "hevc"])
def test_streams_without_a_container_are_counted(tmp_path, sources, suffix):
    annexb = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}[suffix]
    path = copy(sources[suffix], tmp_path / f"a.{suffix}", bitstream_filter=annexb)
    with open_video(path) as reader:
        assert numbers_in(reader.read([17, 4, 29, 0])) == [17, 4, 29, 0]
    assert every_number(path) == list(range(30))


def shifted(shift):
    def change(number, packet):
        packet.pts = shift(number, packet)

    return change


@pytest.mark.parametrize(
    "shift",
    [
        lambda number, packet: max(packet.dts, packet.pts // 2048 * 2048),
        lambda number, packet: packet.pts + number * 7919 % 13 * 200,
        lambda number, packet: packet.pts + 90_000_000,
    ],
    ids=["repeated", "jumbled", "late"],
)
def test_frames_are_shown_in_order_whatever_their_times(tmp_path, sources, shift):
    path = copy(sources["h264"], tmp_path / "a.mkv", shifted(shift))
    assert every_number(path) == list(range(30))
    with open_video(path) as reader:
        assert numbers_in(reader.read([21, 3, 9])) == [3 * 7, 3, 9]
        assert reader.info.timestamps_sec[0] == 0
        assert np.all(np.diff(reader.info.timestamps_sec) > 0)


def test_times_go_on_where_a_joined_file_starts_again(tmp_path):
    parts = [write_video(tmp_path / f"{count}.ts", count=count) for count in (12, 20)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert every_number(path) == [*range(12), *range(20)]
    with open_video(path) as reader:
        np.testing.assert_allclose(reader.info.timestamps_sec, np.arange(32) / 10, atol=0.02)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("step", [Fraction(1, 10**6), Fraction(1, 1000), Fraction(3600), Fraction(86400)], ids=str)
def test_frames_last_from_microseconds_to_days(tmp_path, sources, suffix, step):
    path = tmp_path / f"a.{suffix}"
    unit = min(step, Fraction(1, 1000))
    options = {"video_track_timescale": str(unit.denominator), "movie_timescale": "1000000"}
    with av.open(str(sources["h264"])) as old, av.open(str(path), "w", options=options) as new:
        track = old.streams.video[0]
        stream = new.add_stream_from_template(track)
        for packet in old.demux(track):
            if packet.size:
                frames = 10 * track.time_base * step / unit
                packet.pts, packet.dts = round(packet.pts * frames), round(packet.dts * frames)
                packet.time_base, packet.duration, packet.stream = unit, int(step / unit), stream
                new.mux(packet)
    assert every_number(path) == list(range(30))
    with open_video(path) as reader:
        # Matroska counts in milliseconds, so that shorter times are lost and ffmpeg's guess of the rate is taken.
        if suffix == "mp4" or step >= Fraction(1, 1000):
            np.testing.assert_allclose(reader.info.timestamps_sec, np.arange(30) * float(step), rtol=1e-9)
            assert reader.info.fps == pytest.approx(float(1 / step))
        assert reader.info.fps > 0
