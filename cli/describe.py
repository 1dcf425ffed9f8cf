"""`convnet describe`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from convnet.backends import DeviceOptions, open_device
from convnet.training.options import ALL

from .options import JSON, LAYERS, PARAMS, PRECISION, from_keys, given

if TYPE_CHECKING:
    from convnet.graph.layer_graph import LayerGraph

_KEYS = tuple(key for key in ALL if key.name in ("input", "classes", "mini"))


@click.command("describe")
@LAYERS
@PARAMS
@from_keys(_KEYS)
@click.option("--plan", "with_plan", is_flag=True, help="Also show the steps of a training minibatch and its memory.")
@click.option(
    "--device",
    metavar="auto|cpu|cuda|cuda:N",
    help="Also tell the memory that training takes there, and the largest --mini that fits.",
)
@PRECISION
@JSON
def command(
    layers: str | None,
    params: str | None,
    with_plan: bool,
    device: str | None,
    precision: str,
    as_json: bool,
    **values: Any,
) -> None:
    """Show what a net's files amount to: layers, shapes, weights, and where each layer runs.

    \b
    convnet describe --layers alexnet
    convnet describe --layers my-net.cfg --input 3x32x32 --json
    convnet describe --layers digits --plan --mini 32
    convnet describe --layers alexnet --device cuda --precision bf16
    """
    if layers is None:
        raise click.UsageError("expected --layers")
    if device is None and precision != "fp32":
        raise click.UsageError("--precision: expected a --device too")
    from convnet.training.session import DEVICES, describe_shapes, options_in_force, read_files

    files = read_files(layers, params, need_params=False)
    options = options_in_force(files, given(values, _KEYS))
    files.check(options, devices=DEVICES if device else None)
    graph = files.graph(describe_shapes(options), options["classes"])
    described = _described(graph, options["mini"], DeviceOptions(device, precision=precision) if device else None,
                           with_plan=with_plan)  # fmt: skip
    for note in files.report.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(json.dumps(described, indent=1) if as_json else _table(described))


def _described(graph: LayerGraph, mini: int, device: DeviceOptions | None, *, with_plan: bool) -> dict[str, Any]:
    from convnet.graph.describe import describe
    from convnet.plan.describe import FLOAT32, describe_plan
    from convnet.training.memory import describe_memory

    described, opened = describe(graph), open_device(device) if device else None
    if with_plan:
        described["plan"] = describe_plan(graph, mini, opened.types(FLOAT32.weights) if opened else FLOAT32)
    if opened:
        described["memory"] = describe_memory(graph, mini, opened)
    return described


def _table(described: dict[str, Any]) -> str:
    rows = [("layer", "type", "inputs", "outputs", "maps", "weights", "biases", "gpu")]
    rows += [
        (
            layer["name"], layer["type"], ",".join(layer["inputs"]), str(layer["outputs"]), _by(layer["maps"]),
            " ".join(map(_by, layer["weights"])), _by(layer["biases"]), ",".join(map(str, layer["gpu"])),
        )
        for layer in described["layers"]
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append(f"parameters: {described['parameters']:,}")
    lines += _plan(described["plan"]) if "plan" in described else []
    lines += [_memory(described["memory"])] if "memory" in described else []
    return "\n".join(lines)


def _plan(plan: dict[str, Any]) -> list[str]:
    steps = [
        f"{step['phase']:6}  {step['layer']:14}  {step['operation']:20}  "
        + "  ".join(f"{name} {_by(shape)}" for name, shape in step["tensors"])
        for step in plan["steps"]
    ]
    activations, weights = (plan["bytes"][kind] / 1e6 for kind in ("activations", "weights"))
    memory = f"memory: {activations:,.1f} MB for activations, {weights:,.1f} MB for weights, increments and gradients"
    return ["", f"a training minibatch of {plan['mini']} cases:", *steps, memory]


def _memory(memory: dict[str, Any]) -> str:
    from convnet.training.memory import advice, megabytes

    line = f"on {memory['device']}: {megabytes(memory['needed'])} MB needed with --mini {memory['mini']}"
    if memory["free"] is None:
        return line
    return f"{line}, {megabytes(memory['free'])} MB free; {advice(memory['largest_mini'])}"


def _by(numbers: list[int] | None) -> str:
    return "x".join(map(str, numbers)) if numbers else ""
