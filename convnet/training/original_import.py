"""Makes a checkpoint of cuda-convnet or cuda-convnet2 one of ours, that can be tested and trained further."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convnet.config.kinds import unexpected
from convnet.config.reader import parse
from convnet.config.report import Report
from convnet.data import provider_names
from convnet.errors import ConvnetError
from convnet.graph.build import build_graph
from convnet.graph.layer_graph import LayerGraph
from convnet.graph.write import layer_file, parameter_file
from convnet.net.connections import connections, set_connections
from convnet.plan.groups import sums_kept
from convnet.shape import Maps, Shape
from convnet.training.checkpoint import LAYERS, PARAMS, Checkpoint
from convnet.training.options import ALL, Options, merged, to_plain
from convnet.training.original_checkpoints import Layer, OriginalCheckpoint, load_original
from convnet.training.original_history import training_state
from convnet.training.original_layers import cfg_files, functions_left_out
from convnet.weights.parameter import Parameter

Array = np.ndarray[Any, Any]

# Options of the originals that are options here.
_OPTIONS = {
    "train_batch_range": "train-range", "test_batch_range": "test-range", "minibatch_size": "mini",
    "num_epochs": "epochs", "testing_freq": "test-freq", "test_one": "test-one", "data_path": "data",
    "inner_size": "crop", "color_noise": "noise",
}  # fmt: skip
# Options that need no counterpart: what they named is in the checkpoint, or they said where to put it.
_DONE = ("dp_type", "crop_border", "scalar_mean", "layer_def", "layer_params", "layer_path", "load_file", "save_path",
         "save_file_override", "conv_to_local", "unshare_weights", "gpu", "num_gpus")  # fmt: skip
_CROPPED = "cifar-cropped"


@dataclass(frozen=True)
class Imported:
    """What was made of a checkpoint. notes: in words, what could not be taken over."""

    original: OriginalCheckpoint
    graph: LayerGraph
    checkpoint: Checkpoint
    notes: list[str]


def import_original(path: Path) -> Imported:
    """Read a checkpoint of the originals, or the newest one in a folder, and make it one of ours.

    Raises:
        ConvnetError: if it is damaged, or if its net cannot be built here.
    """
    original = load_original(path)
    layers, params = cfg_files(original)
    shapes, report = data_shapes(original), Report()
    whole = parse(layers, f"{original.file}: {LAYERS}", report)
    graph = build_graph(whole, parse(params, f"{original.file}: {PARAMS}", report), shapes, report)
    weights = {**_weights(original, graph), **_connections(original, graph)}
    options, left = _options(original, shapes[0].maps)
    state, lost = training_state(original, graph, options)
    data = {"shapes": [str(shape.maps or shape.features) for shape in shapes[:2]]}  # data may lack the label matrix
    files = layer_file(graph, alone=False), parameter_file(graph)
    checkpoint = Checkpoint(*files, to_plain(merged(options)), {}, data, state, weights, {})
    return Imported(original, graph, checkpoint, [*map(str, report.notes), *functions_left_out(original), *left, *lost])


def save_import(imported: Imported, run: Path) -> Path:
    """Write what was imported as the one checkpoint of a new run; the path of the checkpoint.

    Raises:
        ConvnetError: if there is something at `run` already, or it cannot be written.
    """
    try:
        run.mkdir(parents=True)
    except FileExistsError as error:
        raise ConvnetError(f"{run}: expected a folder that is not there yet") from error
    except OSError as error:
        raise ConvnetError(f"{run}: the run's folder cannot be made: {error.strerror}") from error
    return imported.checkpoint.save(run)


def data_shapes(original: OriginalCheckpoint) -> list[Shape]:
    """The shapes of the data provider's matrices: images, labels, then what else layers show."""
    layers = [layer for layer in original.layers.values() if layer["type"] == "data"]
    sizes = {1: 1}
    for layer in layers:
        index, size = layer.get("dataIdx"), layer.get("end", layer.get("outputs"))
        if type(index) is not int or type(size) is not int or not 0 <= index < len(original.layers):
            raise ConvnetError(f"{original.file}: layer '{layer['name']}': expected dataIdx and outputs, found others")
        sizes[index] = max(size, sizes.get(index, 0))
    shapes = [Shape(sizes.get(index, 1)) for index in range(max(sizes) + 1)]
    images = [layer["name"] for layer in layers if layer["dataIdx"] == 0]
    for channels in (*_channels(original.layers, images, shapes[0].features), 3, 1):
        maps = shapes[0].square_maps(channels)
        if maps is not None and images:
            return [Shape.of_maps(*maps), *shapes[1:]]
    return shapes


