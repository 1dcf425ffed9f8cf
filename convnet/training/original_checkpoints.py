"""Reads the checkpoints of cuda-convnet and cuda-convnet2.

A checkpoint of theirs is a file `<epoch>.<batchnum>`: a pickle of Python 2, perhaps in a zip or gzip file, of
{"model_state": {"layers", "epoch", "batchnum", "train_outputs", "test_outputs"}, "op": OptionsParser}. cuda-convnet has
a list of layers that name their inputs by index, cuda-convnet2 a dict of them by name. A layer is a dict of all that
its parser read or computed, with its weights. No code of a checkpoint is run: see `convnet.data.unpickle`.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convnet.data.unpickle import Inert, unpickle
from convnet.errors import ConvnetError

# Where the originals' class OptionsParser and its like lie, in cuda-convnet and in cuda-convnet2.
_OPTION_MODULES = ("options", "python_util.options")
_NAME = re.compile(r"(\d+)\.(\d+)")
_ZIP, _GZIP, _ZIP_MEMBER = b"PK\3\4", b"\x1f\x8b", "data"

Layer = dict[str, Any]


@dataclass(frozen=True)
class OriginalCheckpoint:
    """What a checkpoint holds, in the form of cuda-convnet2 whichever wrote it.

    file: that was read. version: 1 or 2. epoch, batchnum: of the batch trained last. layers: by name, in the
    order of the layer file, with all that the parser knew: "type", "inputs" (names), "weights" and "weightsInc" (one
    matrix an input), "biases", "biasesInc", "weightSourceLayers" (names, "" for an own matrix) and so on. options: by
    name. given: of them, those that the command line gave. train_outputs, test_outputs: for each batch trained and each
    test the numbers of each cost layer and the cases; cuda-convnet has averages, cuda-convnet2 sums.
    """

    file: Path
    version: int
    epoch: int
    batchnum: int
    layers: dict[str, Layer]
    options: dict[str, Any]
    given: frozenset[str]
    train_outputs: list[Any]
    test_outputs: list[Any]


def load_original(path: Path) -> OriginalCheckpoint:
    """Read a checkpoint, or the newest one in a folder.

    Raises:
        ConvnetError: if there is none, if it is damaged, or if anything but plain values, arrays and options is in it.
    """
    file = newest_original(path)
    found = unpickle(_content(file), str(file), inert=_OPTION_MODULES, text=True)
    reader = _Reader(file)
    state = reader.typed(found.get("model_state"), dict, "model_state")
    epoch, batchnum = (reader.typed(state.get(name), int, name) for name in ("epoch", "batchnum"))
    trained, tested = (reader.typed(state.get(name, []), list, name) for name in ("train_outputs", "test_outputs"))
    if epoch < 1:
        raise reader.error("epoch", "a number of at least 1", epoch)
    layers = state.get("layers")
    options, given = reader.options(found.get("op"))
    version = 1 if isinstance(layers, list) else 2
    return OriginalCheckpoint(file, version, epoch, batchnum, reader.layers(layers), options, given, trained, tested)


def newest_original(path: Path) -> Path:
    """`path` itself if it is a file; of a folder, the checkpoint of the latest epoch and batch.

    Raises:
        ConvnetError: if there is none.
    """
    try:
        if not path.is_dir():
            return path
        matches = [(_NAME.fullmatch(file.name), file) for file in path.iterdir() if file.is_file()]
    except OSError as error:
        raise ConvnetError(f"{path}: the folder cannot be read: {error.strerror}") from error
    found = [((int(match[1]), int(match[2])), file) for match, file in matches if match]
    if not found:
        raise ConvnetError(f"{path}: expected a checkpoint of cuda-convnet, a file such as 12.5, in this folder")
    return max(found)[1]


def _content(file: Path) -> bytes:
    """The pickle in a file, which `--zip-save` compresses."""
    try:
        content = file.read_bytes()
        if content.startswith(_ZIP):
            return zipfile.ZipFile(io.BytesIO(content)).read(_ZIP_MEMBER)
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError) as error:
        raise ConvnetError(f"{file}: expected a compressed checkpoint of cuda-convnet: {error}") from error
    except OSError as error:
        raise ConvnetError(f"{file}: the checkpoint cannot be read: {error.strerror or error}") from error


class _Reader:
    """Takes a checkpoint apart, and tells of its file what is not as it should be."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def error(self, where: str, expected: str, found: object) -> ConvnetError:
        """An error about what is in the file."""
        return ConvnetError(f"{self._file}: {where}: expected {expected}, as cuda-convnet writes it; found {found}")

    def typed(self, value: Any, kind: type, where: str) -> Any:
        """The value, if it is of this type. Raises ConvnetError otherwise."""
        if type(value) is not kind:
            found = "nothing" if value is None else type(value).__name__
            raise self.error(where, "options" if kind is Inert else f"a value of type {kind.__name__}", found)
        return value

    def options(self, parser: object) -> tuple[dict[str, Any], frozenset[str]]:
        """The values of an OptionsParser by the options' names, and the names of those that were given."""
        attributes = self.typed(self.typed(parser, Inert, "op").state, dict, "op")
        held = self.typed(attributes.get("options"), dict, "op: options")
        states = {name: self.typed(self.typed(option, Inert, "op").state, dict, "op") for name, option in held.items()}
        given = frozenset(name for name, state in states.items() if state.get("value_given") is True)
        return {name: state.get("value") for name, state in states.items()}, given

    def layers(self, layers: object) -> dict[str, Layer]:
        """The layers by name, in the order of the layer file."""
        self._check_dialect(layers)
        if isinstance(layers, list):
            held = [self.typed(layer, dict, f"layer {index}") for index, layer in enumerate(layers)]
            names = [self._name(layer, index) for index, layer in enumerate(held)]
            found = [self._by_name(layer, names) for layer in held]
        else:
            by_name = self.typed(layers, dict, "layers").values()
            held = [dict(self.typed(layer, dict, "layers")) for layer in by_name]
            # The numbers are the order of the layer file; layers of `neuron=` come last.
            found = sorted(held, key=lambda layer: int(self.typed(layer.get("id"), int, "the id of a layer")))
            names = [self._name(layer, index) for index, layer in enumerate(found)]
        if len(set(names)) < len(names):
            raise self.error("layers", "different names", next(name for name in names if names.count(name) > 1))
        for layer in found:
            self._check(layer, names)
        return dict(zip(names, found, strict=True))

    def _check_dialect(self, layers: object) -> None:
        """Refuse what the code of 2012 wrote: a dict of layers by name that does not say in which order they stood."""
        held = layers.values() if isinstance(layers, dict) else ()
        if any(isinstance(layer, dict) and "schedW" in layer for layer in held):
            wanted = "a checkpoint of cuda-convnet or cuda-convnet2"
            raise ConvnetError(f"{self._file}: expected {wanted}; those of the code of 2012 cannot be read")

    def _name(self, layer: Layer, index: int) -> str:
        """The name of a layer; in a layer file a ']' would end it, and a line break could begin anything."""
        name: str = self.typed(layer.get("name"), str, f"layer {index}: name")
        if not name.isprintable() or name != name.strip() or not name or set("[],%;#$") & set(name):
            raise self.error(f"layer {index}: name", "a name that a layer file can hold", ascii(name)[:80])
        return name

    def _by_name(self, layer: Layer, names: list[str]) -> Layer:
        """A layer of cuda-convnet with names in place of the numbers of layers."""
        renamed = dict(layer)
        for old, new in (("inputs", "inputs"), ("weightSourceLayerIndices", "weightSourceLayers")):
            if old in layer:
                where = f"layer '{layer['name']}': {old}"
                numbers = [self.typed(number, int, where) for number in self.typed(layer[old], list, where)]
                if not all(-1 <= number < len(names) for number in numbers):
                    raise self.error(where, f"numbers of {len(names)} layers", numbers[:20])
                renamed[new] = [names[number] if number >= 0 else "" for number in numbers]
        return renamed

    def _check(self, layer: Layer, names: list[str]) -> None:
        """Check what every layer has."""
        self.typed(layer.get("type"), str, f"layer '{layer['name']}': type")
        for key, allowed in (("inputs", names), ("weightSourceLayers", [*names, ""])):
            where = f"layer '{layer['name']}': {key}"
            for name in self.typed(layer.get(key, []), list, where):
                if self.typed(name, str, where) not in allowed:
                    raise self.error(where, "names of layers", ascii(name)[:80])
