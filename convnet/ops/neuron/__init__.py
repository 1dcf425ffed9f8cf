"""Neurons: a function f of one number, applied to every number of an array.

    name        f(x)                derivative          computed from
    ident       x                   1                   y
    logistic    1 / (1 + e^-x)      y (1 - y)           y
    relu        max(0, x)           y > 0               y
    brelu[a]    min(a, max(0, x))   0 < y < a           y
    softrelu    log(1 + e^x)        1 - e^-y            y
    abs         |x|                 1 if x > 0 else -1  x
    square      x^2                 2 x                 x
    sqrt        sqrt(x)             1 / (2 y)           y
    tanh[a,b]   a tanh(b x)         b (a - y^2 / a)     y
    linear[a,b] a x + b             a                   y
    log[a]      log(a + x)          1 / (a + x)         x
    drelu[a]    x - a tanh(x / a)   tanh(x / a)^2       x

These are cuda-convnet2's, except that softrelu is exact (cuda-convnet2 takes x itself above 4).

A backend gives
    fprop(dev, x, y, f)                         y = f(x); y may be x itself
    bprop(dev, dy, xy, dx, f, *, accumulate)    dx (+)= dy f'; `xy` is y where `f.from_output`, otherwise x;
                                                dx may be dy itself unless `accumulate`
for arrays of any shape, all alike.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass

_PARAMETERS = {
    "ident": (),
    "logistic": (),
    "relu": (),
    "brelu": ("a",),
    "softrelu": (),
    "abs": (),
    "square": (),
    "sqrt": (),
    "tanh": ("a", "b"),
    "linear": ("a", "b"),
    "log": ("a",),
    "drelu": ("a",),
}
NAMES = tuple(_PARAMETERS)
_FROM_INPUT = ("abs", "square", "log", "drelu")
_EXAMPLES = {
    "brelu": "[6]",
    "tanh": "[1.7,0.6]",
    "linear": "[0.00390625,0]",
    "log": "[1]",
    "drelu": "[1]",
}
_DIVIDE = ("tanh", "drelu")  # by their first parameter
_TEXT = re.compile(r"\s*(?P<name>\w+)\s*(?:\[(?P<values>[^\[\]]*)\])?\s*")


@dataclass(frozen=True)
class NeuronFunction:
    """A neuron's name and parameters; see the table above. Raises ValueError for an unknown name."""

    name: str
    a: float = 0.0
    b: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in _PARAMETERS:
            raise ValueError(f"unknown neuron '{self.name}'")
        for parameter in ("a", "b"):  # kernels tell whole numbers from others
            object.__setattr__(self, parameter, float(getattr(self, parameter)))

    @property
    def code(self) -> int:
        """The number by which kernels know this function."""
        return list(_PARAMETERS).index(self.name)

    @property
    def from_output(self) -> bool:
        """Whether the derivative is computed from y alone, so that x need not be kept."""
        return self.name not in _FROM_INPUT


IDENT = NeuronFunction("ident")  # what an operation applies where no neuron is fused into it


def parse(text: str) -> NeuronFunction:
    """The neuron that a cfg file's `neuron=` names, such as `relu` or `tanh[1.7, 6e-1]`.

    Raises ValueError, with what was probably meant and all neurons listed, if the name, the number of parameters or a
    parameter is wrong.
    """
    match = _TEXT.fullmatch(text)
    name = match["name"].lower() if match else ""
    values = _numbers(match["values"] if match else None)
    if values is None or len(values) != len(_PARAMETERS.get(name, values)) or name not in _PARAMETERS:
        raise ValueError(f"expected a neuron, found '{text}'{_hint(text)} (neurons: {_listing()})")
    if not all(map(math.isfinite, values)) or (name in _DIVIDE and values[0] == 0):
        limit = ", the first not 0," if name in _DIVIDE else ""
        raise ValueError(f"expected finite numbers{limit} for {name}, found '{text}'")
    return NeuronFunction(name, *values)


def _numbers(text: str | None) -> list[float] | None:
    """Comma-separated numbers; none without text; None if something is not a number."""
    if text is None:
        return []
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        return None


def _hint(text: str) -> str:
    """What was probably meant by a wrong text, to follow it in a message."""
    name = text.partition("[")[0].strip().lower()
    if name in _PARAMETERS:
        count = len(_PARAMETERS[name])
        needed = f"needs {count} number{'s' * (count > 1)}, as in" if count else "takes no numbers, as in"
        return f"; {name} {needed} {name}{_EXAMPLES.get(name, '')}"
    near = difflib.get_close_matches(name, _PARAMETERS, n=1)
    return f"; did you mean '{_form(near[0])}'?" if near else ""


def _form(name: str) -> str:
    """A neuron with the names of its parameters."""
    words = _PARAMETERS[name]
    return f"{name}[{','.join(words)}]" if words else name


def _listing() -> str:
    return ", ".join(map(_form, _PARAMETERS))
