"""`convnet data`: each of its commands is a file data_<name>.py of this folder, imported when it is run."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "make": "Make data batches of a folder or an archive of photographs.",
    "info": "Show what is in data.",
    "get": "Download a published data set.",
    "sample": "Draw some cases as the net gets them.",
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of this name."""
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f".data_{name}", __package__).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, written without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command("data", cls=_Commands)
def command() -> None:
    """Make data batches of photographs, download published data sets, and look at what is in data."""
