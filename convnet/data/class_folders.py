"""Which class and which set each image of a folder or archive belongs to, by the folders it lies in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from convnet.data.archive import Member, read_tree
from convnet.data.decode import SUFFIXES
from convnet.errors import ConvnetError

_EXPECTED = "expected train/<class>/<image> and test/<class>/<image>, or <class>/<image>"
# Of each, the first one there is used.
TRAIN_NAMES, TEST_NAMES = ("train", "training"), ("test", "val", "valid", "validation")

Folder = PurePosixPath
Classes = dict[str, list[Member]]  # the images of each class, both in alphabetical order
ClassFolders = dict[str, list[Folder]]  # the folders that hold images of each class, both in alphabetical order


def find_classes(path: Path) -> tuple[Classes, Classes]:
    """The images to train on and those to test on, by class.

    There are no classes to test on if all lie in one set, and none to train on if that set is test/.

    Raises ConvnetError naming the file or folder that is not as expected.
    """
    tree = read_tree(path, is_wanted)
    inside: dict[Folder, list[Member]] = {}
    for file in tree.files:
        inside.setdefault(file.name.parent, []).append(file)
    examples = {folder: files[0].name for folder, files in inside.items()}
    train, test = find_class_folders(path, tree.folders, examples)

    def members(classes: ClassFolders) -> Classes:
        files = {name: [file for folder in folders for file in inside[folder]] for name, folders in classes.items()}
        return {name: sorted(members, key=lambda member: member.name) for name, members in files.items()}

    return members(train), members(test)


def is_wanted(name: PurePosixPath) -> bool:
    """Whether the name is that of an image; hidden ones, which operating systems leave in archives, are not wanted."""
    return name.suffix.lower() in SUFFIXES and _visible(name)


def find_class_folders(
    path: Path, folders: Iterable[Folder], images: Mapping[Folder, PurePosixPath]
) -> tuple[ClassFolders, ClassFolders]:
    """The folders with images to train on and those with images to test on, by class, as for `find_classes`.

    folders: all there are; those that hold images may be missing. images: of each folder that has images right inside
    it, the first of them.

    Raises ConvnetError naming the file or folder that is not as expected.
    """
    layout = _Layout(path, {*filter(_visible, folders), *images}, images)
    if not images:
        raise ConvnetError(f"{path}: holds no images; {_EXPECTED}")
    top = layout.top()
    children = {folder.name.lower(): folder for folder in layout.inside(top)}
    sets = (TRAIN_NAMES, TEST_NAMES)
    train, test = (next((children[name] for name in names if name in children), None) for names in sets)
    if test is None:
        return layout.classes(train or top), {}
    if train is None:
        # Other images may be those to train on, in a folder of another name, or classes: do not leave them out.
        others = [folder for name, folder in children.items() if name not in TEST_NAMES and layout.holds_images(folder)]
        if others:
            raise ConvnetError(f"{path}: found {test}/ and {others[0]}/, but no train/ beside them; {_EXPECTED}")
        return {}, layout.classes(test)
    found = layout.classes(train), layout.classes(test)
    for classes, other, folder in ((found[0], found[1], test), (found[1], found[0], train)):
        missing = sorted(set(classes) - set(other))
        if missing:
            raise ConvnetError(f"{path}: class folder {folder / missing[0]} is missing; train and test need the same")
    return found


def _visible(name: PurePosixPath) -> bool:
    """Whether neither the name nor a folder around it is hidden."""
    return not any(part.startswith((".", "__MACOSX")) for part in name.parts)


@dataclass(frozen=True)
class _Layout:
    """The folders of `path`, and of each that has images right inside it, the first of them."""

    path: Path
    folders: set[Folder]
    images: Mapping[Folder, PurePosixPath]

    def top(self) -> Folder:
        """The folder that holds the sets or the classes: not one around everything else."""
        top = Folder()
        while True:
            inner = self.inside(top)
            deep = any(len(folder.parts) > len(top.parts) + 1 for folder in self.images)
            if len(inner) != 1 or not deep or inner[0].name.lower() in (*TRAIN_NAMES, *TEST_NAMES):
                return top
            top = inner[0]

    def inside(self, parent: Folder) -> list[Folder]:
        """The folders right inside `parent`. Archives need not list folders that have files in them."""
        depth = len(parent.parts) + 1
        inner = {Folder(*name.parts[:depth]) for name in self.folders if len(name.parts) >= depth}
        return sorted(name for name in inner if name.parent == parent)

    def holds_images(self, folder: Folder) -> bool:
        """Whether there are images anywhere below `folder`."""
        return any(folder == other or folder in other.parents for other in self.images)

    def classes(self, parent: Folder) -> ClassFolders:
        """The folders with images below `parent` by the name of the folder in it."""
        classes: ClassFolders = {folder.name: [] for folder in self.inside(parent)}
        depth = len(parent.parts)
        for folder in sorted(self.images):
            if folder.parts[:depth] != parent.parts:
                continue
            if folder == parent:
                raise ConvnetError(f"{self.path}: {self.images[folder]} is not in a class folder; {_EXPECTED}")
            classes[folder.parts[depth]].append(folder)
        empty = [name for name, folders in classes.items() if not folders]
        if empty:
            raise ConvnetError(f"{self.path}: class folder {parent / empty[0]} holds no images")
        if len(classes) < 2:
            raise ConvnetError(f"{self.path}: expected at least two class folders, found {len(classes)}; {_EXPECTED}")
        return classes
