"""Pictures that were given to us: recognised by their content, bounded, and never trusted."""

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

LARGEST_FILE = 20_000
MOST_PIXELS = 4_000_000
"""How many pixels are ever decoded; a small file can claim many more (a decompression bomb)."""
_PNG = b"\x89PNG\r\n\x1a\n"
_SVG_ROOT = "{http://www.w3.org/2000/svg}svg"
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
"""Those whose size is known before anything is decoded. That of an ICO is not: it may hold a PNG of any size."""
# Pillow refuses what has over twice this, and a WebP before it makes room for it, where our own check would come too
# late. Pictures are opened here and nowhere else.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2


class PictureError(ValueError):
    """The content is no picture that can be shown; the message says why."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is served, with its media type."""

    content: bytes
    media_type: str


def read_picture(path: Path) -> Picture:
    """An operator's own SVG or PNG of at most 20 kB; raises PictureError."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise PictureError(f"{path} cannot be read ({error.strerror})") from None
    if len(content) > LARGEST_FILE:
        raise PictureError(f"{path} is larger than {LARGEST_FILE // 1000} kB")
    if content.startswith(_PNG):
        as_png(content, LARGEST_FILE)
        return Picture(content, "image/png")
    if _is_svg(content):
        return Picture(content, "image/svg+xml")
    raise PictureError(f"{path} is neither an SVG nor a PNG")


def as_png(content: bytes, edge: int) -> bytes:
    """The picture drawn anew as a PNG within ``edge`` pixels each way: nothing of the original file remains.

    Raises PictureError where it cannot be decoded, an SVG or an ICO among them, or has more than MOST_PIXELS. Of
    several frames the first one alone is decoded.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of half of what is refused.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise PictureError("the picture has too many pixels")
                drawn = image.convert("RGBA")
    except PictureError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, MemoryError):
        raise PictureError("the picture cannot be decoded") from None
    drawn.thumbnail((edge, edge))
    target = io.BytesIO()
    # A new image has no text, profile or other metadata of the old one.
    clean = Image.new("RGBA", drawn.size)
    clean.paste(drawn)
    clean.save(target, "PNG", optimize=True)
    return target.getvalue()


def _is_svg(content: bytes) -> bool:
    # Entities are what makes XML dangerous to read, and no logo needs them.
    if b"<!doctype" in content.lower() or b"\x00" in content:
        return False
    try:
        return ElementTree.fromstring(content).tag == _SVG_ROOT  # noqa: S314  # no document type: no entities
    except ElementTree.ParseError:
        return False
