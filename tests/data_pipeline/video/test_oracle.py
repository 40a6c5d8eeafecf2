"""Every frame against the ffmpeg program, of files that it makes itself in many containers, codecs and kinds of damage.

The program of the package imageio-ffmpeg decides, and one that is installed must agree, but for cropping: versions
before 8 do not apply it as the standards of the containers and codecs say.
"""

import random
import re
import shutil
import subprocess

import numpy as np
import pytest

from stvg_jax.data_pipeline.video import open_video
from tests.data_pipeline.video.making import ONE, add_clean_aperture, add_pixel_crop, copy, set_matrix

pytestmark = pytest.mark.slow

X264, X265 = "-c:v libx264 -bf 3 -g 10", "-c:v libx265 -x265-params log-level=0:keyint=10:bframes=3"
INTERLACED = "-flags +ildct+ilme"
# By name: the options that encode a test pattern.
ENCODED = {
    "h264.mp4": X264,
    "h264.mkv": X264,
    "h264.mov": X264,
    "h264.flv": X264,
    "h264.ts": X264,
    "h264.avi": X264,
    "h264.h264": X264,
    "open.mp4": f"{X264} -x264-params open-gop=1",
    "open.ts": f"{X264} -x264-params open-gop=1",
    "fragments.mp4": f"{X264} -movflags frag_keyframe+empty_moov",
    "late.mp4": f"{X264} -output_ts_offset 3600",
    "hevc.mp4": X265,
    "hevc.mkv": X265,
    "hevc.ts": X265,
    "hevc.hevc": X265,
    "mpeg4.avi": "-c:v mpeg4 -bf 2 -g 10",
    "mpeg4.mp4": "-c:v mpeg4 -bf 2 -g 10",
    "mpeg2.mpg": "-c:v mpeg2video -bf 2 -g 10 -r 25",
    "mpeg2.mkv": "-c:v mpeg2video -bf 2 -g 10",
    "vp8.webm": "-c:v libvpx -auto-alt-ref 1 -lag-in-frames 16",
    "vp9.webm": "-c:v libvpx-vp9",
    "av1.mp4": "-c:v libaom-av1 -cpu-used 8",
    "theora.ogv": "-c:v libtheora",
    "windows.wmv": "-c:v wmv2",
    "motion.avi": "-c:v mjpeg",
    "ffv1.mkv": "-c:v ffv1",
    "prores.mov": "-c:v prores_ks",
    "animation.gif": "",
    "animation.apng": "-f apng -plays 0",
    "interlaced.mp4": f"{X264} {INTERLACED} -x264-params interlaced=1:tff=1",
    "interlaced.mpg": f"-c:v mpeg2video -r 25 {INTERLACED}",
    "10-bit.mp4": f"{X264} -pix_fmt yuv420p10le",
    "10-bit-422.mp4": f"{X264} -pix_fmt yuv422p10le",
    "422.mp4": f"{X264} -pix_fmt yuv422p",
    "444.mp4": f"{X264} -pix_fmt yuv444p",
    "full-range.mp4": f"{X264} -pix_fmt yuvj420p",
    "grey.mp4": f"{X264} -pix_fmt gray",
    "rgb.mp4": "-c:v libx264rgb",
    "alpha.webm": "-c:v libvpx-vp9 -pix_fmt yuva420p",
    "bt709.mp4": f"{X264} -colorspace bt709",
    "bt709-full.mp4": f"{X264} -colorspace bt709 -color_range pc",
    "bt2020.mp4": f"{X264} -colorspace bt2020nc",
    "bt601.mp4": f"{X264} -colorspace smpte170m",
}
# By name: the file that is copied, and the options.
CODING_ORDER, HALF = "-bsf:v setts=pts=DTS", r"-bsf:v setts=pts=if(lt(N\,15)\,PTS\,DTS)"
TURNS = {f"turn-{turn}": f"-display_rotation {turn}" for turn in (90, 180, 270)}
MIRRORS = {f"mirror-{turn}": f"-display_rotation {turn} -display_hflip" for turn in (0, 90, 180, 270)}
COPIED = {
    **{
        f"{kind}-{codec}.{suffix}": (f"{codec}.mp4", "", options)
        for kind, options in (("coding-order", CODING_ORDER), ("half", HALF))
        for codec in ("h264", "hevc")
        for suffix in ("mp4", "mkv", "mov", "flv", "ts")
    },
    **{
        f"{name}-{codec.replace('.mp4', '')}.{suffix}": (codec, options, "")
        for name, options in (TURNS | MIRRORS).items()
        for codec, suffix in (("h264.mp4", "mp4"), ("h264.mp4", "mkv"), ("10-bit-422.mp4", "mp4"))
    },
    "out-of-avi.mp4": ("h264.avi", "", ""),
    "out-of-avi.mov": ("h264.avi", "", ""),
    "out-of-stream.mp4": ("h264.h264", "", ""),
    "cut.mp4": ("h264.mp4", "-ss 1.37 -t 1", ""),
    "cut.mkv": ("hevc.mkv", "-ss 1.37 -t 1", ""),
    "cut-open.mp4": ("open.mp4", "-ss 1.37 -t 1", ""),
    "repeated.mkv": ("h264.mp4", "", r"-bsf:v setts=pts=max(DTS\,floor(PTS/2048)*2048)"),
    "cropped.mp4": ("h264.mp4", "", "-bsf:v h264_metadata=crop_left=6:crop_right=2:crop_top=4:crop_bottom=10"),
    "cropped-wide.mp4": ("h264.mp4", "", "-bsf:v h264_metadata=crop_left=16:crop_right=8:crop_top=4:crop_bottom=6"),
    "cropped-hevc.mp4": ("hevc.mp4", "", "-bsf:v hevc_metadata=crop_left=6:crop_right=2:crop_top=4:crop_bottom=10"),
}
TRANSPOSED = (0, ONE, ONE, 0)
EDITED = {
    "aperture.mp4": lambda source, path: add_clean_aperture(shutil.copy(source, path), 71, 1, 51, 1, 1, 2, -3, 2),
    "aperture-turned.mp4": lambda source, path: add_clean_aperture(
        set_matrix(shutil.copy(source, path), *TRANSPOSED), 72, 1, 50, 1, 4, 1, -4, 1
    ),
    "pixel-crop.mkv": lambda source, path: add_pixel_crop(copy(source, path), 7, 3, 5, 2),
    "pixel-crop-turned.mkv": lambda source, path: add_pixel_crop(copy(source, path, matrix=TRANSPOSED), 8, 4, 6, 2),
}
JOINED = {"sizes.h264": ((96, 64), (64, 48), (192, 128)), "sizes.ts": ((96, 64), (64, 48))}


