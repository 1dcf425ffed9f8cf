"""The classes of ILSVRC 2012: the development kit's synset table and ground truth."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from convnet.data.archive import is_archive, read_tree
from convnet.errors import ConvnetError

_SYNSET = re.compile(r"n\d{8}")
_META = "meta.mat"


@dataclass(frozen=True)
class Synsets:
    """The classes in the order of ILSVRC's ids, which count from 1.

    ids: WordNet's, as n01440764. names: as "tench, Tinca tinca". certain: whether the order is known to be that of the
    ids; a text of synsets in the order of their WordNet ids is another one than the development kit's.
    """

    ids: list[str]
    names: list[str]
    certain: bool


def read_synsets(path: Path) -> Synsets:
    """The synset table: the development kit (an archive), its meta.mat, or text with a line for each synset, id first.

    Raises ConvnetError where it is none of them.
    """
    if is_archive(path):
        return _from_meta(find_in_kit(path, _META), path)
    content = _read(path)
    return _from_meta(content, path) if path.suffix.lower() == ".mat" else _from_text(content, path)


def read_ground_truth(path: Path, name: str, synsets: Synsets) -> list[int]:
    """The label of each validation image, in the order of their names.

    path: a text, or the development kit that holds it as `name`. A line is an ILSVRC id, from 1, or a WordNet id.

    Raises ConvnetError naming the line that is not as expected.
    """
    content = find_in_kit(path, name) if is_archive(path) else _read(path)
    words = [line.strip() for line in _text(content, path).splitlines() if line.strip()]
    index = {synset: label for label, synset in enumerate(synsets.ids)}
    numbers = {str(label + 1): label for label in range(len(synsets.ids))}
    if any(word in numbers for word in words) and not synsets.certain:
        raise ConvnetError(
            f"{path}: expected WordNet ids (n01440764), because ILSVRC's numbers have no meaning without the order of "
            "the development kit, and the synset table given is in alphabetical order; or give the development kit or "
            "its meta.mat as the synset table"
        )
    for line, word in enumerate(words, 1):
        if word not in index and word not in numbers:
            raise ConvnetError(f"{path}, line {line}: expected 1 .. {len(numbers)} or a synset, found '{word}'")
    return [index[word] if word in index else numbers[word] for word in words]


def find_in_kit(path: Path, name: str) -> bytes:
    """What the file called `name` in an archive holds, whatever folder it is in."""
    found = read_tree(path, lambda place: place.name == name).files
    if found:
        return found[0].read()
    raise ConvnetError(f"{path}: expected {name} in it, found no such file")


def _read(path: Path) -> bytes:
    """What a file holds."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConvnetError(f"{path}: cannot be read: {error}") from error


def _text(content: bytes, path: Path) -> str:
    """Text in UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConvnetError(f"{path}: expected text in UTF-8: {error}") from error


def _from_text(content: bytes, path: Path) -> Synsets:
    """Lines such as "n01440764 tench, Tinca tinca"."""
    lines = [line.split(None, 1) for line in _text(content, path).splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        if not _SYNSET.fullmatch(line[0]):
            raise ConvnetError(f"{path}, line {number}: expected a synset such as n01440764 first, found '{line[0]}'")
    ids = [line[0] for line in lines]
    return _checked(path, ids, [line[-1].strip() for line in lines], certain=ids != sorted(ids))


def _from_meta(content: bytes, path: Path) -> Synsets:
    """The synsets of meta.mat that have no others below them, which are the classes."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:  # among what is raised: RuntimeError for files of version 7.3, which scipy does not read
        found = loadmat(io.BytesIO(content), squeeze_me=True, struct_as_record=True)["synsets"]
        rows = sorted(
            (int(row["ILSVRC2012_ID"]), str(row["WNID"]), str(row["words"]))
            for row in found.ravel()
            if not row["num_children"]
        )
    except (MatReadError, zlib.error, OSError, ValueError, TypeError, LookupError, RuntimeError) as error:
        raise ConvnetError(f"{path}: expected ILSVRC's meta.mat, but it cannot be read: {error}") from error
    if [row[0] for row in rows] != list(range(1, len(rows) + 1)):
        raise ConvnetError(f"{path}: expected the classes' ILSVRC2012_ID to be 1, 2, .. {len(rows)}, found others")
    return _checked(path, [row[1] for row in rows], [row[2] for row in rows], certain=True)


def _checked(path: Path, ids: Sequence[str], names: Sequence[str], *, certain: bool) -> Synsets:
    """The table, which names each synset once."""
    twice = next((synset for synset in ids if ids.count(synset) > 1), None)
    if not ids or twice:
        raise ConvnetError(f"{path}: expected synsets, each once; found {f'{twice} twice' if twice else 'none'}")
    if len(ids) < 2:
        raise ConvnetError(f"{path}: expected at least two synsets, found {len(ids)}")
    return Synsets(list(ids), list(names), certain)


def number_in(name: PurePosixPath) -> int | None:
    """The number of a validation image, as in ILSVRC2012_val_00000017.JPEG; None where there is none."""
    digits = name.stem.rpartition("_")[2]
    return int(digits) if digits.isascii() and digits.isdecimal() else None
