"""Initial values of weights and biases: random, constant, or from a function the user wrote."""

from __future__ import annotations

import importlib
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from convnet.config.kinds import Call
from convnet.errors import ConvnetError

Array = np.ndarray[Any, Any]


def normal(seed: int, layer: str, index: int, shape: tuple[int, int], deviation: float) -> Array:
    """Float32 draws from N(0, deviation^2).

    They depend on the seed, the layer's name and the matrix's index alone: adding a layer to a net leaves the initial
    weights of the others as they were.
    """
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, zlib.crc32(layer.encode()), index])))
    values = generator.standard_normal(shape, np.float32)
    values *= np.float32(deviation)
    return values


def find_function(call: Call) -> Callable[..., object]:
    """The function that a key initWFunc, initBFunc or initCFunc names.

    Its module is imported, which runs the user's code.

    Raises:
        ValueError: there is none, or the import fails; the message does not name layer or key.
    """
    try:
        function = getattr(_module(call.module), call.function, None)
    except _NotFoundError as error:
        if not call.otherwise:
            raise ValueError(str(error)) from error
        function = None
    except ValueError as error:
        hint = f"; '{call.function}' alone is the function that comes with convnet" if call.otherwise else ""
        raise ValueError(f"{error}{hint}") from error
    if not callable(function) and call.otherwise:
        function = getattr(_module(call.otherwise), call.function)
    if not callable(function):
        raise ValueError(f"expected a function '{call.function}' in module '{call.module}', found none")
    return function  # type: ignore[no-any-return]


class _NotFoundError(ValueError):
    """There is no module of a name."""


def _module(name: str) -> ModuleType:
    """The module of this name, imported. Raises ValueError: there is none, or the import fails."""
    # As in cuda-convnet, modules beside the place where the program is run are found.
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):  # another one, which the module imports
            raise ValueError(f"importing '{name}' failed: {error!r}") from error
        where = f"{name.replace('.', '/')}.py in the present folder ({folder}) or an installed module"
        raise _NotFoundError(f"expected {where}, found none") from error
    except (Exception, SystemExit) as error:
        raise ValueError(f"importing '{name}' failed: {error!r}") from error
    finally:
        if folder in sys.path:  # the module may have changed it
            sys.path.remove(folder)


def from_function(call: Call, layer: str, index: int | None, shape: tuple[int, int]) -> Array:
    """Initial weights for input `index` of a layer, or its biases if that is None, from the function of a key.

    Raises:
        ValueError: there is no such function, it fails, or gives anything but finite float32 of this shape; the message
            does not name layer or key.
    """
    return _checked(call_function(call, layer, index, shape), shape)


def call_function(call: Call, layer: str, index: int | None, shape: tuple[int, ...]) -> object:
    """What the function of a key gives for input `index` of a layer, or for its biases if that is None.

    Raises:
        ValueError: there is no such function, or it fails; the message does not name layer or key.
    """
    function = find_function(call)
    position = () if index is None else (index,)
    name = getattr(function, "__name__", function)  # other callables than functions have none
    try:
        return function(layer, *position, shape, params=list(call.arguments))
    except ConvnetError as error:
        raise ValueError(f"'{name}': {error}") from error
    except (Exception, SystemExit) as error:
        raise ValueError(f"'{name}' failed: {error!r}") from error


def _checked(found: object, shape: tuple[int, int]) -> Array:
    if not isinstance(found, np.ndarray):
        raise ValueError(f"expected a NumPy array, found {type(found).__name__}")
    if found.dtype != np.float32:
        raise ValueError(f"expected an array of float32, found {found.dtype}")
    if found.shape != shape:
        raise ValueError(f"expected an array of shape {shape}, found {found.shape}")
    if not np.isfinite(found).all():
        raise ValueError(f"expected finite numbers, found {found[~np.isfinite(found)][0]}")
    return found
