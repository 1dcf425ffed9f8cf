"""The command line of convnet: reads options, calls the library, prints."""

from .main import main

__all__ = ["main"]
