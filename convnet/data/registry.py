"""All data providers by name, and which one a path is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

from convnet.data import cifar, dummy, idx, image_batches, image_folder, npz, sample
from convnet.data.archive import is_archive
from convnet.data.image_source import is_image_source
from convnet.data.provider import DataProvider, ProviderOptions
from convnet.errors import ConvnetError


class NoSuchDataError(ConvnetError):
    """There is nothing at the path of the data."""


@dataclass(frozen=True)
class _Kind:
    """A kind of provider.

    doc: one line for users. open: what opens it. recognizes: whether a path is for it; None if it takes no path.
    takes: which of the options that not all providers know.
    """

    doc: str
    open: Callable[[ProviderOptions], DataProvider]
    recognizes: Callable[[Path], bool] | None = None
    takes: tuple[str, ...] = ("batch_size",)


_CIFAR = (
    "CIFAR-10 or CIFAR-100: a folder of Python batches or their .tar.gz, as published or as cifar-10-py-colmajor; "
    "other batches of cuda-convnet's in the latter's form"
)
_IMAGES = "a folder or a tar or zip archive of images: train/<class>/ and test/<class>/, or <class>/"
_BATCHES = "photographs in data batches: a folder that `convnet data make` wrote, or one of cuda-convnet2's"
# The order is that in which a path is tried.
_KINDS = {
    image_batches.NAME: _Kind(_BATCHES, image_batches.open_image_batches, is_image_source, ()),
    cifar.NAME: _Kind(_CIFAR, cifar.open_cifar, cifar.recognizes),
    cifar.CROPPED_NAME: _Kind("the same with a crop border of 4", cifar.open_cifar_cropped, cifar.recognizes),
    idx.NAME: _Kind("MNIST, Fashion-MNIST: a folder of IDX files", idx.open_idx, idx.recognizes),
    npz.NAME: _Kind(
        "a .npz file of NumPy arrays, images and labels", npz.open_npz, npz.recognizes, ("batch_size", "test_share")
    ),
    image_folder.NAME: _Kind(
        _IMAGES,
        image_folder.open_image_folder,
        image_folder.recognizes,
        ("batch_size", "test_share", "image_size"),
    ),
    sample.NAME: _Kind(
        "built-in data that fits the net's input", sample.open_sample, None, ("batch_size", "image_size")
    ),
    dummy.NAME: _Kind("random images, as in dummy-3x32x32-10, for timing and checks", dummy.open_dummy),
}


def provider_names() -> dict[str, str]:
    """The names that `ProviderOptions.provider` may have, each with one line that says what it is."""
    return {name: kind.doc for name, kind in _KINDS.items()}


def takes_path(name: str) -> bool:
    """Whether the provider called `name` reads data from a path. True for a name that is not known."""
    kind = _KINDS.get(dummy.NAME if name.startswith("dummy") else name)
    return kind is None or kind.recognizes is not None


def open_provider(options: ProviderOptions) -> DataProvider:
    """The provider that the options name, or the one that their path is for; the built-in sample without both.

    Raises NoSuchDataError where there is nothing at the path, and another ConvnetError for an unknown name, for data
    that cannot be read, and for options that do not fit the data.
    """
    try:
        if options.path is not None and not options.path.exists():
            raise NoSuchDataError(f"{options.path}: expected data, but there is no such file or folder")
        if options.path is not None and options.provider in (None, image_batches.NAME):
            from convnet.data.shards import check_finished  # here, because other data does not need it

            check_finished(options.path)
        options = replace(options, path=options.path and _unwrapped(options.path))
        name = options.provider or _detected(options.path)
        return _checked_kind(name, options).open(options)
    except OSError as error:
        raise ConvnetError(f"data cannot be read: {error}") from error
    except MemoryError as error:
        raise ConvnetError(f"data does not fit into memory: {error}") from error


def _unwrapped(path: Path) -> Path:
    """The archive in a folder that holds one archive and nothing else, such as a downloaded one; otherwise `path`.

    A data batch of photographs is no such archive.
    """
    if not path.is_dir():
        return path
    entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    alone = len(entries) == 1 and not fnmatch(entries[0].name, "data_batch_*")
    return entries[0] if alone and is_archive(entries[0]) else path


def _checked_kind(name: str, options: ProviderOptions) -> _Kind:
    """The kind of provider called `name`, which knows all options that are given."""
    kind = _KINDS.get(dummy.NAME if name.startswith("dummy") else name)
    if kind is None:
        raise ConvnetError(f"data provider: expected one of {', '.join(_KINDS)}; found '{name}'")
    if options.path is not None and kind.recognizes is None:
        raise ConvnetError(f"data provider {name}: expected no path, found {options.path}")
    for option in ("test_share", "image_size", "batch_size"):
        if getattr(options, option) is not None and option not in kind.takes:
            raise ConvnetError(f"data provider {name} takes no {option.replace('_', ' ')}")
    return kind


def _detected(path: Path | None) -> str:
    """The name of the provider that `path` is for."""
    if path is None:
        return sample.NAME
    for name, kind in _KINDS.items():
        if kind.recognizes is not None and kind.recognizes(path):
            return name
    raise ConvnetError(
        f"{path}: expected a folder, a tar or zip archive or a .npz file; data can be: "
        + "; ".join(kind.doc for kind in _KINDS.values() if kind.recognizes is not None)
    )
