"""Data: where minibatches come from. `open_provider` opens data by its path or by the name of a provider."""

from __future__ import annotations

from convnet.data.provider import DataProvider, ProviderOptions
from convnet.data.registry import NoSuchDataError, open_provider, provider_names, takes_path

__all__ = ["DataProvider", "NoSuchDataError", "ProviderOptions", "open_provider", "provider_names", "takes_path"]
