"""CSV files of path,label."""

import pytest

from convnet.errors import ConvnetError
from tests.data.makers import write_folder
from tests.data.photographs import photograph_files

from .running import cases_of, flat, made, meta_of

FILES = photograph_files(range(12), "images/", ((32, 41), (47, 32)))
PATHS = list(FILES)


def written(tmp_path, text, encoding="utf-8"):
    write_folder(tmp_path, FILES)
    (tmp_path / "table.csv").write_bytes(text.encode(encoding))
    return tmp_path / "table.csv"


def lines(*rows):
    return "".join(f"{row}\n" for row in rows)


def all_cases(folder):
    """{path: labels}, and the paths that are tested on."""
    train, test = map(flat, cases_of(folder))
    paths = {content: path for path, content in FILES.items()}
    return {paths[content]: labels for content, labels in train + test}, {paths[content] for content, _ in test}


NAMED = [f'{path},"{("b, or c", "a")[number % 2]}"' for number, path in enumerate(PATHS)]
NUMBERED = [f"{path},{number % 3}" for number, path in enumerate(PATHS)]


@pytest.mark.parametrize("heading", ["", "path,label\n", "Path,Class\r\n", "\n\n", "\n\npath,label\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_names(tmp_path, heading, encoding):
    made(written(tmp_path, heading + lines(*NAMED), encoding), tmp_path / "made")
    labels, _ = all_cases(tmp_path / "made")
    assert labels == {path: (1 - number % 2,) for number, path in enumerate(PATHS)}
    assert meta_of(tmp_path / "made")["label_names"] == ["a", "b, or c"]


HEADINGS = ["file,label", "filename,label", "image,class", "id,label", "Image, Class_Name", "x.jpg,label", "a,b"]


@pytest.mark.parametrize("heading", HEADINGS)
@pytest.mark.parametrize("rows", [NAMED, NUMBERED], ids=["names", "numbers"])
def test_headings(tmp_path, heading, rows):
    for name, text in (("plain", lines(*rows)), ("headed", lines(heading, *rows))):
        result = made(written(tmp_path, text), tmp_path / name)
        assert result.bad == 0
    assert all_cases(tmp_path / "headed") == all_cases(tmp_path / "plain")
    assert meta_of(tmp_path / "headed")["label_names"] == meta_of(tmp_path / "plain")["label_names"]


def test_first_lines_that_are_no_headings(tmp_path):
    """An image of the class "label", and one without a suffix; images that are missing are named."""
    (tmp_path / "photograph").write_bytes(FILES[PATHS[0]])
    for first, bad in ((f"{PATHS[0]},label", 0), ("photograph,a", 0), ("missing.jpg,a", 1)):
        result = made(written(tmp_path, lines(first, *NAMED[1:])), tmp_path / first[-9:].replace("/", ""))
        assert (sum(result.train + result.test), result.bad) == (12 - bad, bad)
    assert made(written(tmp_path, lines("missing,7", *NUMBERED)), tmp_path / "made").bad == 1


def test_classes_without_images(tmp_path):
    result = made(written(tmp_path, lines(f"{PATHS[0]},1", f"{PATHS[1]},5")), tmp_path / "made")
    assert (result.classes, result.empty) == (6, 4)
    assert made(written(tmp_path, lines(*NUMBERED)), tmp_path / "all").empty == 0


def test_numbers(tmp_path):
    made(written(tmp_path, lines(*NUMBERED[:-1], f"{PATHS[-1]}, 5")), tmp_path / "made")
    labels, tested = all_cases(tmp_path / "made")
    assert labels == {path: (number % 3 if number < 11 else 5,) for number, path in enumerate(PATHS)}
    assert meta_of(tmp_path / "made")["label_names"] == ["0", "1", "2", "3", "4", "5"]
    assert len(tested) == 3  # one of each class but the one with a single case


def test_several_labels(tmp_path):
    rows = [f"{PATHS[0]},2 0 7", f"{PATHS[1]},3", f"{PATHS[2]},1", f"{PATHS[1]},1 3", f"{PATHS[3]},4"]
    made(written(tmp_path, lines(*rows)), tmp_path / "made")
    labels, _ = all_cases(tmp_path / "made")
    assert labels == {PATHS[0]: (2, 0, 7), PATHS[1]: (3, 1), PATHS[2]: (1,), PATHS[3]: (4,)}
    meta = meta_of(tmp_path / "made")
    assert meta["several_labels"] is True
    counts = meta["class_counts"]
    assert [a + b for a, b in zip(counts["train"], counts["test"], strict=True)] == [1, 2, 1, 1, 1, 0, 0, 1]


def test_several_names(tmp_path):
    rows = [f"{PATHS[0]},a dog", f"{PATHS[1]},cat", f"{PATHS[0]},cat"]
    made(written(tmp_path, lines(*rows)), tmp_path / "made")
    assert all_cases(tmp_path / "made")[0] == {PATHS[0]: (0, 1), PATHS[1]: (1,)}
    assert meta_of(tmp_path / "made")["label_names"] == ["a dog", "cat"]


def test_the_third_column(tmp_path):
    parts = ["train", "TEST", "training", "val"]
    rows = [f"{row},{parts[number % 4]}" for number, row in enumerate(NUMBERED)]
    made(written(tmp_path, lines("path,label,split", *rows)), tmp_path / "made")
    assert all_cases(tmp_path / "made")[1] == set(PATHS[1::2])
    with pytest.raises(ConvnetError, match="a test share was given"):
        made(tmp_path / "table.csv", tmp_path / "other", test_share=0.5)


A, B = PATHS[:2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected lines of path,label, found none"),
        ("path,label\n", "expected lines of path,label, found none"),
        (f"{A},0\n{B},-1\n", "line 2: expected labels of 0 .. 99999, found -1"),
        (f"{A},0\n{B},100000\n", "line 2: expected labels of 0 .. 99999, found 100000"),
        (f"{A},0\n{B},1 99999999999999999999999\n", "line 2: expected labels of 0 .. 99999, found 9999"),
        (f"{A},0\n{B},1\n{A},-2\n", "line 3: expected labels of 0 .. 99999, found -2"),
        (f"{A},0\n{B},1\n{A},O\n", "line 3: expected a number as in the other lines, found 'O'"),
        (f"{A},cat\n{B},1 2\n", "line 1: expected a number as in the other lines, found 'cat'"),
        (f"{A},0\n{B},0\n", "expected at least two classes, found 1"),
        (f"{A},3 3\n{B},3\n", "expected at least two classes, found 1"),
        (f"{A},cat\n{B},cat\n", "expected at least two classes, found 1"),
        (f"{A},cat\n", "expected at least two classes, found 1"),
        (f"{A},0\n{B}\n", r"line 2: expected path,label; found \["),
        (f"{A},0\n{B},1,test\n", r"line 2: expected path,label; found \["),
        (f"{A},0,train\n{B},1\n", r"line 2: expected path,label,train or path,label,test; found \["),
        (f"{A},0,train\n{B},1,\n", r"line 2: expected path,label,train or"),
        (f"{A}\n", r"line 1: expected path,label or path,label,train\|test; found \["),
        (f"{A},0,1,2\n", r"line 1: expected path,label or path,label,train\|test; found \["),
        (f"{A},\n", "line 1: expected path,label; found"),
        (f"{A},0,maybe\n", "line 1: expected train or test in the third column, found 'maybe'"),
        (f"{A},0,train\n{A},1,test\n", f"line 2: {A} is both to train on and to test on"),
        (f'{A},"0\n', "expected CSV: "),
    ],
)
def test_lines_that_are_not_as_expected(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(ConvnetError, match=f"{path}(, line [0-9]+)?(: |, ){message}"):
        made(path, tmp_path / "made")


def test_no_text(tmp_path):
    path = written(tmp_path, "ü,1\n", "latin1")
    with pytest.raises(ConvnetError, match=f"{path}: expected a CSV file in UTF-8"):
        made(path, tmp_path / "made")
