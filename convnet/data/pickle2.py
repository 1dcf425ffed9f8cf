"""Writes pickles that Python 2 reads with the NumPy of its time: what cuda-convnet's own programs take."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from convnet.data.augment import Array

LARGEST = 2**31 - 1  # bytes of an array: protocol 2 has no room for a larger number

Value = str | int | Array


def pickle2(value: Mapping[str, Value]) -> bytes:
    """A dict of texts, integers of 32 bits and arrays of plain numbers, in protocol 2.

    Raises ValueError for an array of more than `LARGEST` bytes.
    """
    return b"\x80\x02}(" + b"".join(_text(key) + _value(item) for key, item in value.items()) + b"u."


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return _text(value)
    return _integer(value) if isinstance(value, int) else _array(value)


def _text(value: str) -> bytes:
    return _bytes(value.encode())


def _bytes(value: bytes) -> bytes:
    if len(value) > LARGEST:
        raise ValueError(f"an array of {len(value)} bytes")
    return b"T" + struct.pack("<i", len(value)) + value


def _integer(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def _array(array: Array) -> bytes:
    """An empty array, then its state: version, shape, type, whether by columns, content."""
    order, code = array.dtype.str[:1], array.dtype.str[1:]
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tT\1\0\0\0btR"
    # A type's state: version, byte order, and that it is neither an array, nor has fields, nor a size of its own.
    kind = b"cnumpy\ndtype\n(" + _text(code) + b"K\0K\1tR(K\3" + _text(order) + b"NNN" + 2 * _integer(-1) + b"K\0tb"
    shape = b"(" + b"".join(map(_integer, array.shape)) + b"t"
    return empty + b"(K\1" + shape + kind + b"\x89" + _bytes(array.tobytes()) + b"tb"
