"""Layer types. A type is one class in one file of this folder; putting a file here is all it takes to add one."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from convnet.config.nearest import nearest
from convnet.layers.base import Layer
from convnet.ops.neuron import NAMES as NEURONS


@cache
def layer_types() -> dict[str, type[Layer]]:
    """All layer types by the name they bear in layer files, in alphabetical order."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    found = _concrete(Layer)  # type: ignore[type-abstract]
    return {cls.type: cls for cls in sorted(found, key=lambda cls: cls.type)}


def unknown_type(name: str) -> str:
    """What to tell a user who took `name` for a layer type."""
    types, function = layer_types(), name.partition("[")[0].strip().lower()
    if function in NEURONS:
        hint = f"'{function}' is a neuron: write neuron={name.lower()} in a layer"
    else:
        near = nearest(name, types)
        hint = f"did you mean '{near}'?" if near else f"expected one of {', '.join(types)}"
    return f"unknown layer type '{name}'; {hint}"


def _concrete(cls: type[Layer]) -> list[type[Layer]]:
    named = [cls] if "type" in cls.__dict__ and cls.type else []
    return named + [found for child in cls.__subclasses__() for found in _concrete(child)]