def newest_program():
    """The ffmpeg program of a package that `make test-slow` installs; its absence is an error, no reason to skip."""
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()


def make(folder, name):
    """The file of this name in the folder, made with the files that it comes from."""
    path = folder / name
    if path.exists():
        return path
    if name in ENCODED:
        _run("-f", "lavfi", "-i", "testsrc2=s=96x64:r=10:d=3", *ENCODED[name].split(), path)
    elif name in JOINED:
        parts = [folder / f"{width}-{name}" for width, _ in JOINED[name]]
        for part, (width, height) in zip(parts, JOINED[name], strict=True):
            _run("-f", "lavfi", "-i", f"testsrc2=s={width}x{height}:r=10:d=1", *X264.split(), part)
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
    elif name in EDITED:
        EDITED[name](make(folder, "h264.mp4"), path)
    else:
        source, before, after = COPIED[name]
        _run(*before.split(), "-i", make(folder, source), "-c", "copy", *after.split(), path)
    return path


def _run(*arguments):
    subprocess.run([newest_program(), "-v", "error", "-nostdin", "-y", *arguments], check=True)


def shown_by(program, path):
    """The frames that an ffmpeg program shows: uint8 [frames, height, width, 3], RGB."""
    picture = ["-an", "-sn", "-f", "rawvideo", "-pix_fmt", "rgb24", "-fps_mode", "passthrough", "-"]
    done = subprocess.run([program, "-nostdin", "-i", path, *picture], check=True, capture_output=True)
    size = re.search(r"Output #0.*?Video: rawvideo.*?, (\d+)x(\d+)", done.stderr.decode(errors="replace"), re.DOTALL)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, int(size[2]), int(size[1]), 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("oracle")


@pytest.mark.parametrize("name", [*ENCODED, *COPIED, *EDITED, *JOINED])
def test_shows_what_the_ffmpeg_program_shows(folder, name):
    path = make(folder, name)
    expected = shown_by(newest_program(), path)
    installed = shutil.which("ffmpeg")
    # Old programs do not read HEVC in FLV.
    if installed and not name.startswith(("cropped", "aperture", "pixel-crop")) and not name.endswith("hevc.flv"):
        np.testing.assert_array_equal(shown_by(installed, path), expected)
    with open_video(path) as reader:
        assert reader.info.frame_count == len(expected)
        np.testing.assert_array_equal(reader.read(range(len(expected))), expected)
        for i in random.Random(0).sample(range(len(expected)), min(len(expected), 10)):
            np.testing.assert_array_equal(reader.read([i])[0], expected[i])
    with open_video(path) as reader:
        middle = len(expected) // 2
        np.testing.assert_array_equal(reader.read([middle])[0], expected[middle])


def test_theora_is_the_same_after_steps_back(tmp_path):
    path = tmp_path / "a.ogv"
    pattern = ["-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1"]
    _run(*pattern, "-c:v", "libtheora", "-g", "12", path)
    with open_video(path) as reader:
        expected = reader.read(range(25))
    with open_video(path) as reader:
        for i in (8, 2, 18, 4, 18, 5, 18, 3):
            np.testing.assert_array_equal(reader.read([i])[0], expected[i])
            # Several threads give the same in most files.
            assert reader._session.stream.thread_type.name == "NONE"
