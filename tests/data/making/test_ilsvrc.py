"""ILSVRC 2012's own tars, small."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from convnet.data.making import IlsvrcFiles, MakeOptions, SourceOptions, make, open_source
from convnet.errors import ConvnetError
from tests.data.makers import write_folder, write_tar
from tests.data.photographs import photograph_files

from .running import cases_of, files_of, flat, made, meta_of, silent

# In the order of ILSVRC's numbers, which is not the alphabet's.
SYNSETS = {"n02119789": "kit fox, Vulpes macrotis", "n02100735": "English setter", "n01440764": "tench, Tinca tinca"}
IDS = list(SYNSETS)
IMAGES = list(photograph_files(range(21), "", ((32, 41), (47, 32))).values())
TRAIN = {IDS[label]: IMAGES[4 * label : 4 * label + 3 + label] for label in range(3)}
TRUTH = [3, 1, 1, 2, 3, 2, 1]
VALIDATION = IMAGES[14:]
TEXT = "".join(f"{synset} {name}\n" for synset, name in SYNSETS.items())
NUMBERS = "".join(f"{number}\n" for number in TRUTH)
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
EXPECTED = (
    sorted((content, (label,)) for label, synset in enumerate(IDS) for content in TRAIN[synset]),
    sorted((content, (number - 1,)) for content, number in zip(VALIDATION, TRUTH, strict=True)),
)


def tar_bytes(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def train_files(train=TRAIN):
    inner = {
        synset: {f"{synset}_{number}.JPEG": content for number, content in enumerate(images)}
        for synset, images in train.items()
    }
    return {f"{synset}.tar": tar_bytes(files) for synset, files in sorted(inner.items())}


def meta_mat():
    """As the development kit's: classes have the first numbers, but need not come first; groups of them follow."""
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("gloss", "O"), ("num_children", "O")]
    rows = [(number, synset, SYNSETS[synset], "", 0) for number, synset in enumerate(SYNSETS, 1)]
    rows.append((4, "n00000001", "animal", "", 3))
    stream = io.BytesIO()
    savemat(stream, {"synsets": np.array(rows[::-1], fields).reshape(4, 1)})
    return stream.getvalue()


def written(tmp_path, **others):
    """The folder as published, with a text for the table; `others` has what is different, by names without suffix."""
    folder = tmp_path / "ilsvrc"
    folder.mkdir()
    write_tar(folder / "ILSVRC2012_img_train.tar", others.pop("train", train_files()))
    names = [f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 8)]
    # Not in the order of their numbers, as in the published tar.
    validation = dict(reversed(list(zip(names, VALIDATION, strict=True))))
    write_tar(folder / "ILSVRC2012_img_val.tar", others.pop("validation", validation))
    tables = {"synsets.txt": TEXT.encode(), GROUND_TRUTH: NUMBERS.encode()}
    return write_folder(folder, {**tables, **others})


def without(folder, *names):
    for name in names:
        (folder / name).unlink()
    return folder


def test_all_images_are_there_with_their_labels(tmp_path):
    result = made(written(tmp_path), tmp_path / "made")
    train, test = cases_of(tmp_path / "made")
    assert (flat(train), flat(test)) == EXPECTED
    assert meta_of(tmp_path / "made")["label_names"] == list(SYNSETS.values())
    assert (sum(result.train), sum(result.test), result.classes) == (12, 7, 3)


def test_the_development_kit(tmp_path):
    """As published, nothing else being needed."""
    folder = without(written(tmp_path), "synsets.txt", GROUND_TRUTH)
    kit = {
        "ILSVRC2012_devkit_t12/data/meta.mat": meta_mat(),
        f"ILSVRC2012_devkit_t12/data/{GROUND_TRUTH}": NUMBERS.encode(),
    }
    write_tar(folder / "ILSVRC2012_devkit_t12.tar.gz", kit)
    made(folder, tmp_path / "made")
    assert tuple(map(flat, cases_of(tmp_path / "made"))) == EXPECTED
    assert meta_of(tmp_path / "made")["label_names"] == list(SYNSETS.values())


def test_meta_mat(tmp_path):
    folder = without(written(tmp_path, **{"data/meta.mat": meta_mat()}), "synsets.txt")
    made(folder, tmp_path / "made")
    assert tuple(map(flat, cases_of(tmp_path / "made"))) == EXPECTED


def test_synsets_as_ground_truth(tmp_path):
    """With them the order of the table is that of the labels, whichever it is."""
    words = "".join(f"{IDS[number - 1]}\n" for number in TRUTH)
    table = "".join(f"{synset}\t{SYNSETS[synset]}\n" for synset in sorted(SYNSETS))
    folder = written(tmp_path, **{GROUND_TRUTH: words.encode(), "synsets.txt": table.encode()})
    made(folder, tmp_path / "made")
    index = {label: sorted(IDS).index(synset) for label, synset in enumerate(IDS)}
    for part, expected in zip(cases_of(tmp_path / "made"), EXPECTED, strict=True):
        assert flat(part) == sorted((content, (index[label],)) for content, (label,) in expected)


