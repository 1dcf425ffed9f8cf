"""Pickles that hold JPEGs, without reading the JPEGs: only where in the file each of them lies.

The pickle is copied opcode by opcode. In the copy, which is small, a persistent id stands for each JPEG: pickle's own
way to speak of what lies elsewhere. The copy is then read like every other pickle, and gives a `Place` for each.
"""

from __future__ import annotations

import pickletools
import struct
from pathlib import Path
from typing import BinaryIO

from convnet.data.unpickle import Place, unpickle
from convnet.errors import ConvnetError

_JPEG = b"\xff\xd8\xff"  # how every JPEG begins
_STOP, _FRAME = b".", b"\x95"
_TEXT_LINES = {b"c": 2, b"i": 2}  # opcodes followed by more than one line of text
# How many bytes follow each opcode, and how the length of a string is written; the rest is followed by lines of text.
_FIXED = {
    op.code.encode("latin1"): op.arg.n if op.arg else 0 for op in pickletools.opcodes if op.arg is None or op.arg.n >= 0
}
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: struct.Struct("<B"),
    pickletools.TAKEN_FROM_ARGUMENT4: struct.Struct("<i"),
    pickletools.TAKEN_FROM_ARGUMENT4U: struct.Struct("<I"),
    pickletools.TAKEN_FROM_ARGUMENT8U: struct.Struct("<Q"),
}
_COUNTED = {
    op.code.encode("latin1"): _LENGTHS[op.arg.n] for op in pickletools.opcodes if op.arg and op.arg.n in _LENGTHS
}
_LINES = {op.code.encode("latin1") for op in pickletools.opcodes if op.arg and op.arg.n == pickletools.UP_TO_NEWLINE}


def unpickle_jpegs(path: Path) -> dict[str, object]:
    """As `unpickle`, of a file, with a `Place` for every JPEG: every string that begins as JPEGs do.

    JPEGs that were written as text remain as they are: those of protocol 0, and of Python 3 before protocol 3.

    Raises ConvnetError where the file cannot be read, is damaged or holds what `unpickle` refuses.
    """
    try:
        with path.open("rb") as file:
            content, places = _without_jpegs(file, path.stat().st_size)
    except OSError as error:
        raise ConvnetError(f"{path}: cannot be read: {error}") from error
    except EOFError as error:
        raise ConvnetError(f"{path}: expected a pickle of arrays and plain values: {error}") from error
    return unpickle(content, str(path), places=places)


def is_jpeg(value: object) -> bool:
    """Whether these are bytes that begin as JPEGs do."""
    return isinstance(value, bytes) and value.startswith(_JPEG)


def _without_jpegs(file: BinaryIO, size: int) -> tuple[bytes, list[Place]]:
    """The pickle in `file`, of `size` bytes, less its JPEGs, and where those are.

    Raises EOFError if it ends too early or has an unknown opcode.
    """
    parts: list[bytes] = []
    places: list[Place] = []
    while (code := file.read(1)) != _STOP:
        if code in _FIXED:
            argument = _read(file, _FIXED[code])
            if code != _FRAME:  # a frame's length is no longer right
                parts += code, argument
        elif code in _COUNTED:
            parts.append(_counted(file, size, code, places))
        elif code in _LINES:
            parts += code, *(file.readline() for _ in range(_TEXT_LINES.get(code, 1)))
        else:
            raise EOFError(f"unknown opcode {code!r} at byte {file.tell() - 1}" if code else "it is cut off")
    return b"".join((*parts, _STOP)), places


def _counted(file: BinaryIO, size: int, code: bytes, places: list[Place]) -> bytes:
    """An opcode with its string, or the opcodes for a place if the string is a JPEG, which is then one of `places`."""
    written = _read(file, _COUNTED[code].size)
    (length,) = _COUNTED[code].unpack(written)
    start = file.tell()
    if not 0 <= length <= size - start:
        raise EOFError(f"{length} bytes from byte {start} on, but the file has {size}")
    begin = _read(file, min(length, len(_JPEG)))
    if begin != _JPEG:
        return code + written + begin + _read(file, length - len(begin))
    file.seek(length - len(begin), 1)
    places.append(Place(start, length))
    return b"J" + struct.pack("<i", len(places) - 1) + b"Q"


def _read(file: BinaryIO, length: int) -> bytes:
    """So many bytes. Raises EOFError if there are fewer."""
    content = file.read(length)
    if len(content) < length:
        raise EOFError("it is cut off")
    return content
