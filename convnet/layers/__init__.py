"""Layer types. A type is one class in one file of this folder; putting a file here is all it takes to add one."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from convnet.config.nearest import nearest
from convnet.layers.base import Layer
from convnet.ops.neuron import NAMES as NEURONS

# Types of the originals that cannot be had, and why.
_GONE = {
    "treefc": "their weights follow a tree of classes, which no data has here",
    "cost.msm": "nothing here computes a softmax over sets of classes; cost.logreg takes the same labels",
    "cost.gsum2": "its first input said which cases count; cost.sum2 counts every case",
    "cost.tica": "nothing here computes the cost of topographic ICA",
    "sum": "cuda-convnet2 reads the type but cannot run it; pool adds up windows with pool=avg and sum=true",
}


@cache
def layer_types() -> dict[str, type[Layer]]:
    """All layer types by the name they bear in layer files, in alphabetical order."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    found = _concrete(Layer)  # type: ignore[type-abstract]
    return {cls.type: cls for cls in sorted(found, key=lambda cls: cls.type)}


def layer_type(name: str) -> type[Layer] | None:
    """The layer type that a layer file calls `name`, if there is one: by its name, or by that of a dialect."""
    return layer_types().get(name) or _aliases().get(name)


@cache
def _aliases() -> dict[str, type[Layer]]:
    return {alias: cls for cls in layer_types().values() for alias in other_names(cls)}


def other_names(cls: type[Layer]) -> tuple[str, ...]:
    """The names of a layer type in dialects; those of the types that it is derived from are not its own."""
    own: tuple[str, ...] = vars(cls).get("aliases", ())
    return own


def unknown_type(name: str) -> str:
    """What to tell a user who took `name` for a layer type."""
    types, function = layer_types(), name.partition("[")[0].strip().lower()
    if name in _GONE:
        return f"layers of type '{name}' are not supported: {_GONE[name]}"
    if function in NEURONS:
        hint = f"'{function}' is a neuron: write neuron={name.lower()} in a layer"
    else:
        near = nearest(name, types)
        hint = f"did you mean '{near}'?" if near else f"expected one of {', '.join(types)}"
    return f"unknown layer type '{name}'; {hint}"


def _concrete(cls: type[Layer]) -> list[type[Layer]]:
    named = [cls] if "type" in cls.__dict__ and cls.type else []
    return named + [found for child in cls.__subclasses__() for found in _concrete(child)]
