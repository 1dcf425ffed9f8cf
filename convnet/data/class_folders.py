"""Which class and which set each image of a folder or archive belongs to, by the folders it lies in."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from convnet.data.archive import Member, Tree, read_tree
from convnet.data.decode import SUFFIXES
from convnet.errors import ConvnetError

_EXPECTED = "expected train/<class>/<image> and test/<class>/<image>, or <class>/<image>"
_TRAIN, _TEST = ("train", "training"), ("test", "val", "valid", "validation")  # of each, the first one there is used

Classes = dict[str, list[Member]]  # the images of each class, both in alphabetical order


def find_classes(path: Path) -> tuple[Classes, Classes]:
    """The images to train on and those to test on, by class.

    There are no classes to test on if all lie in one set, and none to train on if that set is test/.

    Raises ConvnetError naming the file or folder that is not as expected.
    """
    tree = _visible(read_tree(path, _is_image))
    if not tree.files:
        raise ConvnetError(f"{path}: holds no images; {_EXPECTED}")
    top = _top(tree)
    children = {folder.name.lower(): folder for folder in _folders(tree, top)}
    train, test = (next((children[name] for name in names if name in children), None) for names in (_TRAIN, _TEST))
    if test is None:
        return _classes(path, tree, train or top), {}
    if train is None:
        # Other images may be those to train on, in a folder of another name, or classes: do not leave them out.
        others = [folder for name, folder in children.items() if name not in _TEST and _holds_images(tree, folder)]
        if others:
            raise ConvnetError(f"{path}: found {test}/ and {others[0]}/, but no train/ beside them; {_EXPECTED}")
        return {}, _classes(path, tree, test)
    found = _classes(path, tree, train), _classes(path, tree, test)
    for classes, other, folder in ((found[0], found[1], test), (found[1], found[0], train)):
        missing = sorted(set(classes) - set(other))
        if missing:
            raise ConvnetError(f"{path}: class folder {folder / missing[0]} is missing; train and test need the same")
    return found


def _is_image(name: PurePosixPath) -> bool:
    """Whether the name is that of an image."""
    return name.suffix.lower() in SUFFIXES


def _visible(tree: Tree) -> Tree:
    """The tree without the hidden files and folders that operating systems leave in archives."""

    def visible(name: PurePosixPath) -> bool:
        return not any(part.startswith((".", "__MACOSX")) for part in name.parts)

    return Tree([file for file in tree.files if visible(file.name)], [name for name in tree.folders if visible(name)])


def _top(tree: Tree) -> PurePosixPath:
    """The folder that holds the sets or the classes: not one around everything else."""
    top = PurePosixPath()
    while True:
        inner = _folders(tree, top)
        deep = any(len(file.name.parts) > len(top.parts) + 2 for file in tree.files)
        if len(inner) != 1 or not deep or inner[0].name.lower() in (*_TRAIN, *_TEST):
            return top
        top = inner[0]


def _folders(tree: Tree, parent: PurePosixPath) -> list[PurePosixPath]:
    """The folders right inside `parent`. Archives need not list folders that have files in them."""
    depth = len(parent.parts) + 1
    names = [*tree.folders, *(file.name.parent for file in tree.files)]
    inner = {PurePosixPath(*name.parts[:depth]) for name in names if len(name.parts) >= depth}
    return sorted(name for name in inner if name.parent == parent)


def _holds_images(tree: Tree, folder: PurePosixPath) -> bool:
    """Whether there are images anywhere below `folder`."""
    return any(folder in file.name.parents for file in tree.files)


def _classes(path: Path, tree: Tree, parent: PurePosixPath) -> Classes:
    """The images below `parent` by the name of the folder in it."""
    classes: Classes = {folder.name: [] for folder in _folders(tree, parent)}
    depth = len(parent.parts)
    for file in tree.files:
        parts = file.name.parts
        if parts[:depth] != parent.parts:
            continue
        if len(parts) < depth + 2:
            raise ConvnetError(f"{path}: {file.name} is not in a class folder; {_EXPECTED}")
        classes[parts[depth]].append(file)
    empty = [name for name, files in classes.items() if not files]
    if empty:
        raise ConvnetError(f"{path}: class folder {parent / empty[0]} holds no images")
    if len(classes) < 2:
        raise ConvnetError(f"{path}: expected at least two class folders, found {len(classes)}; {_EXPECTED}")
    return classes
