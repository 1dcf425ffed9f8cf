"""`convnet devices`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .options import JSON

if TYPE_CHECKING:
    from convnet.backends.cuda.inventory import Gpu, Part


@click.command("devices")
@JSON
def command(as_json: bool) -> None:
    """Show where nets can be computed: the CPU, the GPUs, and what GPUs need of drivers and packages.

    Names each device as --device takes it, and for all that is missing what mends it.
    """
    # Imported here so that --help stays quick.
    from convnet.backends import gpus_usable
    from convnet.backends.cpu.device import available_cores
    from convnet.backends.cuda.inventory import take_inventory

    inventory, cores = take_inventory(), available_cores()
    auto = "cuda:0" if gpus_usable() else "cpu"
    if as_json:
        found: dict[str, Any] = {"auto": auto, "cpu": {"device": "cpu", "cores": cores}, **asdict(inventory)}
        click.echo(json.dumps(found, indent=1))
        return
    click.echo(f"{'cpu':14}{cores} cores")
    for line in [line for gpu in inventory.gpus for line in _gpu(gpu)]:
        click.echo(line)
    click.echo("\nfor NVIDIA GPUs:")
    for line in [line for part in inventory.parts for line in _part(part)]:
        click.echo(line)
    click.echo(f"\n--device auto takes {auto}")


def _gpu(gpu: Gpu) -> list[str]:
    free = "" if gpu.free is None else f", {_megabytes(gpu.free)} free"
    line = f"{gpu.device:14}{gpu.name}, {_megabytes(gpu.memory)}{free}, compute capability {gpu.capability}"
    return [line, *(f"{'':14}{note}" for note in gpu.notes)]


def _part(part: Part) -> list[str]:
    found = ", ".join(filter(None, [part.version, part.path]))
    line = f"{part.name:14}{found or ('missing' if part.problem else 'found')}"
    line += f": {part.problem}" if part.problem else ""
    return [line, *([f"{'':14}to mend it: {part.mend}"] if part.mend else [])]


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
