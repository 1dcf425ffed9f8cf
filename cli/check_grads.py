"""`convnet check-grads`."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click

from convnet.training.options import ALL

from .options import LAYERS, PARAMS, THREADS, from_keys, given

_CASES = 4  # enough to mix cases, few enough for float64 and big nets
_MINI = next(replace(key, default=_CASES) for key in ALL if key.name == "mini")
_KEYS = (_MINI, *(key for key in ALL if key.name in ("input", "classes", "seed")))
_LIMIT = 1e-4  # kinks of relu and max leave some 1e-5 in big nets; mistakes show as 1e-2 and more


@click.command("check-grads")
@LAYERS
@PARAMS
@from_keys(_KEYS)
@THREADS
def command(layers: str | None, params: str | None, threads: int | None, **values: Any) -> None:
    """Compare a net's gradients with numeric ones, in float64 on the CPU, on random data.

    Prints one line for each matrix of weights, each layer's biases and the images; ends with exit code 1 if any differs
    by more than 1e-4 relative. Minibatches have 4 cases unless --mini says otherwise.
    """
    if layers is None:
        raise click.UsageError("expected --layers")
    from convnet.training.gradients import net_gradients
    from convnet.training.session import options_in_force, read_files

    files = read_files(layers, params)
    chosen = given(values, _KEYS)
    options = {**options_in_force(files, chosen), "mini": chosen.get("mini", _CASES)}
    failed = total = 0
    for check in net_gradients(files, options, threads):
        bad = not check.error <= _LIMIT
        total, failed = total + 1, failed + bad
        slopes = f"analytic {check.analytic: .6e}  numeric {check.numeric: .6e}"
        click.echo(f"{check.name:24} {slopes}  difference {check.error:.1e}{'  FAILED' if bad else ''}")
    kinks = "; small differences may come from kinks (relu, max), which another --seed or fewer cases (--mini) avoid"
    click.echo(f"{failed} of {total} gradients differ{kinks}" if failed else f"all {total} gradients agree")
    sys.exit(1 if failed else 0)