def test_files_of_other_names(tmp_path):
    folder = written(tmp_path)
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(tmp_path / f"{number}{path.suffix}")
    names = ("0.tar", "1.tar", "2.txt", "3.txt")
    files = IlsvrcFiles(*(tmp_path / name for name in names))
    source = open_source(folder, SourceOptions(ilsvrc=files))
    make(source, tmp_path / "made", MakeOptions(size=32, batch_size=10), silent)
    assert tuple(map(flat, cases_of(tmp_path / "made"))) == EXPECTED


@pytest.mark.parametrize("missing", ["ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"])
def test_one_of_the_two(tmp_path, missing):
    made(without(written(tmp_path), missing), tmp_path / "made")
    expected = ([], EXPECTED[1]) if "train" in missing else (EXPECTED[0], [])
    assert tuple(map(flat, cases_of(tmp_path / "made"))) == expected


@pytest.mark.parametrize("count", [3, 9, 12, 18])
def test_goes_on_after_a_stop(tmp_path, count):
    folder = written(tmp_path)
    made(folder, tmp_path / "undisturbed")

    def progress(stage, done, total):
        if done == count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(folder, tmp_path / "made", progress)
    made(folder, tmp_path / "made")
    assert files_of(tmp_path / "made") == files_of(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    ("others", "text"),
    [
        ({GROUND_TRUTH: b"3\n1\n1\n2\n3\n4\n1\n"}, f"{GROUND_TRUTH}, line 6: expected 1 .. 3 or a synset, found '4'"),
        ({GROUND_TRUTH: b"0\n1\n1\n2\n3\n2\n1\n"}, f"{GROUND_TRUTH}, line 1: expected 1 .. 3 or a synset, found '0'"),
        ({GROUND_TRUTH: b"3\n1\n1\n"}, "expected images numbered 1 .. 3, .* found 7 images, the last one 7"),
        (
            {"validation": {"ILSVRC2012_val_1.JPEG": b""}},
            "expected images numbered 1 .. 7, .* found 1 images, the last",
        ),
        ({"validation": {"x.JPEG": b""}}, "expected images numbered 1 .. 7, .* found 1 images"),
        ({"train": {}}, "ILSVRC2012_img_train.tar: expected n01440764.tar in it, which .*synsets.txt names"),
        ({"train": {**train_files(), "n09999999.tar": b""}}, "expected a tar for each synset .*, found n09999999.tar"),
        ({"train": {"readme.txt": b""}}, "expected a tar for each synset .*, found readme.txt"),
        ({"train": {**train_files(), "n01440764.tar": b"x" * 900}}, "ILSVRC2012_img_train.tar: cannot be read"),
        ({"synsets.txt": b"tench\n"}, "line 1: expected a synset such as n01440764 first, found 'tench'"),
        ({"synsets.txt": TEXT.splitlines()[0].encode()}, "synsets.txt: expected at least two synsets, found 1"),
        ({"synsets.txt": b"\n"}, "expected synsets, each once; found none"),
        ({"synsets.txt": 2 * TEXT.encode()}, "expected synsets, each once; found n02119789 twice"),
        ({"synsets.txt": b"\xff"}, "expected text in UTF-8"),
        ({"synsets.txt": "".join(sorted(TEXT.splitlines(True))).encode()}, "expected WordNet ids .*alphabetical order"),
        ({"meta.mat": b"no such file"}, "expected ILSVRC's meta.mat, but it cannot be read"),
        ({"ILSVRC2012_devkit_t12.tar.gz": b"x"}, "devkit_t12.tar.gz: cannot be read"),
    ],
)
def test_what_does_not_agree(tmp_path, others, text):
    with pytest.raises(ConvnetError, match=text):
        made(written(tmp_path, **others), tmp_path / "made")


@pytest.mark.parametrize(
    ("missing", "text"), [("synsets.txt", "expected the synset table, one of"), (GROUND_TRUTH, "ground truth, one of")]
)
def test_tables_that_are_missing(tmp_path, missing, text):
    with pytest.raises(ConvnetError, match=text):
        made(without(written(tmp_path), missing), tmp_path / "made")


def test_a_folder_without_the_tars(tmp_path):
    with pytest.raises(ConvnetError, match=r"expected ILSVRC2012_img_train.tar or .*, found neither"):
        made(tmp_path, tmp_path / "made", form="ilsvrc2012")
    with pytest.raises(ConvnetError, match="files of ILSVRC 2012 were given, but this is of the form folders"):
        open_source(tmp_path, SourceOptions("folders", None, IlsvrcFiles(train=Path("x"))))
