"""Problems: how they read, how they are collected, and the order in which they are raised."""

from __future__ import annotations

import pickle

import pytest

from convnet.config.report import ConfigError, Place, Problem, Report, quoted
from convnet.errors import ConvnetError

HERE = Place("layers.cfg", 12)


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (Problem(HERE, "conv1", "filterSize", "wrong"), "layers.cfg:12: [conv1] filterSize: wrong"),
        (Problem(HERE, "conv1", None, "wrong"), "layers.cfg:12: [conv1] wrong"),
        (Problem(HERE, None, None, "wrong"), "layers.cfg:12: wrong"),
        (Problem(Place("layers.cfg", 0), None, None, "wrong"), "layers.cfg: wrong"),
        (Problem(None, None, None, "wrong"), "wrong"),
        (Problem(None, "a\nb", "\x1b[31m", "tab\there\x00 é"), "[a\\nb] \\x1b[31m: tab\\there\\x00 é"),
    ],
)
def test_problem_as_text(problem: Problem, expected: str) -> None:
    assert str(problem) == expected


def test_all_errors_are_raised_in_the_order_of_files_and_lines() -> None:
    report = Report()
    report.add_file("layers.cfg")
    report.error("e", place=Place("params.cfg", 1))
    report.error("d", place=Place("layers.cfg", 10))
    report.error("b", place=Place("layers.cfg", 9))
    report.error("c", place=Place("layers.cfg", 9))
    report.error("a")
    with pytest.raises(ConfigError) as raised:
        report.raise_if_errors()
    assert [problem.text for problem in raised.value.problems] == ["a", "b", "c", "d", "e"]
    assert str(raised.value) == "a\nlayers.cfg:9: b\nlayers.cfg:9: c\nlayers.cfg:10: d\nparams.cfg:1: e"
    assert isinstance(raised.value, ConvnetError)


def test_nothing_is_reported_twice() -> None:
    report = Report()
    for text in ("same", "same", "other"):
        report.error(text, place=HERE, section="s", key="k")
        report.note(text, place=HERE)
    assert [problem.text for problem in report.errors] == ["same", "other"]
    assert [problem.text for problem in report.notes] == ["same", "other"]
    assert report.errors[0] == Problem(HERE, "s", "k", "same")


def test_the_same_note_of_a_key_in_several_sections_of_a_file_is_one() -> None:
    report = Report()
    found = [("a", "sumWidth"), ("b", "sumwidth"), ("b", "partialSum"), ("c", "sumWidth")]
    for line, (section, key) in enumerate(found, start=1):
        report.note("no effect", place=Place("l.cfg", line), section=section, key=key)
    report.note("no effect", place=Place("p.cfg", 1), section="a", key="sumWidth")
    report.note("another", place=Place("l.cfg", 9), section="d", key="sumWidth")
    assert [str(note) for note in report.notes] == [
        "l.cfg:1: [a, b, c] sumWidth: no effect",
        "l.cfg:3: [b] partialSum: no effect",
        "p.cfg:1: [a] sumWidth: no effect",
        "l.cfg:9: [d] sumWidth: another",
    ]


def test_notes_stop_nothing() -> None:
    report = Report()
    report.note("good to know", place=HERE, section="s", key="k")
    report.raise_if_errors()
    assert report.errors == []
    assert [str(note) for note in report.notes] == ["layers.cfg:12: [s] k: good to know"]


def test_error_survives_pickling() -> None:
    error = ConfigError([Problem(HERE, "s", "k", "wrong")])
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.problems, str(copy)) == (error.problems, str(error))


def test_quoted() -> None:
    assert quoted("  a\n\tb ") == "'a b'"
    assert quoted("x" * 60) == "'" + "x" * 60 + "'"
    assert quoted("x" * 61) == "'" + "x" * 60 + "...'"
