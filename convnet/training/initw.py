"""Functions for initWFunc and initBFunc that copy from a checkpoint, those of cuda-convnet2's initw.py.

A checkpoint is named by path: one of ours, a run (its newest checkpoint), or a file or folder of cuda-convnet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convnet.config.reader import parse
from convnet.config.report import Report
from convnet.errors import ConvnetError
from convnet.layers.weight_layer import parse_weight_source
from convnet.training.checkpoint import LAYERS, Checkpoint, newest
from convnet.training.original_checkpoints import load_original

Array = np.ndarray[Any, Any]


def makew(name: str, idx: int, _shape: tuple[int, int], params: Sequence[str]) -> Array:
    """The matrix of this input in the checkpoint's layer of the same name. Parameter: checkpoint."""
    return _source("makew", params).weights(name, idx)


def makeb(name: str, _shape: tuple[int, int], params: Sequence[str]) -> Array:
    """The biases of the checkpoint's layer of the same name. Parameter: checkpoint."""
    return _source("makeb", params).biases(name)


def makewcat(_name: str, idx: int, shape: tuple[int, int], params: Sequence[str]) -> Array:
    """The matrices of this input of some layers, side by side. Parameters: checkpoint, layer..."""
    source = _source("makewcat", params, layers=True)
    found = [source.weights(layer, idx) for layer in params[1:]]
    rows = sorted({len(matrix) for matrix in found})
    if len(rows) > 1:
        raise ConvnetError(f"expected matrices of {shape[0]} rows, found {' and '.join(map(str, rows))}")
    return np.concatenate(found, axis=1)


def makebcat(_name: str, shape: tuple[int, int], params: Sequence[str]) -> Array:
    """The biases of some layers, one behind the other. Parameters: checkpoint, layer..."""
    source = _source("makebcat", params, layers=True)
    return _in_shape(np.concatenate([source.biases(layer).reshape(-1) for layer in params[1:]]), shape)


def makeb_vec(_name: str, shape: tuple[int, int], params: Sequence[str]) -> Array:
    """These biases. Parameters: value..."""
    try:
        return _in_shape(np.array([float(value) for value in params], np.float32), shape)
    except ValueError as error:
        raise ConvnetError(f"expected numbers: {error}") from error


def _in_shape(values: Array, shape: tuple[int, int]) -> Array:
    if values.size != shape[0] * shape[1]:
        raise ConvnetError(f"expected {shape[0] * shape[1]} biases, found {values.size}")
    return values.reshape(shape)


@dataclass(frozen=True)
class _Source:
    """The weights of a checkpoint by name, as our checkpoints name them, and whose matrix each input uses."""

    path: Path
    arrays: dict[str, Array]
    sources: dict[str, list[tuple[str, int] | None]]

    def weights(self, layer: str, index: int) -> Array:
        """Matrix `index` of a layer, shared or its own."""
        sources = self.sources.get(layer, [])
        shared = sources[index] if index < len(sources) else None
        return self.weights(*shared) if shared else self._array(f"{layer}.weights.{index}")

    def biases(self, layer: str) -> Array:
        """The biases of a layer."""
        return self._array(f"{layer}.biases")

    def _array(self, name: str) -> Array:
        if name not in self.arrays:
            raise ConvnetError(f"{self.path}: expected '{name}', found nothing")
        return np.asarray(self.arrays[name], np.float32)


def _source(function: str, params: Sequence[str], *, layers: bool = False) -> _Source:
    """The checkpoint that the first of a function's parameters names.

    Raises:
        ConvnetError: if there is none, or the parameters are too many or too few.
    """
    if not params or (len(params) > 1) != layers:
        raise ConvnetError(f"expected {function}(checkpoint{', layer...' if layers else ''}), found {len(params)} "
                           f"parameter{'s' * (len(params) != 1)}")  # fmt: skip
    path = Path(params[0])
    try:
        folder = newest(path)
    except ConvnetError:
        if not path.exists():
            raise
        return _of_original(path)
    checkpoint = Checkpoint.load(folder)
    sections = parse(checkpoint.layers, str(folder / LAYERS), Report()).sections
    given = {name: section.entries["weightsource"].value for name, section in sections.items()
             if "weightsource" in section.entries}  # fmt: skip
    return _Source(folder, checkpoint.weights, {name: parse_weight_source(text) for name, text in given.items()})


def _of_original(path: Path) -> _Source:
    """A checkpoint of cuda-convnet, which holds shared matrices under the names of all that use them."""
    arrays: dict[str, Array] = {}
    for name, layer in load_original(path).layers.items():
        if "weights" in layer:
            arrays |= {f"{name}.weights.{index}": matrix for index, matrix in enumerate(layer["weights"])}
            arrays[f"{name}.biases"] = layer["biases"]
    return _Source(path, arrays, {})
