"""From a plan to something that runs: arrays in place of tensors, launches in place of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from convnet import ops
from convnet.backends import Device
from convnet.backends.launches import Passing
from convnet.errors import ConvnetError
from convnet.plan.memory import users
from convnet.plan.step import COPY, Plan, Step
from convnet.tensor import Bound, Memory, Tensor
from convnet.weights.store import WeightStore

Launch = Callable[[], None]


class BoundPlan:
    """A plan with memory on devices. Steps are prepared once for each number of cases that occurs, then kept.

    `devices`: open devices, by the numbers that the plan gives them.

    Raises:
        ConvnetError: if one of them lacks an operation, or memory.
    """

    def __init__(self, plan: Plan, store: WeightStore, devices: Mapping[int, Device]) -> None:
        self.plan, self._store, self._devices = plan, store, devices
        for step in (*plan.train, *plan.test):
            if step.operation != COPY:
                _function(step, devices[step.device].backend)
        self._arenas = {index: devices[index].allocate(size) for index, size in plan.arenas.items()}
        self._ready: dict[tuple[bool, int], list[tuple[Step, Launch]]] = {}
        self._joined: dict[tuple[bool, int], list[tuple[Step, Launch]]] = {}
        self._arrays: dict[tuple[Tensor, int], Any] = {}  # memory does not move

    def program(self, *, training: bool, cases: int) -> list[tuple[Step, Launch]]:
        """The steps of a minibatch of `cases` cases, each with its launch, in order."""
        key = (training, cases)
        if key not in self._ready:
            steps, parts = self.plan.train if training else self.plan.test, self.plan.cut(cases)
            self._ready[key] = [(step, self._prepare(step, *parts[step.part])) for step in steps]
        return self._ready[key]

    def joined(self, *, training: bool, cases: int) -> list[tuple[Step, Launch]]:
        """As `program`, with one launch for steps that are always run together; the first one of them stands for all.

        Those are neighbours of one phase, of one device, in the same minibatches.
        """
        key = (training, cases)
        if key not in self._joined:
            program, found = self.program(training=training, cases=cases), []
            uses = users([step for step, _ in program])
            for _, items in groupby(program, key=lambda item: (item[0].phase, item[0].device, item[0].every)):
                steps, launches = zip(*items, strict=True)
                passing = self._passing(steps, uses, cases)
                found.append((steps[0], self._devices[steps[0].device].joined(launches, passing)))
            self._joined[key] = found
        return self._joined[key]

    def _passing(self, steps: Sequence[Step], uses: Mapping[Memory, Sequence[int]], cases: int) -> list[Passing]:
        """What passes between these steps alone. uses: the steps of the whole program that use each block."""
        parts, found = self.plan.cut(cases), []
        for memory, numbers in users(steps).items():
            own = memory.space == "activations" and memory.per_case and not memory.pinned
            if own and 1 < len(numbers) == len(uses[memory]):
                step = steps[numbers[0]]
                tensor = next(tensor for tensor in step.tensors() if tensor.memory is memory)
                found.append(Passing(self.array(tensor, parts[step.part][1]), frozenset(numbers)))
        return found

    def forget(self) -> None:
        """Prepare steps anew when they are next wanted."""
        self._ready.clear()
        self._joined.clear()

    def array(self, tensor: Tensor, cases: int) -> Any:
        """The array that stands for a tensor in a run of `cases` cases."""
        key = (tensor, cases)
        if key not in self._arrays:
            self._arrays[key] = self._array(tensor, cases)
        return self._arrays[key]

    def _array(self, tensor: Tensor, cases: int) -> Any:
        memory, shape = tensor.memory, tensor.array_shape(cases)
        if memory.space != "activations":
            return self._store.array(memory.space, memory.device, memory.offset, shape)
        device, arena = self._devices[memory.device], self._arenas[memory.device]
        return device.array(arena, memory.offset, shape, self.plan.types.of(memory))

    def _prepare(self, step: Step, first: int, cases: int) -> Launch:
        """The launch of a step for so many cases, the first of which has this number within the minibatch."""
        device = self._devices[step.device]
        if not cases and any(tensor.memory.per_case for tensor in step.tensors()):
            return self._prepare_empty(step, device)
        if step.operation == COPY:
            source, target = step.arguments
            return device.receive(
                self._devices[source.memory.device], self.array(source, cases), self.array(target, cases)
            )
        operation = _function(step, device.backend)
        arguments = [self._value(argument, first, cases) for argument in step.arguments]
        parameters = {key: self._value(value, first, cases) for key, value in step.parameters.items()}
        launch: Launch = device.in_turn(operation(device, *arguments, **parameters))
        return launch

    def _prepare_empty(self, step: Step, device: Device) -> Launch:
        """Nothing to compute, but the gradients of weights that it would have set are 0."""
        found = [tensor for tensor in step.tensors() if tensor.memory.space == "gradients"]
        gradients = [] if step.parameters.get("accumulate") else [self.array(tensor, 0) for tensor in found]
        clear = ops.load("flat", device.backend).clear
        launches = [device.in_turn(clear(device, gradient.reshape(-1))) for gradient in gradients]

        def launch() -> None:
            for each in launches:
                each()

        return launch

    def _value(self, value: Any, first: int, cases: int) -> Any:
        if isinstance(value, Tensor):
            return self.array(value, cases)
        if isinstance(value, list):
            return [self._value(item, first, cases) for item in value]
        return first if value is Bound.FIRST_CASE else value


def _function(step: Step, backend: str) -> Any:
    """The function that prepares a step.

    Raises:
        ConvnetError: if this backend has none; another one never takes its place.
    """
    name, _, function = step.operation.partition(".")
    try:
        module = ops.load(name, backend)
    except ModuleNotFoundError as error:
        if error.name != f"{ops.__name__}.{name}.{backend}":
            raise
        module = None
    if not hasattr(module, function):
        raise ConvnetError(f"layer '{step.layer}' cannot run on {backend}: {step.operation} is not there for it")
    return getattr(module, function)
