"""An image as it is stored: scaled, perhaps cut, a baseline JPEG."""

from __future__ import annotations

import io
from dataclasses import dataclass

from PIL.Image import Image, Resampling

from convnet.data.decode import open_image, orientation
from convnet.data.jpeg import JpegDecoder
from convnet.errors import ConvnetError

_LONGEST = 65_500  # pixels of a side that libjpeg encodes
_APP1, _SOF0, _SOS = 0xE1, 0xC0, 0xDA  # markers. Source: ITU-T T.81, 1992, table B.1
_EXIF = b"Exif\0\0"

Size = tuple[int, int]


@dataclass(frozen=True)
class Form:
    """How images are stored. See MakeOptions."""

    size: int
    square: bool
    quality: int

    def fits(self, shape: Size) -> bool:
        """Whether an image of `shape` (y, x) is as large as wanted."""
        return min(shape) == self.size and (not self.square or max(shape) == self.size)


def stored(content: bytes, name: str, form: Form) -> tuple[bytes, Size]:
    """The JPEG to store for the image `content`, and its (y, x).

    A baseline JPEG, upright, grey or of three colours, that is as large as wanted stays byte for byte.

    Raises ConvnetError naming `name` where `content` is not a whole image.
    """
    shape = plain_shape(content)
    if shape is not None and form.fits(shape) and _is_whole(content, name):
        return content, shape
    # Twice the size is enough for the filter that brings it to the size.
    image = _scaled(open_image(content, "RGB", name, enough=2 * form.size), name, form)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=form.quality)
    return stream.getvalue(), (image.height, image.width)


def _is_whole(content: bytes, name: str) -> bool:
    """Whether a JPEG can be decoded without a complaint."""
    try:
        JpegDecoder().decode(content, name)
    except ConvnetError:
        return False
    return True


def _scaled(image: Image, name: str, form: Form) -> Image:
    """The image with the short side brought to the size, by bicubic interpolation over all pixels that it covers."""
    short = min(image.size)
    if form.square:
        left, top = (image.width - short) / 2, (image.height - short) / 2
        box = (left, top, left + short, top + short)
        return image.resize((form.size, form.size), Resampling.BICUBIC, box)
    x, y = (max(form.size, round(side * form.size / short)) for side in image.size)
    if max(x, y) > _LONGEST:
        raise ConvnetError(f"{name}: too long for its width: would be stored with {x}x{y} pixels")
    return image if image.size == (x, y) else image.resize((x, y), Resampling.BICUBIC)


def plain_shape(content: bytes) -> Size | None:
    """(y, x) of a baseline JPEG that is upright, grey or of three colours, and None for anything else."""
    found, at = None, 2
    if not content.startswith(b"\xff\xd8"):
        return None
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != _SOS:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        segment = content[at + 4 : at + 2 + length]
        if marker == _APP1 and segment.startswith(_EXIF) and orientation(segment) > 1:
            return None
        if marker == _SOF0 and len(segment) >= 6 and segment[0] == 8 and segment[5] in (1, 3):
            found = int.from_bytes(segment[1:3]), int.from_bytes(segment[3:5])
        at += 2 + length
    return found
