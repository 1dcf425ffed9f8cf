"""Images from files, by Pillow, in as many threads as there are processors."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import PIL.Image
from PIL import ImageOps
from PIL.Image import Image, Resampling, Transpose

from convnet.data.archive import Member
from convnet.data.augment import Array
from convnet.errors import ConvnetError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
MODES = {1: "L", 3: "RGB"}  # Pillow's name for images of so many channels
_CHUNK = 256  # images in one piece of work for a thread
# What Pillow's decoders raise on damaged files.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
# What makes an image upright, by its orientation. Source: JEITA CP-3451, "Exchangeable image file format for digital
# still cameras: Exif version 2.2", 2002, section 4.6.4.
_ORIENTATION = 0x0112
_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}

Size = tuple[int, int]


def open_image(content: bytes, mode: str, name: str, enough: int | None = None) -> Image:
    """A decoded image, upright as its EXIF orientation says.

    enough: large JPEGs may be decoded at a half, a quarter or an eighth of their size, which takes less time, as long
    as their sides are at least so many pixels.

    Raises ConvnetError naming `name` where `content` is not a whole image, or one of floating-point numbers, of which
    nobody knows what is white.
    """
    try:
        with PIL.Image.open(io.BytesIO(content)) as image:
            if enough is not None:
                image.draft(None, (enough, enough))
            image.load()
            if image.mode == "F":
                raise ConvnetError(f"{name}: expected an image of 8 or 16 bits, found floating-point numbers")
            return _upright(_eight_bits(image).convert(mode), image)
    except PIL.UnidentifiedImageError as error:  # its own words name a Python object
        raise ConvnetError(f"{name}: expected an image, but it cannot be decoded: the format is unknown") from error
    except (*_DECODE_ERRORS, PIL.Image.DecompressionBombError) as error:
        raise ConvnetError(f"{name}: expected an image, but it cannot be decoded: {error}") from error


def _eight_bits(image: Image) -> Image:
    """The image with grey values of 16 bits brought to 0..255; Pillow's own conversion makes all above 255 white."""
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    values = np.clip(np.asarray(image), 0, 0xFFFF).astype(np.uint32)
    return PIL.Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _upright(image: Image, source: Image) -> Image:
    """The image turned as the EXIF of `source`, which it was made of, says. Pillow itself turns TIFFs."""
    turn = _TURNS.get(orientation(source.info.get("exif", b"")))
    return image if turn is None else image.transpose(turn)


def orientation(exif: bytes) -> int:
    """How an image is to be turned: EXIF's number, 1 where it says nothing, as damaged EXIF may.

    Sources: Adobe, "TIFF, revision 6.0", 1992, section 2; and that of _TURNS.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order: Literal["little", "big"] = "little" if tiff.startswith(b"II") else "big"

    def number(place: int, size: int) -> int:
        return int.from_bytes(tiff[place : place + size], order)

    start = number(4, 4)
    entries = range(start + 2, min(start + 2 + 12 * number(start, 2), len(tiff)), 12)
    return next((number(entry + 8, 2) for entry in entries if number(entry, 2) == _ORIENTATION), 1)


def decode_alike(files: list[Member], channels: int, where: Path) -> Array:
    """Images that are all of one size, in that order: (n, y, x, channels) uint8.

    where: the folder or archive, for messages. Raises ConvnetError naming the file for an image that cannot be decoded
    and for one of another size.
    """
    first = _open(files[0], channels, where)

    def unchanged(image: Image, file: Member) -> Image:
        if image.size != first.size:
            pair = ((files[0], first), (file, image))
            sizes = " and ".join(f"{one.name} of {picture.width}x{picture.height}" for one, picture in pair)
            raise ConvnetError(
                f"{where}: expected images of one size, or a size to bring them to (--image-size or --input); "
                f"found {sizes}"
            )
        return image

    return _decode(files, channels, (first.height, first.width), unchanged, where)


def decode_to_size(files: list[Member], channels: int, size: Size, where: Path) -> Array:
    """Images scaled so that they cover `size` (y, x), and cut to it around the middle: (n, *size, channels) uint8.

    Images that have this size stay as they are.

    Raises ConvnetError naming the file for an image that cannot be decoded.
    """
    wanted = size[1], size[0]

    def fitted(image: Image, _file: Member) -> Image:
        return image if image.size == wanted else ImageOps.fit(image, wanted, Resampling.BICUBIC)

    return _decode(files, channels, size, fitted, where)


def _decode(
    files: list[Member], channels: int, size: Size, change: Callable[[Image, Member], Image], where: Path
) -> Array:
    """All images after `change`, which brings them to `size`."""
    pixels = np.empty((len(files), *size, channels), np.uint8)

    def decode_chunk(start: int) -> None:
        for case in range(start, min(start + _CHUNK, len(files))):
            image = change(_open(files[case], channels, where), files[case])
            pixels[case] = np.asarray(image).reshape(pixels.shape[1:])

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for _ in threads.map(decode_chunk, range(0, len(files), _CHUNK)):
            pass
    return pixels


def _open(file: Member, channels: int, where: Path) -> Image:
    """A decoded image."""
    return open_image(file.read(), MODES[channels], f"{where}: {file.name}")
