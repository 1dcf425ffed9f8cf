"""Reads the pickles that old data sets come in, without running any code from them.

Only plain Python values and NumPy's arrays, types and numbers are admitted. Even NumPy's own functions are not called:
stand-ins take the parts of an array from the pickle and check them.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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


class Inert:
    """Stands in for an instance of a class that is not run: `state` is what the pickle says of it, None for nothing."""

    def __init__(self, *_: object) -> None:
        """An instance whose state comes later."""
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        """Take the state."""
        self.state = state


@dataclass(frozen=True)
class Place:
    """Stands for bytes that lie elsewhere: `size` bytes from byte `offset` of a file on."""

    offset: int
    size: int


class _Unpickler(pickle.Unpickler):
    """Knows nothing but the stand-ins; classes of the modules `inert` become `Inert`, persistent ids are `places`."""

    def __init__(self, content: bytes, inert: Collection[str], places: Sequence[Place]) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._inert, self._places = inert, places

    def persistent_load(self, pid: object) -> Place:
        """What a persistent id stands for. Raises _Refused for one that is not the number of a place."""
        if not isinstance(pid, int) or not 0 <= pid < len(self._places):
            raise _Refused(f"the persistent id {pid!r:.50}")
        return self._places[pid]

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
        if module in self._inert:
            return Inert
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


def unpickle(
    content: bytes, name: str, *, inert: Collection[str] = (), text: bool = False, places: Sequence[Place] = ()
) -> dict[str, object]:
    """The dict in a pickle, with text keys; values are arrays or plain Python values, tuples being lists.

    name: of the file, for messages. inert: modules of Python 2 whose instances are admitted as `Inert`; the modules are
    not imported. text: make text of Python 2, which otherwise is bytes, text. places: what its persistent ids 0, 1, ..
    stand for.

    Raises ConvnetError where the pickle is damaged, holds something else than a dict, or names anything that is not
    admitted: nothing of that is imported or called.
    """
    try:
        loaded = _Unpickler(content, inert, places).load()
        if isinstance(loaded, dict):
            found: dict[Any, object] = _Finisher(text=text).finished(loaded)
            return {_text(key): value for key, value in found.items()}
    except _Refused as error:
        raise ConvnetError(f"{name}: refused, as only arrays and plain values may be in it; found {error}") from error
    except _PICKLE_ERRORS as error:
        raise ConvnetError(f"{name}: expected a pickle of arrays and plain values: {error}") from error
    raise ConvnetError(f"{name}: expected a pickled dict, found {type(loaded).__name__}")


class _Finisher:
    """Puts arrays in place of their stand-ins, and text in place of bytes; containers met twice stay one."""

    def __init__(self, *, text: bool) -> None:
        self._text = text
        self._made: dict[int, tuple[Any, Any]] = {}  # by id: the old one, so that the id stays its own, and the new one
        self._waiting: list[tuple[Any, Any]] = []

    def finished(self, root: Any) -> Any:
        """A container like `root`, with all that is in it."""
        result = self._value(root)
        while self._waiting:  # and not Python's stack, because pickles may nest deeper
            self._fill(*self._waiting.pop())
        return result

    def _fill(self, old: Any, new: Any) -> None:
        """Bring what is in one container to the one that takes its place."""
        if isinstance(old, dict):
            new.update({_text(key) if self._text else key: self._value(value) for key, value in old.items()})
        elif isinstance(old, Inert):
            new.state = self._value(old.state)
        else:
            new.extend(map(self._value, old))

    def _value(self, value: Any) -> Any:
        """A value or, for a container, the one that takes its place and waits to be filled."""
        if isinstance(value, _Array):
            return value.finished()
        if isinstance(value, bytes) and self._text:
            return _text(value)
        if not isinstance(value, list | tuple | dict | Inert):
            return value
        if id(value) not in self._made:
            new: Any = {} if isinstance(value, dict) else Inert() if isinstance(value, Inert) else []
            self._made[id(value)] = value, new
            self._waiting.append((value, new))
        return self._made[id(value)][1]
