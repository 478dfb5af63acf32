"""Pictures from outside: what is drawn anew, and that their size is known before anything is made room for."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from idp.base.picture import MOST_PIXELS, PictureError, as_png

GREEN = (10, 92, 76)


def encoded(format_: str, size: tuple[int, int] = (40, 20), **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, GREEN).save(file, format_, **options)
    return file.getvalue()


def frames(format_: str) -> bytes:
    """Two frames, the first one green."""
    second = Image.new("RGB", (40, 20), "red")
    return encoded(format_, save_all=True, append_images=[second], duration=100)


def vast(size: tuple[int, int]) -> bytes:
    """A WebP of two small frames that claims a canvas of this size."""
    small = bytearray(frames("WEBP"))
    assert small[12:16] == b"VP8X"
    for place, edge in zip((24, 27), size, strict=True):
        small[place : place + 3] = (edge - 1).to_bytes(3, "little")
    return bytes(small)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_picture_is_drawn_within_the_edge(format_: str) -> None:
    with Image.open(io.BytesIO(as_png(encoded(format_), 20))) as drawn:
        assert (drawn.format, drawn.size) == ("PNG", (20, 10))


@pytest.mark.parametrize("format_", ["PNG", "GIF", "WEBP"])
def test_of_several_frames_the_first_is_drawn(format_: str) -> None:
    with Image.open(io.BytesIO(as_png(frames(format_), 20))) as drawn:
        assert getattr(drawn, "n_frames", 1) == 1
        red, green, *_ = drawn.convert("RGB").getpixel((5, 5))  # type: ignore[misc]  # a pixel of RGB is three numbers
        assert green > 2 * red


@pytest.mark.parametrize("format_", ["ICO", "TIFF", "BMP", "PPM"])
def test_other_formats_are_not_opened(format_: str) -> None:
    """An ICO says how large it is, and may hold a PNG of any other size."""
    with pytest.raises(PictureError, match="cannot be decoded"):
        as_png(encoded(format_), 20)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "GIF"])
def test_too_many_pixels(format_: str) -> None:
    assert as_png(encoded(format_, (MOST_PIXELS // 2000, 2000)), 20)
    with pytest.raises(PictureError):
        as_png(encoded(format_, (MOST_PIXELS // 2000 + 1, 2000)), 20)


PEAK = """
import sys
from pathlib import Path
from pathlib import Path
from idp.base.picture import PictureError, as_png

def peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmPeak"))

small, large = (Path(name).read_bytes() for name in sys.argv[1:])
as_png(small, 20)
before = peak()
try:
    as_png(large, 20)
except PictureError:
    print(peak() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells how much memory was made room for")
def test_no_room_is_made_for_a_webp_that_claims_to_be_vast(tmp_path: Path) -> None:
    """160 million pixels, fewer than what Pillow refuses by itself, in some hundred bytes."""
    small, large = tmp_path / "small.webp", tmp_path / "large.webp"
    small.write_bytes(frames("WEBP"))
    large.write_bytes(vast((16_000, 10_000)))
    told = subprocess.run([sys.executable, "-c", PEAK, small, large], capture_output=True, text=True, check=True)
    assert int(told.stdout) < 100_000, "kilobytes"