def _channels(layers: dict[str, Layer], names: Sequence[str], features: int) -> Iterator[int]:
    """The channels that layers above these read their output with, looking through layers of the same size."""
    waiting, seen = list(names), set(names)
    while waiting:
        source = waiting.pop(0)
        for name, layer in layers.items():
            channels = layer.get("channels")
            for index in [index for index, below in enumerate(layer.get("inputs", [])) if below == source]:
                found = channels[index] if isinstance(channels, list) and index < len(channels) else channels
                if type(found) is int:
                    yield found
                elif layer.get("outputs") == features and name not in seen:
                    waiting.append(name)
                    seen.add(name)


def _weights(original: OriginalCheckpoint, graph: LayerGraph) -> dict[str, Array]:
    """The weights and their increments by the names that checkpoints here give them."""
    found = {}
    for parameter in graph.parameters:
        found[parameter.name] = _array(original, parameter, "")
        found[f"{parameter.name}.inc"] = _array(original, parameter, "Inc")
        for replica in range(sums_kept(graph, parameter)):  # the originals do not save them: sums begin anew
            found[f"{parameter.name}.grad.{replica}"] = np.zeros(parameter.matrix.shape, np.float32)
    return found


def _array(original: OriginalCheckpoint, parameter: Parameter, ending: str) -> Array:
    key = f"{'weights' if parameter.index is not None else 'biases'}{ending}"
    held, shape = original.layers[parameter.layer].get(key), parameter.matrix.shape
    if parameter.index is not None:
        held = held[parameter.index] if isinstance(held, list) and parameter.index < len(held) else None
    if not isinstance(held, np.ndarray) or held.shape != shape or held.dtype.kind != "f":
        found = f"{held.dtype} of {held.shape}" if isinstance(held, np.ndarray) else type(held).__name__
        where = f"{original.file}: layer '{parameter.layer}': {key}"
        matrix = f"[{parameter.index}]" if parameter.index is not None else ""
        raise ConvnetError(f"{where}{matrix}: expected numbers of the shape {shape}, found {found}")
    return np.ascontiguousarray(held, np.float32)


def _connections(original: OriginalCheckpoint, graph: LayerGraph) -> dict[str, Array]:
    """The connections of layers with randSparse, which the originals keep as `filterConns`, a list for each input."""
    found: dict[str, Array] = {}
    for name in connections(graph):
        layer, _, index = name.rsplit(".", 2)
        held = original.layers[layer].get("filterConns")
        try:
            found[name] = np.array(held[int(index)], np.int64)  # type: ignore[index]
        except (TypeError, ValueError, LookupError, OverflowError) as error:
            raise ConvnetError(f"{original.file}: layer '{layer}': expected filterConns: {error}") from error
    try:
        set_connections(graph, found)
    except ValueError as error:
        raise ConvnetError(f"{original.file}: filterConns: {error}") from error
    return connections(graph)


def _options(original: OriginalCheckpoint, images: Maps | None) -> tuple[Options, list[str]]:
    """Our options, and in words those that cannot be taken over."""
    theirs = {name: value for name, value in original.options.items() if value not in (None, "")}
    taken, provider = dict(_OPTIONS), theirs.get("dp_type")
    if provider == _CROPPED:
        taken["crop_border"] = "crop-border"
    if theirs.get("scalar_mean") != -1:
        taken["scalar_mean"] = "scalar-mean"
    if provider in provider_names():
        taken["dp_type"] = "data-provider"
    options = {ours: _parsed(original, name, ours) for name, ours in taken.items() if name in theirs}
    return {**options, "input": images}, list(_left_out(original))


def _parsed(original: OriginalCheckpoint, name: str, ours: str) -> Any:
    """The value of an option, read as our option of that name."""
    value = original.options[name]
    if isinstance(value, list) and value and all(type(item) is int for item in value):
        value = f"{value[0]}-{value[-1]}"
    key = next(key for key in ALL if key.name == ours)
    try:
        if not isinstance(value, str | int | float):
            raise unexpected(key.kind.expected, type(value).__name__)
        return key.kind.parse(str(value))
    except ValueError as error:
        raise ConvnetError(f"{original.file}: option {name}: {error}") from error


def _left_out(original: OriginalCheckpoint) -> Iterator[str]:
    provider = original.options.get("dp_type")
    if provider not in (None, "", *provider_names()):
        yield f"the data provider {_shown(provider)} is not known here: the data is recognized by its form"
    for name in sorted(original.given - {*_OPTIONS, *_DONE}):
        yield f"the option {_shown(name)} has no counterpart here"


def _shown(value: object) -> str:
    return ascii(value)[:80] if isinstance(value, str) else type(value).__name__
