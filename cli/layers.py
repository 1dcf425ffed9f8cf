"""`convnet layers`."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Sequence

import click

from convnet.config.keys import REQUIRED, Ignored, Key
from convnet.errors import ConvnetError
from convnet.layers import layer_type, layer_types, other_names, unknown_type
from convnet.layers.base import UNLIMITED, Layer
from convnet.layers.common import IGNORED, INPUTS, common_keys, common_params


@click.command("layers")
@click.argument("name", metavar="[TYPE]", required=False)
def command(name: str | None) -> None:
    """List the layer types, or everything about one TYPE: its keys in both files, made from its class."""
    if name is None:
        types = layer_types()
        width = max(map(len, types))
        for known, cls in types.items():
            click.echo(f"{known.ljust(width)}  {_summary(cls)}")
        click.echo("\nconvnet layers TYPE shows the keys of a type.")
        return
    found = layer_type(name)
    if found is None:
        raise ConvnetError(unknown_type(name))
    click.echo(_reference(found))


def _summary(cls: type[Layer]) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def _reference(cls: type[Layer]) -> str:
    most = cls.inputs_range[1]
    keys = [*cls.keys, *([INPUTS] if most else []), *common_keys(cls)]
    aliases = f"    also called {', '.join(other_names(cls))}" if other_names(cls) else ""
    parts = [f"type={cls.type}    inputs: {_inputs(cls)}{aliases}", "", inspect.getdoc(cls) or ""]
    parts += ["", "Keys in the layer file:", *_keys(keys)]
    params = (*cls.params, *common_params(cls))
    if params:
        section = "mandatory" if cls.needs_params else "optional"
        parts += ["", f"Keys in the parameter file (section {section}):", *_keys(params)]
    parts += ["", "Keys of the originals that are read but not followed:", *_ignored((*cls.ignored, *IGNORED))]
    return "\n".join(parts)


def _inputs(cls: type[Layer]) -> str:
    fewest, most = cls.inputs_range
    if most == 0:
        return "none"
    return str(fewest) if fewest == most else f"{fewest} or more" if most == UNLIMITED else f"{fewest} to {most}"


def _keys(keys: Sequence[Key]) -> list[str]:
    return [line for key in keys for line in _key(key)]


def _key(key: Key) -> list[str]:
    default = f"default {_value(key.default)}"
    if key.default is REQUIRED or key.default is None:
        default = "optional" if key.default is None else "required"
    each = ", one for each input" if key.per_input else ""
    places = ["may stand in the layer file, too"] if key.in_layers else []
    places += [f"also called {', '.join(key.aliases)}"] if key.aliases else []
    text = textwrap.wrap("; ".join([key.doc, *places]), 110, initial_indent="      ", subsequent_indent="      ")
    return [f"  {key.name}: {key.kind.expected}{each} ({default})", *text]


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _ignored(ignored: Sequence[Ignored]) -> list[str]:
    return [f"  {item.name}: {item.why}" for item in ignored]
