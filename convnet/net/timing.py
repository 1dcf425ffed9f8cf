"""Times the training step of a net: as a whole, by phase, and step by step of its plan."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

from convnet.net.convnet import ConvNet, Costs
from convnet.pixels import Minibatch
from convnet.plan.step import BPROP, FPROP, SUM, UPDATE, Step
from convnet.plan.work import Work, work_of

# What replicas add up between the backward pass and the update is part of learning.
_PHASES = {FPROP: FPROP, BPROP: BPROP, SUM: UPDATE, UPDATE: UPDATE}
_SECONDS = 2.0  # to measure each of the three for
_FEWEST, _MOST = 3, 50  # measurements


@dataclass(frozen=True)
class StepTime:
    """A step of the plan, the median of its milliseconds, and what it does in them."""

    step: Step
    ms: float
    work: Work

    @property
    def phase(self) -> str:
        """FPROP, BPROP or UPDATE."""
        return _PHASES[self.step.phase]


@dataclass(frozen=True)
class NetTiming:
    """Medians in milliseconds, each measured by itself.

    step_ms: of a training step from the minibatch to its costs, of `repeats` in a row. phases: of the steps of FPROP,
    BPROP and UPDATE, each phase unbroken. steps: of single ones, in the plan's order; their sum may be more than their
    phase takes, in which a device does neighbours case by case.
    """

    step_ms: float
    phases: dict[str, float]
    steps: list[StepTime]
    repeats: int


def time_training(net: ConvNet, data: Minibatch) -> NetTiming:
    """Time the training of a net, with the learning rates that it has, on one minibatch.

    Phases and steps are those of a minibatch in which everything is updated, whatever `updatePeriod` says. A step is
    over when its device has finished: devices that work beside each other in training take turns here. Afterwards
    weights, increments and statistics are what they were.
    """
    with _unchanged(net):
        net.train_minibatch(data)  # compiles, and puts the data where the program reads it
        with _steps_in_a_row(net, data) as step:
            (step_ms,), repeats = _medians(lambda: [_milliseconds(step)])
        phases, _ = _medians(lambda: _by_phase(net, len(data[0])))
        steps, _ = _medians(lambda: _by_step(net, len(data[0])))
        plan, program = net.bound.plan, net.bound.program(training=True, cases=len(data[0]))
        times = [
            StepTime(step, ms, work_of(step, plan, len(data[0])))
            for (step, _), ms in zip(program, steps, strict=True)
        ]  # fmt: skip
        return NetTiming(step_ms, dict(zip(_NAMES, phases, strict=True)), times, repeats)


_NAMES = tuple(dict.fromkeys(_PHASES.values()))


@contextmanager
def _unchanged(net: ConvNet) -> Iterator[None]:
    """Puts everything back that training changes."""
    state, minibatches = net.state(), net.minibatches
    try:
        yield
    finally:
        net.set_state(state)
        net.minibatches = minibatches


@contextmanager
def _steps_in_a_row(net: ConvNet, data: Minibatch) -> Iterator[Callable[[], None]]:
    """A function that trains the minibatch as training does: begun ahead where the devices work beside the host."""
    begun = deque[Callable[[], Costs]]()

    def step() -> None:
        begun.append(net.begin_training(data))
        if len(begun) > net.ahead:
            begun.popleft()()

    for _ in range(net.ahead):
        step()
    yield step
    for costs in begun:
        costs()


def _by_phase(net: ConvNet, cases: int) -> list[float]:
    """The milliseconds of each phase; its steps are in pieces where there are several passes over the net."""
    found = dict.fromkeys(_NAMES, 0.0)
    program = net.bound.joined(training=True, cases=cases)
    for phase, items in groupby(program, key=lambda item: _PHASES[item[0].phase]):
        launches = [launch for _, launch in items]

        def run(launches: Sequence[Callable[[], None]] = launches) -> None:
            for launch in launches:
                launch()
            for device in net.devices:
                device.finish()

        found[phase] += _milliseconds(run)
    return list(found.values())


def _by_step(net: ConvNet, cases: int) -> list[float]:
    """The milliseconds of each step by itself."""
    found = []
    for step, launch in net.bound.program(training=True, cases=cases):
        began = time.perf_counter()
        launch()
        net.devices[step.device].finish()
        found.append(1000 * (time.perf_counter() - began))
    return found


def _milliseconds(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - began)


def _medians(measure: Callable[[], Sequence[float]]) -> tuple[list[float], int]:
    """The median of each number that `measure` gives, over as many calls as there is time for; and their number."""
    rows, end = list[Sequence[float]](), time.perf_counter() + _SECONDS
    while len(rows) < _FEWEST or (len(rows) < _MOST and time.perf_counter() < end):
        rows.append(measure())
    return [statistics.median(column) for column in zip(*rows, strict=True)], len(rows)
