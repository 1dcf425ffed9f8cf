"""Initial values of weights and biases: random, constant, or from a function the user wrote."""

from __future__ import annotations

import importlib
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
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
    return generator.standard_normal(shape, np.float32) * np.float32(deviation)


def weights_from_function(call: Call, layer: str, shapes: Sequence[tuple[int, int]]) -> list[Array]:
    """All weight matrices of a layer from the function of its key initWFunc: one call for each input.

    Raises:
        ConvnetError: if there is no such function, it fails, or gives anything but float32 of the right shape.
    """
    function = _find(call, layer, "initWFunc")
    arguments = list(call.arguments)
    return [
        _checked(_call(function, layer, "initWFunc", layer, index, shape, params=arguments), shape, layer, "initWFunc")
        for index, shape in enumerate(shapes)
    ]


def biases_from_function(call: Call, layer: str, shape: tuple[int, int]) -> Array:
    """The biases of a layer from the function of its key initBFunc.

    Raises:
        ConvnetError: as in `weights_from_function`.
    """
    function = _find(call, layer, "initBFunc")
    found = _call(function, layer, "initBFunc", layer, shape, params=list(call.arguments))
    return _checked(found, shape, layer, "initBFunc")


def _find(call: Call, layer: str, key: str) -> Callable[..., object]:
    # As in cuda-convnet, modules beside the place where the program is run are found.
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        function = getattr(importlib.import_module(call.module), call.function, None)
    except Exception as error:
        raise ConvnetError(f"[{layer}] {key}: importing '{call.module}' failed: {error!r}") from error
    finally:
        sys.path.remove(folder)
    if not callable(function):
        wanted = f"a function '{call.function}' in module '{call.module}'"
        raise ConvnetError(f"[{layer}] {key}: expected {wanted}, found none")
    return function  # type: ignore[no-any-return]


def _call(function: Callable[..., object], layer: str, key: str, *arguments: object, params: list[str]) -> object:
    try:
        return function(*arguments, params=params)
    except Exception as error:
        name = getattr(function, "__name__", function)  # other callables than functions have none
        raise ConvnetError(f"[{layer}] {key}: '{name}' failed: {error!r}") from error


def _checked(found: object, shape: tuple[int, int], layer: str, key: str) -> Array:
    if not isinstance(found, np.ndarray):
        raise ConvnetError(f"[{layer}] {key}: expected a NumPy array, found {type(found).__name__}")
    if found.dtype != np.float32:
        raise ConvnetError(f"[{layer}] {key}: expected an array of float32, found {found.dtype}")
    if found.shape != shape:
        raise ConvnetError(f"[{layer}] {key}: expected an array of shape {shape}, found {found.shape}")
    return found
