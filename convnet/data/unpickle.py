"""Reads the pickles that old data sets come in, without running any code from them.

Only plain Python values and NumPy's arrays, types and numbers are admitted. Even NumPy's own functions are not called:
stand-ins take the parts of an array from the pickle and check them.
"""

from __future__ import annotations

import io
import pickle
import re
from typing import Literal

import numpy as np

from convnet.data.augment import Array
from convnet.errors import ConvnetError

# What a damaged pickle makes the unpickler raise.
_PICKLE_ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    MemoryError,
    RecursionError,
)
_BYTE_ORDERS: dict[str, Literal["<", ">", "|", "="]] = {"<": "<", ">": ">", "|": "|", "=": "="}
_PLAIN_TYPE = re.compile(r"[<>|=]?[biuf][1248]")


def _text(value: object) -> str:
    """A key or a name as text; Python 2 wrote bytes."""
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


class _Refused(pickle.UnpicklingError):
    """A pickle names something that is not admitted."""


class _Type:
    """Stands in for numpy.dtype: a plain number type."""

    def __init__(self, code: object, *_: object) -> None:
        """code: as `u1` or `f4`."""
        text = _text(code)
        if not _PLAIN_TYPE.fullmatch(text):
            raise _Refused(f"the array type {text!r}")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: tuple[object, ...]) -> None:
        """Take the byte order; what follows describes types that are not plain."""
        _, order, *structure = state
        if structure[:3] != [None, None, None] or _text(order) not in _BYTE_ORDERS:
            raise _Refused("a structured array type")
        self.dtype = self.dtype.newbyteorder(_BYTE_ORDERS[_text(order)])


class _Array:
    """Stands in for numpy.ndarray while a pickle is read."""

    def __init__(self) -> None:
        """An array whose parts come later."""
        self._array: Array | None = None

    def __setstate__(self, state: tuple[object, ...]) -> None:
        """Take version, shape, type, order and bytes."""
        _, shape, kind, by_columns, content = state
        self.fill(content, kind, shape, "F" if by_columns else "C")

    def fill(self, content: object, kind: object, shape: object, order: object) -> None:
        """Make the array from its bytes."""
        if not isinstance(kind, _Type) or not isinstance(content, bytes | bytearray) or order not in ("C", "F"):
            raise _Refused("an array of objects")
        self._array = np.frombuffer(content, kind.dtype).reshape(shape, order=order)

    def finished(self) -> Array:
        """The array. Raises ValueError if its parts never came."""
        if self._array is None:
            raise ValueError("an array without content")
        return self._array


class _Unpickler(pickle.Unpickler):
    """Knows nothing but the stand-ins."""

    def find_class(self, module: str, name: str) -> object:
        """What stands in for a global. Raises _Refused for one that is not admitted."""
        # Bound methods, because a pickle can change the attributes of plain functions.
        admitted: dict[tuple[str, str], object] = {
            ("numpy", "ndarray"): "numpy.ndarray",
            ("numpy", "dtype"): _Type,
            ("multiarray", "_reconstruct"): self._empty_array,
            ("multiarray", "scalar"): self._number,
            ("numeric", "_frombuffer"): self._array,
            ("_codecs", "encode"): self._latin1,
        }
        place = module.removeprefix("numpy.core.").removeprefix("numpy._core."), name
        if place not in admitted:
            raise _Refused(f"{module}.{name}")
        return admitted[place]

    def _empty_array(self, *_: object) -> _Array:
        """Begin an array."""
        return _Array()

    def _array(self, content: object, kind: object, shape: object, order: object, *_: object) -> _Array:
        """An array as newer pickles write it."""
        array = _Array()
        array.fill(content, kind, shape, order)
        return array

    def _number(self, kind: object, content: object) -> object:
        """A single number of NumPy's."""
        array = self._array(content, kind, (), "C")
        return array.finished().item()

    def _latin1(self, text: str, encoding: str) -> bytes:
        """Bytes as Python 3 writes them for Python 2."""
        if _text(encoding) != "latin1":
            raise _Refused(f"the encoding {encoding!r}")
        return text.encode("latin1")


def unpickle(content: bytes, name: str) -> dict[str, object]:
    """The dict in a pickle, with text keys; values are arrays or plain Python values, text of Python 2 being bytes.

    name: of the file, for messages.

    Raises ConvnetError where the pickle is damaged, holds something else than a dict, or names anything that is not
    admitted: nothing of that is imported or called.
    """
    try:
        loaded = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        if isinstance(loaded, dict):
            return {_text(key): _finished(value) for key, value in loaded.items()}
    except _Refused as error:
        raise ConvnetError(f"{name}: refused, as only arrays and plain values may be in it; found {error}") from error
    except _PICKLE_ERRORS as error:
        raise ConvnetError(f"{name}: expected a pickle of arrays and plain values: {error}") from error
    raise ConvnetError(f"{name}: expected a pickled dict, found {type(loaded).__name__}")


def _finished(value: object) -> object:
    """A value of the dict, with an array in place of its stand-in."""
    return value.finished() if isinstance(value, _Array) else value
