"""The `convnet` command. Each of its commands is a file of this folder, imported when it is run."""

from __future__ import annotations

import importlib
from typing import Any

import click

from convnet import __version__
from convnet.config.report import ConfigError
from convnet.errors import ConvnetError

# Command, module, function: so that `convnet --help` and light commands import nothing heavy.
COMMANDS = {
    "train": "Train a net, or go on with a run.",
    "test": "Test a trained net.",
    "describe": "Show a net's layers, shapes and parameters.",
    "layers": "The language reference: layer types and their keys.",
    "data": "Prepare data, get it, and look at it.",
    "devices": "Show CPU and GPUs, and what is missing to use them.",
    "time": "Time a net's training step, layer by layer.",
    "check-grads": "Compare a net's gradients with numeric ones.",
    "features": "Write what a layer gives for the test cases.",
    "import-original": "Take over a checkpoint of cuda-convnet or cuda-convnet2.",
}


class UserError(click.ClickException):
    """A mistake of the user's, printed without a traceback."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Print the message, each problem on a line of its own."""
        click.echo(f"convnet: {self.format_message()}", err=True)


class Commands(click.Group):
    """Finds commands in the files of this folder and turns the library's errors into messages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of this name."""
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f".{name.replace('-', '_')}", __package__).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, written without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what the user did wrong becomes one message and exit code 2."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            several = f"{len(error.problems)} errors\n" if len(error.problems) > 1 else ""
            raise UserError(f"{several}{error}") from error
        except ConvnetError as error:
            raise UserError(str(error)) from error
        except MemoryError as error:
            raise UserError(f"the net or its data does not fit into memory: {error}") from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Convolutional nets from two text files, after cuda-convnet.

    A layer file says which layers a net has and how they are wired, a parameter file how each layer learns. Nets that
    come with convnet are found by name:

    \b
        convnet train --layers digits        # seconds, on real handwritten digits
        convnet train --layers alexnet       # the AlexNet paper's net
        convnet describe --layers alexnet
    """
