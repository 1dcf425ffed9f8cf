"""`convnet time`."""

from __future__ import annotations

import json
from typing import Any

import click

from convnet.backends import DeviceOptions
from convnet.training.options import ALL

from .options import JSON, LAYERS, PARAMS, device_options, from_keys, given
from .progress import Bar
from .table import aligned

_KEYS = tuple(key for key in ALL if key.name in ("input", "classes", "mini"))
_HEAD = ("layer", "type", "fprop ms", "bprop ms", "ms", "GFLOP/s", "GB/s", "share")
_SEVERAL = "layers are timed one at a time: where devices work beside each other, a step takes less than all of them"


@click.command("time")
@LAYERS
@PARAMS
@from_keys(_KEYS)
@device_options
@JSON
def command(layers: str | None, params: str | None, device: DeviceOptions, as_json: bool, **values: Any) -> None:
    """Time a net's training step on random pixels and labels, as a whole and layer by layer.

    \b
    convnet time --layers alexnet
    convnet time --layers my-net.cfg --input 3x32x32 --mini 256 --threads 1 --json

    All times are medians. GFLOP/s count the multiplications and additions of conv, local and fc layers, GB/s what all
    other steps read and write. The share is that of the time which the work would take at the speed of a plain product
    of matrices and of a plain copy, measured here too. No data is read, and no run is made.
    """
    if layers is None:
        raise click.UsageError("expected --layers")
    with Bar() as bar:
        bar.move("timing", 0, None)
        # Imported here so that --help stays quick.
        from convnet.training.session import options_in_force, read_files
        from convnet.training.timing import time_net

        files = read_files(layers, params)
        found = time_net(files, options_in_force(files, given(values, _KEYS)), device)
    for note in files.report.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(json.dumps(found, indent=1) if as_json else "\n".join(_lines(found)))


def _lines(found: dict[str, Any]) -> list[str]:
    several = "," in found["device"]
    rows = [_row(layer["name"], layer["type"], layer) for layer in found["layers"] if layer["steps"]]
    update = [_row("update", "", found["update"])] if found["update"]["steps"] else []
    phases = ", ".join(f"{phase} {rounded(found[f'{phase}_ms'])}" for phase in ("fprop", "bprop", "update"))
    gemm, copy = (rounded(found[rate]) for rate in ("gemm_gflops", "copy_gbs"))
    return [
        *aligned([_HEAD, *rows, *update], right=range(2, len(_HEAD))),
        f"a training step of {found['mini']} cases on {found['device']}: {rounded(found['step_ms'])} ms ({phases})",
        f"{'each' if several else 'it'} can do {gemm} GFLOP/s in products of matrices, {copy} GB/s in copies",
        *([_SEVERAL] if several else []),
    ]


def _row(name: str, kind: str, part: dict[str, Any]) -> tuple[str, ...]:
    """A line of the table, without zeros."""
    figures = (part.get("fprop_ms"), part.get("bprop_ms"), part["ms"], part["gflops"], part["gbs"])
    return name, kind, *(rounded(figure) if figure else "" for figure in figures), f"{100 * part['share']:.0f} %"


def rounded(value: float) -> str:
    """With three digits or more."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"
