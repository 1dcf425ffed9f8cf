"""Times a net that is given by its files, on random data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convnet.backends import DeviceOptions, open_devices
from convnet.net.machine import DeviceRates, device_rates
from convnet.net.timing import NetTiming, StepTime, time_training
from convnet.plan.step import BPROP, FPROP, UPDATE
from convnet.shape import Maps
from convnet.training.memory import need_told
from convnet.training.options import Options
from convnet.training.runs import net_on
from convnet.training.session import NetFiles, describe_shapes

Array = np.ndarray[Any, Any]


def time_net(files: NetFiles, options: Options, device: DeviceOptions) -> dict[str, Any]:
    """Time training with `mini` cases of random pixels and labels, from initial weights. As plain values for JSON.

    step_ms, fprop_ms, bprop_ms, update_ms: medians, each measured by itself; the whole step from the minibatch to its
    costs, `repeats` times. gemm_gflops, copy_gbs: what the first device can do, see `DeviceRates`. layers: of each
    layer in the net's order its name, type, fprop_ms, bprop_ms and what is in `update`, which is all of the update:

    ms: of its steps, one at a time; gflops: of those that multiply matrices; gbs: of the others; share: of ms, the part
    that its work would take at the device's rates (above 1 where caches hold what is read, or an algorithm multiplies
    less than the formula); steps: each with phase, operation, device, part, flops, bytes and these figures. None stands
    where there is nothing to tell.

    Raises:
        ConvnetError: if the files are wrong, nothing says what the input is, there are no such devices, or the net does
            not fit into their memory.
    """
    files.check(options, devices=device.number, functions=True)
    graph = files.graph(describe_shapes(options, files.classes), options["classes"])
    devices = open_devices(device, graph.devices)
    rates = device_rates(devices[0])  # first, while there is memory
    net = net_on(graph, devices, mini=options["mini"], seed=options["seed"])
    classes = options["classes"] or files.classes or 2
    with need_told(net):
        timing = time_training(net, _random_minibatch(options["mini"], options["input"], classes))
    return {
        "mini": net.mini,
        "device": ", ".join(map(str, devices)),
        "precision": device.precision,
        "step_ms": timing.step_ms,
        **{f"{phase}_ms": ms for phase, ms in timing.phases.items()},
        "repeats": timing.repeats,
        "gemm_gflops": rates.gemm_gflops,
        "copy_gbs": rates.copy_gbs,
        "layers": [_layer(node.name, node.layer.type, timing, rates) for node in graph.nodes],
        "update": _figures([time for time in timing.steps if time.phase == UPDATE], rates),
    }


def _random_minibatch(cases: int, maps: Maps, classes: int) -> list[Array]:
    """Pixels of all values, less their mean, and labels."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (cases, maps.y, maps.x, maps.channels), np.uint8)
    return [pixels - np.float32(127.5), generator.integers(0, classes, (cases, 1)).astype(np.float32)]


def _layer(name: str, kind: str, timing: NetTiming, rates: DeviceRates) -> dict[str, Any]:
    own = [time for time in timing.steps if time.step.layer == name and time.phase != UPDATE]
    phases = {f"{phase}_ms": _ms([time for time in own if time.phase == phase]) for phase in (FPROP, BPROP)}
    return {"name": name, "type": kind, **phases, **_figures(own, rates)}


def _figures(times: Sequence[StepTime], rates: DeviceRates) -> dict[str, Any]:
    steps = [
        {
            "phase": time.step.phase, "operation": time.step.operation, "device": time.step.device,
            "part": time.step.part, "flops": time.work.flops, "bytes": time.work.traffic, **_rates([time], rates),
        }
        for time in times
    ]  # fmt: skip
    return {**_rates(times, rates), "steps": steps}


def _rates(times: Sequence[StepTime], rates: DeviceRates) -> dict[str, float | None]:
    products = [time for time in times if time.work.flops]
    others = [time for time in times if not time.work.flops]
    flops, traffic = (1e-6 * sum(amounts) for amounts in (
        (time.work.flops for time in products), (time.work.traffic for time in others)
    ))  # fmt: skip
    return {
        "ms": _ms(times),
        "gflops": flops / _ms(products) if products else None,
        "gbs": traffic / _ms(others) if others else None,
        "share": (flops / rates.gemm_gflops + traffic / rates.copy_gbs) / _ms(times) if times else None,
    }


def _ms(times: Sequence[StepTime]) -> float:
    return sum(time.ms for time in times)
