"""Finds cfg files: by path, or by bare name in a cfg folder here or among the nets that come with convnet."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import convnet
from convnet.config.nearest import nearest
from convnet.errors import ConvnetError
from convnet.training.checkpoint import LAYERS, PARAMS, STATE, checkpoints

_PACKAGE = Path(convnet.__file__).parent
# Installed, the folders lie inside the package; in a source tree, beside it.
_FOLDERS = {kind: [_PACKAGE / kind, _PACKAGE.parent / kind] for kind in ("layers-cfg", "params-cfg")}


def find_layers(name: str) -> Path:
    """The layer file `name`: a path, or a bare name (`alexnet`) in ./layers-cfg or of a net that comes with convnet.

    Raises:
        ConvnetError: if there is none.
    """
    return _find(name, "layers-cfg", "layer file")


def find_params(name: str | None, layers: Path, *, needed: bool = True) -> Path | None:
    """The parameter file `name`, or without a name the one that belongs to a layer file.

    That is the file of the same name in the folder params-cfg beside the layer file's folder, or among the nets that
    come with convnet; for the originals' names, layer-params-X.cfg beside layers-X.cfg.

    Raises:
        ConvnetError: if there is none; without a name only if one is `needed`.
    """
    if name is not None:
        return _find(name, "params-cfg", "parameter file")
    tried = [Path(os.path.normpath(layers.parent / ".." / "params-cfg" / layers.name))]
    if layers.name.startswith("layers"):
        tried.append(layers.with_name(layers.name.replace("layers", "layer-params", 1)))
    tried += [folder / layers.name for folder in _FOLDERS["params-cfg"] if layers.parent in _FOLDERS["layers-cfg"]]
    for path in tried:
        if path.is_file():
            return path
    if needed:
        raise ConvnetError(f"{layers}: its parameter file {tried[0]} does not exist; --params names one")
    return None


def include_folders(kind: str) -> list[Path]:
    """Where a cfg file of this kind (`layers-cfg`, `params-cfg`) finds files that it includes by name."""
    return [Path(kind), *_FOLDERS[kind]]


def shipped(kind: str) -> list[str]:
    """The names of the nets that come with convnet."""
    return _names(_FOLDERS[kind])


def _find(name: str, kind: str, what: str) -> Path:
    path = Path(name)
    try:
        for candidate in _candidates(path, name, kind):
            if candidate.is_file():
                return candidate
        # Last, so that a folder of a net's name, such as one with its data, does not hide the net.
        if path.is_dir():
            raise ConvnetError(f"{name}: expected a {what}, found a {_folder_in_words(path, kind)}")
    except OSError as error:  # such as a name that is too long
        raise ConvnetError(f"{name}: the {what} cannot be read: {error.strerror}") from error
    near = nearest(path.stem, _names(include_folders(kind)))
    hint = f"did you mean '{near}'?" if near else f"nets that come with convnet: {', '.join(shipped(kind))}"
    raise ConvnetError(f"{name}: the {what} does not exist; {hint}")


def _folder_in_words(path: Path, kind: str) -> str:
    """A run or a checkpoint, with the file of this kind in it, or a directory."""
    found = [path] if (path / STATE).is_file() else checkpoints(path)
    if not found:
        return "directory"
    file = found[-1] / (LAYERS if kind == "layers-cfg" else PARAMS)
    return f"{'checkpoint' if found[-1] == path else 'run'}; its file is {file}"


def _candidates(path: Path, name: str, kind: str) -> list[Path]:
    """Where the file may be, in order: a file of this path, then those that a name without a folder stands for."""
    bare = path.name == name
    if not bare and path.parent.name != kind:
        return [path]
    # A path in convnet's own source tree is understood everywhere: layers-cfg/alexnet.cfg.
    folders = [Path(kind) if bare else path.parent, *_FOLDERS[kind]]
    return [path, *(folder / f"{path.name.removesuffix('.cfg')}.cfg" for folder in folders)]


def _names(folders: Iterable[Path]) -> list[str]:
    return sorted({path.stem for folder in folders for path in folder.glob("*.cfg")})
