"""Learning rates over training, and how they are written: cuda-convnet2's schedules, those of 2012, and two more.

A rate is a function of how far training is (`Progress`) and of nothing else: a run that goes on with another number of
epochs or another parameter file has the rates that its schedules give there now.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from convnet.config.kinds import Custom, Float, Int, Kind, ListOf, unexpected
from convnet.config.nearest import nearest
from convnet.config.report import quoted


@dataclass(frozen=True)
class Progress:
    """How far training is when a data batch begins.

    `fraction` (0..1): of all epochs, what is done. `epoch`: that of the batch, from 1. `errors`: of all tests so far.
    """

    fraction: float = 0.0
    epoch: int = 1
    errors: Sequence[float] = ()


@dataclass(frozen=True)
class ParameterSchedule:
    """A rate over training; p is `Progress.fraction`, f is `target_factor`.

    const: base. linear: base (1-p) + base/f p. exp: base f^-p. dexp: exp in `steps` equal steps, base f^(-i/(steps-1))
    in step i; base/f if there is one alone. jdexp: dexp, but base f^(-(i-1/2)/(steps-1)) in the second half of step i,
    if i > 0 and 0.2 < p < 0.9. step: base f^-n in and after the n-th of `epochs`. plateau: base f^-n
    after n drops, see `_stalls`.

    Sources: cuda-convnet2, `LearningRates`; AlexNet's source code of 2012, `lr.cu` (jdexp); Krizhevsky et al., NIPS
    2012, section 5 (plateau).
    """

    kind: str
    base: float
    target_factor: float = 1.0
    steps: int = 1
    epochs: tuple[int, ...] = ()
    patience: int = 5
    min_improvement: float = 0.0
    max_drops: int = 3

    def value(self, progress: Progress) -> float:
        """The rate when training is so far."""
        return _VALUES[self.kind](self, progress)

    @property
    def learns(self) -> bool:
        """False if the rate is 0 throughout: such weights are neither updated nor decayed."""
        return self.base != 0

    @property
    def in_steps(self) -> bool:
        """Whether the rate stays for a while and then jumps."""
        return self.kind in ("dexp", "jdexp", "step", "plateau")

    def __str__(self) -> str:
        """As it is written in a parameter file."""
        if self.kind == "const":
            return _written(self.base)
        return f"{self.kind}[{';'.join(f'{n}={_written(getattr(self, _FIELDS[n]))}' for n in _names(self.kind))}]"


@dataclass(frozen=True)
class Decay:
    """What `schedW` and `schedB` say: how a rate changes, without the rate. `noise`: they named a noise, of 0."""

    shape: ParameterSchedule
    noise: bool = False

    def of(self, rate: ParameterSchedule) -> ParameterSchedule:
        """The schedule that begins with a constant rate."""
        return replace(self.shape, base=rate.base)


def _power(schedule: ParameterSchedule, exponent: float) -> float:
    return schedule.base * float(schedule.target_factor**-exponent)


def _linear(schedule: ParameterSchedule, progress: Progress) -> float:
    p = progress.fraction
    return schedule.base * (1 - p) + schedule.base / schedule.target_factor * p


def _step_of(schedule: ParameterSchedule, p: float) -> int:
    """The first i for which p <= (i+1)/steps; p is a quotient that rounding may have put beside such a boundary."""
    return min(schedule.steps - 1, max(0, math.ceil(p * schedule.steps - 1e-9) - 1))


def _exponent(schedule: ParameterSchedule, step: float) -> float:
    """How much of the way a step has gone; one step alone is the last, as in the originals."""
    return step / (schedule.steps - 1) if schedule.steps > 1 else 1.0


def _discrete(schedule: ParameterSchedule, progress: Progress) -> float:
    return _power(schedule, _exponent(schedule, _step_of(schedule, progress.fraction)))


def _jumpy(schedule: ParameterSchedule, progress: Progress) -> float:
    p, step = progress.fraction, _step_of(schedule, progress.fraction)
    jumps = step > 0 and 0.2 < p < 0.9 and p * schedule.steps - step > 0.5 + 1e-9
    return _power(schedule, _exponent(schedule, step - 0.5 * jumps))


def _stalls(schedule: ParameterSchedule, progress: Progress) -> int:
    """How often `patience` tests in a row were no better than the best one, by more than `min_improvement`.

    After each time the count of tests begins anew; there are at most `max_drops` times.
    """
    best, waited, drops = math.inf, 0, 0
    for error in progress.errors:
        better = error < best - schedule.min_improvement
        best, waited = (error, 0) if better else (best, waited + 1)
        if waited == schedule.patience:
            waited, drops = 0, drops + 1
    return min(drops, schedule.max_drops)


_VALUES: dict[str, Callable[[ParameterSchedule, Progress], float]] = {
    "const": lambda schedule, _: schedule.base,
    "linear": _linear,
    "exp": lambda schedule, progress: _power(schedule, progress.fraction),
    "dexp": _discrete,
    "jdexp": _jumpy,
    "step": lambda schedule, progress: _power(schedule, sum(epoch <= progress.epoch for epoch in schedule.epochs)),
    "plateau": lambda schedule, progress: _power(schedule, _stalls(schedule, progress)),
}


def _rising(text: str) -> tuple[int, ...]:
    epochs = ListOf(Int(minimum=1)).parse(text)
    if any(later <= earlier for earlier, later in pairwise(epochs)):
        raise unexpected(_EPOCHS, text)
    return tuple(epochs)


_EPOCHS = "epochs that rise, from 1, such as 80,120"
_RATE = Float(minimum=0)
_KINDS: dict[str, Kind[Any]] = {
    "base": _RATE, "tgtFactor": Float(above=0), "numSteps": Int(minimum=1), "epochs": Custom(_EPOCHS, _rising),
    "patience": Int(minimum=1), "minImprovement": Float(minimum=0), "maxDrops": Int(minimum=1),
    "noiseStdev": Float(minimum=0, maximum=0),
}  # fmt: skip
_FIELDS = {
    "base": "base", "tgtFactor": "target_factor", "numSteps": "steps", "epochs": "epochs", "patience": "patience",
    "minImprovement": "min_improvement", "maxDrops": "max_drops",
}  # fmt: skip
_NEEDED = {
    "const": ("base",), "linear": ("base", "tgtFactor"), "exp": ("base", "tgtFactor"),
    "dexp": ("base", "tgtFactor", "numSteps"), "jdexp": ("base", "tgtFactor", "numSteps"),
    "step": ("base", "tgtFactor", "epochs"), "plateau": ("base", "tgtFactor"),
}  # fmt: skip
_OPTIONAL = {"plateau": ("patience", "minImprovement", "maxDrops")}
_CALL = re.compile(r"(\w+)\s*(?:\[(.*)\])?", re.DOTALL)
_BETWEEN = re.compile(r"[;,]\s*(?=[A-Za-z]\w*\s*=)")  # arguments; the commas of a list are followed by numbers

SCHEDULE_TEXT = (
    "a rate: a number of at least 0, or a schedule (const, linear, exp, dexp, jdexp, step or plateau, as in "
    "dexp[base=0.01;tgtFactor=250;numSteps=4])"
)
DECAY_TEXT = "default, or linear, exp, dexp or jdexp as in dexp[tgtFactor=250,noiseStdev=0,numSteps=4]"
_DECAYS = {  # by kind: the orders in which arguments are given without their names
    "linear": (("tgtFactor",), ("tgtFactor", "noiseStdev")),
    "exp": (("tgtFactor",), ("tgtFactor", "noiseStdev")),
    "dexp": (("tgtFactor", "numSteps"), ("tgtFactor", "noiseStdev", "numSteps")),
    "jdexp": (("tgtFactor", "numSteps"), ("tgtFactor", "noiseStdev", "numSteps")),
}


def parse_schedule(text: str) -> ParameterSchedule:
    """`0.01`, `1e-2` or `dexp[base=0.01;tgtFactor=250;numSteps=4]`; names in any case, arguments in any order.

    Raises:
        ValueError: what was expected and what was found.
    """
    match = _CALL.fullmatch(text.strip())
    kind = match[1].lower() if match and match[2] is not None else ""
    if not match or kind not in _NEEDED:
        try:
            return ParameterSchedule("const", _RATE.parse(text))
        except ValueError:
            if match and kind:
                near = nearest(kind, _NEEDED)
                hint = f"; did you mean '{near}'?" if near else ""
                known = f"one of the schedules {', '.join(_NEEDED)}"
                raise ValueError(f"expected {known}, found {quoted(text)}{hint}") from None
            raise unexpected(SCHEDULE_TEXT, text) from None
    given = _arguments(_BETWEEN.split(match[2]), text)
    return _checked(kind, _fields(kind, given, _NEEDED[kind], _OPTIONAL.get(kind, ()), text), text)


def parse_decay(text: str) -> Decay:
    """`default` or `dexp[tgtFactor=250,noiseStdev=0,numSteps=4]`, the dialect of 2012; or `dexp[250,0,4]`, as before.

    Raises:
        ValueError: what was expected and what was found.
    """
    if text.strip().lower() == "default":
        return Decay(ParameterSchedule("const", 1.0))
    match = _CALL.fullmatch(text.strip())
    kind = match[1].lower() if match else ""
    if not match or not match[2] or kind not in _DECAYS:
        raise unexpected(DECAY_TEXT, text)
    items = _BETWEEN.split(match[2]) if "=" in match[2] else _with_names(kind, match[2].split(","), text)
    given = _arguments(items, text)
    needed = tuple(name for name in _NEEDED[kind] if name != "base")
    fields = _fields(kind, given, needed, ("noiseStdev",), text)
    return Decay(_checked(kind, {"base": 1.0, **fields}, text), "noisestdev" in given)


def _with_names(kind: str, values: list[str], text: str) -> list[str]:
    for names in _DECAYS[kind]:
        if len(names) == len(values):
            return [f"{name}={value}" for name, value in zip(names, values, strict=True)]
    raise unexpected(DECAY_TEXT, text)


def _arguments(items: list[str], text: str) -> dict[str, str]:
    """The texts of the arguments by their names in lower case."""
    given: dict[str, str] = {}
    for item in items:
        name, _, value = (part.strip() for part in item.partition("="))
        if name.lower() in given:
            raise unexpected(f"{name} once", text)
        given[name.lower()] = value
    return given


def _fields(
    kind: str, given: dict[str, str], needed: tuple[str, ...], optional: tuple[str, ...], text: str
) -> dict[str, Any]:
    """The fields of the schedule that were given."""
    names = {name.lower(): name for name in (*needed, *optional)}
    if not {name.lower() for name in needed} <= given.keys() <= names.keys():
        rest = f", and if you like {', '.join(optional)}" if optional else ""
        wanted = f"{kind}[{';'.join(f'{name}=...' for name in needed)}]{rest}"
        raise ValueError(f"expected {wanted}, found {_unknown(given, names)}{quoted(text)}{_near(given, names)}")
    values = {names[name]: _value(names[name], value, text) for name, value in given.items()}
    return {_FIELDS[name]: value for name, value in values.items() if name in _FIELDS}


def _unknown(given: Mapping[str, str], names: Mapping[str, str]) -> str:
    """The first argument that has no such name, to go before the schedule in a message."""
    return next((f"{quoted(name)} in " for name in given if name and name not in names), "")


def _near(given: Mapping[str, str], names: Mapping[str, str]) -> str:
    """What was probably meant by that argument, to end the message with."""
    missing = [name for lower, name in names.items() if lower not in given]
    near = next((nearest(name, missing) for name in given if name and name not in names), None)
    return f"; did you mean '{near}'?" if near else ""


def _value(name: str, value: str, text: str) -> Any:
    try:
        return _KINDS[name].parse(value)
    except ValueError:
        wanted = "0 (there is no noise on rates)" if name == "noiseStdev" else _KINDS[name].expected
        raise ValueError(f"expected {name} to be {wanted}, found '{value}' in {quoted(text)}") from None


def _checked(kind: str, fields: dict[str, Any], text: str) -> ParameterSchedule:
    """The schedule, unless it ends beyond all numbers."""
    schedule = ParameterSchedule(kind, **fields)
    drops = {"step": len(schedule.epochs), "plateau": schedule.max_drops}.get(kind, 1)
    try:
        last = _power(schedule, drops)
    except OverflowError:
        last = math.inf
    if not math.isfinite(last):
        raise unexpected("a tgtFactor that leaves the rate a finite number", text)
    return schedule


def _names(kind: str) -> tuple[str, ...]:
    return (*_NEEDED[kind], *_OPTIONAL.get(kind, ()))


def _written(value: float | tuple[int, ...]) -> str:
    """The shortest text that is read as this value again."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return repr(value).removesuffix(".0")
