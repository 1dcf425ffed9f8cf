"""Making data batches in tests, and what is in them, read by tarfile alone."""

import json
import tarfile
from pathlib import Path

from convnet.data.making import MakeOptions, SourceOptions, make, open_source


def silent(stage, done, total):
    """No progress."""


def made(source, target, progress=silent, form=None, test_share=None, **options):
    """Make batches of small images, in small segments."""
    options = {"size": 32, "batch_size": 10, "segment": 4, "workers": 2, **options}
    found = open_source(Path(source), SourceOptions(form, test_share))
    return make(found, Path(target), MakeOptions(**options), progress)


def files_of(folder):
    """{name: bytes} of all files in a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def meta_of(folder):
    return json.loads((folder / "batches.json").read_text())


def cases_of(folder):
    """For training and test batches, the cases (jpeg, labels) of each batch."""
    meta = meta_of(folder)
    batches = [
        batch_cases(folder / f"data_batch_{number + 1}.tar") for number in range(len(meta["train"] + meta["test"]))
    ]
    return batches[: len(meta["train"])], batches[len(meta["train"]) :]


def batch_cases(path):
    with tarfile.open(path) as archive:
        members = {entry.name: archive.extractfile(entry).read() for entry in archive}
    cases = []
    for name, content in members.items():
        if name.endswith(".jpg"):
            stem = name.removesuffix(".jpg")
            labels = [int(members[f"{stem}.cls"])] if f"{stem}.cls" in members else []
            several = json.loads(members[f"{stem}.json"])["labels"] if f"{stem}.json" in members else labels
            assert labels == several[:1]
            cases.append((content, tuple(several)))
    return cases


def flat(batches):
    """All cases, sorted."""
    return sorted(case for batch in batches for case in batch)
