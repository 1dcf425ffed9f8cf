"""From the layers in a checkpoint of cuda-convnet to the two cfg files they were parsed from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from convnet.config.keys import Key
from convnet.config.writer import section_text
from convnet.errors import ConvnetError
from convnet.layers import layer_type, unknown_type
from convnet.layers.base import Layer as LayerType
from convnet.layers.common import common_keys, common_params
from convnet.layers.norm import NormLayer
from convnet.training.original_checkpoints import Layer, OriginalCheckpoint

# Keys that give functions in modules: the checkpoint has what they gave, and is not to name code that is run.
_FUNCTIONS = ("initWFunc", "initBFunc", "initCFunc")


def cfg_files(original: OriginalCheckpoint) -> tuple[str, str]:
    """The texts of a layer file and a parameter file that make the net of a checkpoint, defaults and all.

    Raises:
        ConvnetError: if a layer is of an unknown type, or has a value that its parser cannot have given.
    """
    neurons = _neurons(original.layers)
    gpus = any(layer.get("gpu", [0]) not in ([0], [-1]) for layer in original.layers.values())
    layer_file, params_file = "", ""
    for name, layer in original.layers.items():
        if name in neurons:
            continue
        cls = layer_type(layer["type"])
        if cls is None:
            raise ConvnetError(f"{original.file}: layer '{name}': {unknown_type(ascii(layer['type'])[1:-1][:80])}")
        section = _Section(original, layer, cls)
        inputs = [neurons.get(source, source) for source in layer.get("inputs", [])]
        wiring = [("type", cls.type), *([("inputs", ",".join(inputs))] if inputs else [])]
        layer_file += section_text(name, [*wiring, *section.lines(_layer_keys(cls, gpus=gpus))])
        params_file += section_text(name, section.lines((*cls.params, *common_params(cls))))
    return layer_file, params_file


def functions_left_out(original: OriginalCheckpoint) -> Iterator[str]:
    """In words, each key that gives a function; the files have none of them."""
    for name, layer in original.layers.items():
        for key in _FUNCTIONS:
            if layer.get(key):
                yield f"[{name}] {key}: the checkpoint has what the function gave, and the files do not name it"


def _neurons(layers: dict[str, Layer]) -> dict[str, str]:
    """The layers that stand for `neuron=` of a layer, and that layer. All that reads it was linked to them."""

    def has_neuron(name: str) -> bool:
        return layers[name]["type"] != "neuron" and bool(layers[name].get("neuron"))

    return {
        name: layer["inputs"][0]
        for name, layer in layers.items()
        if layer["type"] == "neuron" and len(layer.get("inputs", [])) == 1 and has_neuron(layer["inputs"][0])
    }


def _layer_keys(cls: type[LayerType], *, gpus: bool) -> list[Key]:
    keys = (*common_keys(cls), *cls.keys)
    return [key for key in keys if key.name not in _FUNCTIONS and (gpus or key.name != "gpu")]


class _Section:
    """Writes the keys of one layer: what the parser computed of a key is turned back into what was written."""

    def __init__(self, original: OriginalCheckpoint, layer: Layer, cls: type[LayerType]) -> None:
        self._original, self._layer, self._cls = original, layer, cls

    def lines(self, keys: Sequence[Key]) -> list[tuple[str, str]]:
        """Name and value of each key that the layer has."""
        found = [(key.name, self._text(key.name)) for key in keys]
        return [(name, text) for name, text in found if text]

    def _text(self, key: str) -> str:
        try:
            value = self._value(key)
            return "" if value is None else _text(value)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            where = f"{self._original.file}: layer '{self._layer['name']}': {key}"
            raise ConvnetError(f"{where}: expected a value that cuda-convnet's parser gives ({error!r})") from error

    def _value(self, key: str) -> Any:
        """What was written for a key; None if nothing was."""
        if key == "scale" and issubclass(self._cls, NormLayer):
            return _norm_scale(self._layer)
        back = _BACK.get((self._cls.type, key)) or _BACK.get(("", key))
        if back is None or (key not in self._layer and key != "weightSource"):
            return self._layer.get(key)
        return back(self._layer, self._original.layers)


def _text(value: Any) -> str:
    """A value as cfg files have it. Raises TypeError for what they cannot hold."""
    items = value if isinstance(value, list) else [value]
    return ",".join(_function(item) if isinstance(item, dict) else _plain(item) for item in items)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str) and value.isprintable() and " ;" not in value:
        return value
    raise TypeError(type(value).__name__)


def _function(value: dict[str, Any]) -> str:
    """A neuron or a schedule: its name and its parameters."""
    name, parameters = _plain(value["type"]), value["params"]
    if name == "const":
        return _plain(parameters["base"])
    if "base" in parameters:
        order = ("base", "tgtFactor", "numSteps")
        return f"{name}[{';'.join(f'{key}={_plain(parameters[key])}' for key in order if key in parameters)}]"
    inside = ",".join(_plain(parameters[key]) for key in sorted(parameters))  # a, b
    return f"{name}[{inside}]" if inside else name


def _norm_scale(layer: Layer) -> Any:
    """The parser divided it by the numbers in a window; the quotient's rounding is taken away again."""
    numbers = layer["size"] if layer["type"] == "cmrnorm" else layer["size"] ** 2
    return float(f"{layer['scale'] * numbers:.12g}") if "scale" in layer else None


def _weight_source(layer: Layer, _layers: dict[str, Layer]) -> str | None:
    sources, indices = layer.get("weightSourceLayers", []), layer.get("weightSourceMatrixIndices", [])
    named = [f"{name}[{_plain(index)}]" if name else "" for name, index in zip(sources, indices, strict=True)]
    return ",".join(named) if any(named) else None


def _range_end(layer: Layer, layers: dict[str, Layer]) -> Any:
    """The end of a part of a matrix; None where the layer reaches as far as any that shows the matrix."""
    ends = [other.get("end", 0) for other in layers.values() if other.get("dataIdx") == layer["dataIdx"]]
    return layer["end"] if layer["end"] < max(ends) else None


# How what was written follows from the layer, by type ("" for any) and key.
_BACK: dict[tuple[str, str], Callable[[Layer, dict[str, Layer]], Any]] = {
    ("", "padding"): lambda layer, _: [-pixels for pixels in layer["padding"]],
    ("", "filters"): lambda layer, _: [layer["filters"] // groups for groups in layer["groups"]],
    ("", "filterChannels"): lambda layer, _: layer["filterChannels"] if any(layer.get("randSparse", [])) else None,
    ("", "weightSource"): _weight_source,
    ("data", "end"): _range_end,
    ("sfc", "outputs"): lambda layer, _: layer["outputs"] // layer["parts"],
    ("cmpool", "outputs"): lambda layer, _: layer["outputChannels"],
}
