"""Options of cuda-convnet that `convnet train` reads for the sake of old command lines, without using them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

# By name: why it is not used, or what is instead.
_UNUSED = {
    "num-gpus": "the gpu keys of a net say how many devices it runs on",
    "conserve-mem": "how memory is used cannot be chosen",
    "save-file": "every run has a folder of its own in --save-path; --checkpoint goes on with one",
    "max-filesize": "--keep says how many checkpoints stay",
    "zip-save": "checkpoints are not compressed",
    "force-save": "a checkpoint is saved after every test and when training ends",
    "layer-path": "--layers and --params take whole paths",
    "logreg-name": "the costs of all cost layers are shown",
    "multiview-test": "convnet test --multiview averages ten views of each image",
}
_COMMANDS = {
    "test-only": "convnet test --checkpoint RUN tests a net",
    "check-grads": "convnet check-grads --layers FILE compares gradients",
}
_OFF = ("0", "false")


def originals_options(function: Function) -> Function:
    """Adds the options, which --help does not show. As in cuda-convnet each has a value; it may be left out."""
    for name in (*_UNUSED, *_COMMANDS):
        function = click.option(f"--{name}", _destination(name), is_flag=False, flag_value="1", hidden=True)(function)
    return function


def notes(values: Mapping[str, Any]) -> Iterator[str]:
    """One line for each of them that was given.

    Raises:
        click.UsageError: for one that asks for what `convnet train` does not do.
    """
    for name, instead in _COMMANDS.items():
        if values.get(_destination(name), "0") not in (None, *_OFF):
            raise click.UsageError(f"--{name} of cuda-convnet is a command here: {instead}")
    for name, why in {**_UNUSED, **_COMMANDS}.items():
        if values.get(_destination(name)) is not None:
            yield f"--{name} of cuda-convnet is not used here: {why}"


def _destination(name: str) -> str:
    return name.replace("-", "_")
