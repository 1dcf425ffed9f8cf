"""Finds cfg files: by path, or by bare name among the nets that come with convnet."""

from __future__ import annotations

import os
from pathlib import Path

import convnet
from convnet.config.nearest import nearest
from convnet.errors import ConvnetError

_PACKAGE = Path(convnet.__file__).parent
# Installed, the folders lie inside the package; in a source tree, beside it.
_FOLDERS = {kind: [_PACKAGE / kind, _PACKAGE.parent / kind] for kind in ("layers-cfg", "params-cfg")}


def find_layers(name: str) -> Path:
    """The layer file `name`: a path, or the bare name of a net that comes with convnet (`alexnet`).

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


def shipped(kind: str) -> list[str]:
    """The names of the nets that come with convnet."""
    return sorted({path.stem for folder in _FOLDERS[kind] for path in folder.glob("*.cfg")})


def _find(name: str, kind: str, what: str) -> Path:
    path = Path(name)
    try:
        if path.is_file():
            return path
        if path.is_dir():
            raise ConvnetError(f"{name}: expected a {what}, found a directory")
    except OSError as error:  # such as a name that is too long
        raise ConvnetError(f"{name}: the {what} cannot be read: {error.strerror}") from error
    # A bare name, or the path in convnet's own source tree, while working somewhere else.
    if path.name == name or path.parent.name == kind:
        for folder in _FOLDERS[kind]:
            found = folder / f"{path.name.removesuffix('.cfg')}.cfg"
            if found.is_file():
                return found
    near = nearest(path.stem, shipped(kind))
    hint = f"did you mean '{near}'?" if near else f"nets that come with convnet: {', '.join(shipped(kind))}"
    raise ConvnetError(f"{name}: the {what} does not exist; {hint}")
