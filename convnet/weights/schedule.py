"""Learning rates that change over training, as cuda-convnet2 writes them.

`progress` runs from 0 to 1 over all epochs of a training run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ParameterSchedule:
    """A rate over training.

    const: base. linear: base (1-p) + base/tgtFactor p. exp: base tgtFactor^-p. dexp: exp in `numSteps` equal steps,
    base tgtFactor^(-i/(numSteps-1)) for step i.
    """

    kind: str
    base: float
    target_factor: float = 1.0
    steps: int = 1

    def value(self, progress: float) -> float:
        """The rate when `progress` (0..1) of training is done."""
        return _VALUES[self.kind](self, progress)

    @property
    def learns(self) -> bool:
        """False if the rate is 0 throughout: such weights are neither updated nor decayed."""
        return self.base != 0

    def __str__(self) -> str:
        if self.kind == "const":
            return f"{self.base:g}"
        steps = f";numSteps={self.steps}" if self.kind == "dexp" else ""
        return f"{self.kind}[base={self.base:g};tgtFactor={self.target_factor:g}{steps}]"


def _discrete(schedule: ParameterSchedule, progress: float) -> float:
    step = min(schedule.steps - 1, max(0, math.ceil(progress * schedule.steps - 1e-9) - 1))
    return schedule.base * float(schedule.target_factor ** (-step / (schedule.steps - 1)))


_VALUES: dict[str, Callable[[ParameterSchedule, float], float]] = {
    "const": lambda s, _: s.base,
    "linear": lambda s, p: s.base * (1 - p) + s.base / s.target_factor * p,
    "exp": lambda s, p: s.base * float(s.target_factor**-p),
    "dexp": _discrete,
}
_ARGUMENTS = {
    "const": ("base",),
    "linear": ("base", "tgtfactor"),
    "exp": ("base", "tgtfactor"),
    "dexp": ("base", "tgtfactor", "numsteps"),
}


def parse_schedule(text: str) -> ParameterSchedule:
    """`0.01`, `1e-2` or `dexp[base=0.01;tgtFactor=250;numSteps=4]`; names in any case, arguments in any order.

    Raises:
        ValueError: what was expected and what was found.
    """
    try:
        return _checked(ParameterSchedule("const", float(text)), text)
    except (ValueError, OverflowError):
        pass
    match = re.fullmatch(r"(\w+)\s*\[(.*)\]", text.strip(), re.DOTALL)
    if not match or match[1].lower() not in _ARGUMENTS:
        raise ValueError(
            "expected a rate of at least 0 or a schedule (const, linear, exp or dexp, as in "
            f"dexp[base=0.01;tgtFactor=250;numSteps=4]), found '{text}'"
        )
    kind = match[1].lower()
    values = _arguments(kind, match[2], text)
    steps = values.get("numsteps", 1.0)
    if kind == "dexp" and not (steps.is_integer() and steps >= 2):
        raise ValueError(f"expected numSteps to be an integer of at least 2, found '{text}'")
    return _checked(ParameterSchedule(kind, values["base"], values.get("tgtfactor", 1.0), int(steps)), text)


def _arguments(kind: str, inside: str, text: str) -> dict[str, float]:
    values: dict[str, float] = {}
    for item in inside.split(";"):
        name, _, value = (part.strip() for part in item.partition("="))
        if name.lower() in values:
            raise ValueError(f"expected {name} once, found '{text}'")
        try:
            values[name.lower()] = float(value)
        except ValueError:
            raise ValueError(f"expected name=number between ';', found '{item.strip()}' in '{text}'") from None
    if sorted(values) != sorted(_ARGUMENTS[kind]):
        names = {"base": "base", "tgtfactor": "tgtFactor", "numsteps": "numSteps"}
        wanted = ";".join(f"{names[name]}=..." for name in _ARGUMENTS[kind])
        raise ValueError(f"expected {kind}[{wanted}], found '{text}'")
    return values


def _checked(schedule: ParameterSchedule, text: str) -> ParameterSchedule:
    if not (math.isfinite(schedule.base) and schedule.base >= 0):
        raise ValueError(f"expected a rate of at least 0, found '{text}'")
    if not (math.isfinite(schedule.target_factor) and schedule.target_factor > 0):
        raise ValueError(f"expected a tgtFactor above 0, found '{text}'")
    if not _ends_finite(schedule):
        raise ValueError(f"expected a tgtFactor that leaves the rate a finite number, found '{text}'")
    return schedule


def _ends_finite(schedule: ParameterSchedule) -> bool:
    try:
        return math.isfinite(schedule.value(1.0))
    except OverflowError:
        return False
