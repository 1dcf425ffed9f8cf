"""`convnet describe`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from convnet.backends import DeviceOptions, open_devices
from convnet.training.options import ALL

from .device_lines import device_lines, memory_lines, plan_lines
from .options import GPU, JSON, LAYERS, PARAMS, PRECISION, from_keys, given
from .table import aligned

if TYPE_CHECKING:
    from convnet.graph.layer_graph import LayerGraph
    from convnet.training.session import NetFiles

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
@GPU
@PRECISION
@JSON
@click.option(
    "--cfg",
    "as_cfg",
    type=click.Choice(["layers", "params"]),
    is_flag=False,
    flag_value="layers",
    help="Print the net as a cfg file instead: the layer file, or with --cfg params the parameter file. What it "
    "includes is in it, defaults are not.",
)
def command(
    layers: str | None,
    params: str | None,
    with_plan: bool,
    device: str | None,
    gpus: tuple[int, ...] | None,
    precision: str,
    as_json: bool,
    as_cfg: str | None,
    **values: Any,
) -> None:
    """Show what a net's files amount to: layers, shapes, weights, and where each layer runs.

    \b
    convnet describe --layers alexnet
    convnet describe --layers my-net.cfg --input 3x32x32 --json
    convnet describe --layers digits --plan --mini 32
    convnet describe --layers alexnet --device cuda --precision bf16
    convnet describe --layers layers-80sec.cfg --input 3x32x32 --cfg params
    """
    if layers is None:
        raise click.UsageError("expected --layers")
    if as_cfg and (as_json or with_plan or device):
        raise click.UsageError("--cfg: expected no --json, --plan or --device, found one of them")
    if device is None and (precision != "fp32" or gpus):
        raise click.UsageError(f"{'--gpu' if gpus else '--precision'}: expected a --device too")
    from convnet.training.session import describe_shapes, options_in_force, read_files

    files = read_files(layers, params, need_params=False)
    options = options_in_force(files, given(values, _KEYS))
    on = DeviceOptions(device, precision=precision, gpus=gpus) if device else None
    files.check(options, devices=on.number if on else None)
    graph = files.graph(describe_shapes(options, files.classes), options["classes"])
    for note in files.report.notes:
        click.echo(f"note: {note}", err=True)
    if as_cfg:
        click.echo(_cfg(graph, files, params_file=as_cfg == "params"), nl=False)
        return
    if files.params is None and (with_plan or on):
        raise click.UsageError("--plan and --device: expected a parameter file; --params names one")
    described = _described(graph, options["mini"], on, with_plan=with_plan, planned=files.params is not None)
    click.echo(json.dumps(described, indent=1) if as_json else _table(described, options["mini"]))


def _described(
    graph: LayerGraph, mini: int, device: DeviceOptions | None, *, with_plan: bool, planned: bool
) -> dict[str, Any]:
    """What is printed. planned: the net has a parameter file, without which nothing is known of how it learns."""
    from convnet.graph.describe import describe
    from convnet.plan.describe import FLOAT32, describe_plan
    from convnet.training.memory import describe_memory

    described, opened = describe(graph), open_devices(device, graph.devices) if device else []
    if not planned:
        return described
    plan = describe_plan(graph, mini, opened[0].types(FLOAT32.weights) if opened else FLOAT32)
    devices = plan.pop("devices")
    if len(devices) > 1:
        described["devices"] = devices
    if with_plan:
        described["plan"] = plan
    if opened:
        described["memory"] = describe_memory(graph, mini, opened)
    return described


def _cfg(graph: LayerGraph, files: NetFiles, *, params_file: bool) -> str:
    from convnet.graph.write import layer_file, parameter_file
    from convnet.training.options import train_section

    if not params_file:
        return layer_file(graph, alone=files.params is None)
    if files.params is None:
        raise click.UsageError("--cfg params: expected a parameter file; --params names one")
    parts = [train_section(files.params, files.layers), parameter_file(graph)]
    return "\n".join(part for part in parts if part)


def _table(described: dict[str, Any], mini: int) -> str:
    rows = [("layer", "type", "inputs", "outputs", "maps", "weights", "biases", "gpu")]
    rows += [
        (
            layer["name"], layer["type"], ",".join(layer["inputs"]), str(layer["outputs"]), _by(layer["maps"]),
            " ".join(map(_by, layer["weights"])), _by(layer["biases"]), ",".join(map(str, layer["gpu"])),
        )
        for layer in described["layers"]
    ]  # fmt: skip
    lines = aligned(rows)
    lines.append(f"parameters: {described['parameters']:,}")
    lines += plan_lines(described["plan"]) if "plan" in described else []
    lines += device_lines(described["devices"], mini) if "devices" in described else []
    lines += memory_lines(described["memory"]) if "memory" in described else []
    return "\n".join(lines)


def _by(numbers: list[int] | None) -> str:
    return "x".join(map(str, numbers)) if numbers else ""
