"""Options that several commands take, made from the library's declarations."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import click

from convnet.backends import PRECISIONS, DeviceOptions
from convnet.config.keys import Key
from convnet.config.kinds import Bool, Kind

Function = TypeVar("Function", bound=Callable[..., Any])

LAYERS = click.option("--layers", "--layer-def", "layers", metavar="FILE", help="Layer file, by path or by name.")
PARAMS = click.option(
    "--params", "--layer-params", "params", metavar="FILE",
    help="Parameter file; default: the one of the same name in the folder params-cfg beside the layer file's, or of "
    "layers-X.cfg the file layer-params-X.cfg beside it.",
)  # fmt: skip
CHECKPOINT = click.option(
    "--checkpoint", "-f", "--load-file", "checkpoint", metavar="DIR", type=click.Path(),
    help="A run (its newest checkpoint) or one checkpoint.",
)  # fmt: skip
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
DEVICE = click.option(
    "--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N",
    help="Where to compute; auto: the first GPU, or the CPU where there is none.",
)  # fmt: skip
GPU = click.option(
    "--gpu", "gpus", metavar="N,N,...", callback=lambda _context, _option, text: _numbers(text),
    help="For a net on several devices: the GPU that each number of its gpu keys means, in order; one may be named "
    "twice. The CPU stands for as many as the net asks for. [default: 0,1,2,...]",
)  # fmt: skip
THREADS = click.option(
    "--threads", type=click.IntRange(min=1),
    help="Threads of the CPU; default: all cores. Where it stands for several devices, each has a share, and one at "
    "least.",
)  # fmt: skip
PRECISION = click.option(
    "--precision", type=click.Choice(PRECISIONS), default="fp32", show_default=True,
    help="What a GPU computes with: float32, tensor cores on rounded float32, or activations in bfloat16.",
)  # fmt: skip
TUNE = click.option(
    "--tune/--no-tune", default=True, show_default=True,
    help="Time the ways there are to compute each layer, once, and take the fastest.",
)  # fmt: skip
EXACT = click.option(
    "--exact", is_flag=True,
    help="On the CPU, do without Winograd's convolution: its rounding errors are a few times larger.",
)  # fmt: skip


def device_options(function: Function) -> Function:
    """The options that say where to compute, as one argument `device`."""

    @functools.wraps(function)
    def command(
        *arguments: Any, device: str, threads: int | None, precision: str, tune: bool, exact: bool,
        gpus: tuple[int, ...] | None, **values: Any,
    ) -> Any:  # fmt: skip
        return function(*arguments, device=DeviceOptions(device, threads, precision, tune, gpus, exact), **values)

    for option in (EXACT, TUNE, PRECISION, THREADS, GPU, DEVICE):
        command = option(command)
    return cast(Function, command)


_DIGITS = 4  # of a GPU's number, at most


def _numbers(text: str | None) -> tuple[int, ...] | None:
    """The numbers of --gpu."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdecimal() and len(word) <= _DIGITS for word in words):
        raise click.BadParameter(f"expected numbers of GPUs separated by commas, such as 0,1; found '{text}'")
    return tuple(map(int, words))


class KindType(click.ParamType[Any]):
    """An option's value, read by the same code as the key of that name in a [train] section."""

    def __init__(self, kind: Kind[Any], name: str) -> None:
        self.kind, self.name = kind, name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value; fails with what was expected."""
        if not isinstance(value, str):
            return value
        try:
            return self.kind.parse(value)
        except ValueError as error:
            return self.fail(str(error), param, ctx)


class ProviderOption(click.Option):
    """--data-provider: its help ends with the names there are, looked up only when help is shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option and its help."""
        from convnet.data import provider_names

        record = super().get_help_record(ctx)
        return record and (record[0], f"{record[1].removesuffix('.')}: {', '.join(provider_names())}.")


def from_keys(keys: Sequence[Key]) -> Callable[[Function], Function]:
    """An option for each key; those not given are None, so that the [train] section can say."""

    def decorate(function: Function) -> Function:
        for key in reversed(keys):
            function = _option(key)(function)
        return function

    return decorate


def _option(key: Key) -> Callable[[Function], Function]:
    names = [f"--{name}" for name in (key.name, *key.aliases)]
    # A truth value may be left out: --shuffle means --shuffle true.
    flag: dict[str, Any] = {"is_flag": False, "flag_value": "true"} if isinstance(key.kind, Bool) else {}
    kind, metavar = KindType(key.kind, key.name), _metavar(key)
    cls = ProviderOption if key.name == "data-provider" else click.Option
    return click.option(
        *names, _destination(key.name), cls=cls, type=kind, metavar=metavar, help=_help(key), default=None, **flag
    )  # fmt: skip


def _help(key: Key) -> str:
    text = f"{key.doc[0].upper()}{key.doc[1:]}."
    if key.default is None:
        return text
    return f"{text} [default: {str(key.default).lower() if isinstance(key.kind, Bool) else key.default}]"


def given(values: dict[str, Any], keys: Sequence[Key]) -> dict[str, Any]:
    """The options that were on the command line, by the library's names."""
    return {key.name: values[_destination(key.name)] for key in keys if values.get(_destination(key.name)) is not None}


def _destination(name: str) -> str:
    return name.replace("-", "_")


def _metavar(key: Key) -> str:
    return {"Int": "INT", "Float": "NUMBER", "Bool": "BOOL", "IntRange": "A-B", "Maps": "CxYxX"}.get(
        type(key.kind).__name__, "TEXT"
    )
