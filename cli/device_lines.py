"""What `convnet describe` prints of a net's plan and of the devices it runs on."""

from __future__ import annotations

from typing import Any


def plan_lines(plan: dict[str, Any]) -> list[str]:
    """The steps of a training minibatch and the memory they take."""
    several = len({step["device"] for step in plan["steps"]}) > 1
    activations, weights = (plan["bytes"][kind] / 1e6 for kind in ("activations", "weights"))
    memory = f"memory: {activations:,.1f} MB for activations, {weights:,.1f} MB for weights, increments and gradients"
    steps = [_step(step, several=several) for step in plan["steps"]]
    return ["", f"a training minibatch of {plan['mini']} cases:", *steps, memory]


def _step(step: dict[str, Any], *, several: bool) -> str:
    device = f"{step['device']}  " if several else ""
    source = f" from {step['from']}" if "from" in step else ""
    tensors = [f"{name} {'x'.join(map(str, shape))}" for name, shape in step["tensors"]]
    operation = f"{step['operation']}{source}"
    return "  ".join([f"{device}{step['phase']:6}", f"{step['layer']:14}", f"{operation:20}", *tensors])


def device_lines(devices: list[dict[str, Any]], mini: int) -> list[str]:
    """For each device of a net on several: what is there, its bytes, and what comes from the others in a minibatch."""
    lines = ["", f"training on {len(devices)} devices with --mini {mini}:"]
    for device in devices:
        weights, activations = (device["bytes"][kind] / 1e6 for kind in ("weights", "activations"))
        lines.append(f"device {device['device']}: {weights:,.1f} MB of weights with increments and gradients, "
                     f"{activations:,.1f} MB of activations")  # fmt: skip
        lines.append(f"  layers: {', '.join(device['layers'])}")
        lines.append(f"  parameters: {', '.join(device['parameters'])}")
        lines += [_received(source) for source in device["received"]]
    return lines


def _received(source: dict[str, Any]) -> str:
    sizes = [f"{name} {size / 1e6:,.2f}" for name, size in source["bytes"].items()]
    return f"  from device {source['from']}: {sum(source['bytes'].values()) / 1e6:,.2f} MB ({', '.join(sizes)})"


def memory_lines(memory: list[dict[str, Any]]) -> list[str]:
    """What training takes of each device's memory."""
    return [_memory(device) for device in memory]


def _memory(memory: dict[str, Any]) -> str:
    from convnet.training.memory import advice, megabytes

    line = f"on {memory['device']}: {megabytes(memory['needed'])} MB needed with --mini {memory['mini']}"
    if memory["free"] is None:
        return line
    return f"{line}, {megabytes(memory['free'])} MB free; {advice(memory['largest_mini'])}"
