"""Reading the values of a section by its keys, with every message a user can get."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest

from convnet.config.keys import REQUIRED, Ignored, Key, read_values
from convnet.config.kinds import Bool, Choice, Custom, Float, Int, split_items
from convnet.config.nearest import nearest
from convnet.config.reader import parse, read
from convnet.config.report import ConfigError, Report

CONV = (
    Key("filters", Int(minimum=1), "filters per group", per_input=True),
    Key("filterSize", Int(minimum=1), "side of the filters", per_input=True, aliases=("sizeX",)),
    Key("padding", Int(), "zeros around the image", default=0, per_input=True),
    Key("sharedBiases", Bool(), "one bias for each filter", default=True),
    Key("initB", Float(), "initial biases", default=0.0),
)
IGNORED = (Ignored("sumWidth", "it sets how a GPU divides the work"),)


def values(
    lines: str, *, keys: Sequence[Key] = CONV, inputs: int = 1, also_allowed: Collection[str] = ("type", "inputs")
) -> tuple[dict[str, object], list[str]]:
    """The values of the section [conv1] with these lines, and the messages: notes, then errors."""
    report = Report()
    section = parse("[conv1]\n" + lines, "a.cfg", report).sections["conv1"]
    found = read_values(section, keys, ignored=IGNORED, inputs=inputs, report=report, also_allowed=also_allowed)
    return found, [str(problem) for problem in report.notes + report.errors]


def test_values_and_defaults() -> None:
    found, messages = values("TYPE=conv\ninputs=data\nFILTERS=16\nfilterSize=5\nsharedbiases=off")
    assert messages == []
    assert found == {"filters": [16], "filterSize": [5], "padding": [0], "sharedBiases": False, "initB": 0.0}


def test_per_input_lists() -> None:
    found, messages = values("filters=16\nfilterSize=5,3,1", inputs=3)
    assert messages == []
    assert (found["filters"], found["filterSize"], found["padding"]) == ([16, 16, 16], [5, 3, 1], [0, 0, 0])


def test_repeated_defaults_are_lists_of_their_own() -> None:
    first, _ = values("filters=1\nfilterSize=1", inputs=2)
    second, _ = values("filters=1\nfilterSize=1", inputs=2)
    assert first["padding"] is not second["padding"]


def test_alias() -> None:
    found, messages = values("filters=1\nsizex=7")
    assert (found["filterSize"], messages) == ([7], [])


def test_items_of_a_list_may_hold_commas() -> None:
    keys = (Key("epsW", Custom("a schedule", split_items), "learning rate", per_input=True),)
    found, messages = values("epsW=a[1,2],b(3,4)", keys=keys, inputs=2)
    assert (found["epsW"], messages) == ([["a[1,2]"], ["b(3,4)"]], [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("filters=0", "a.cfg:2: [conv1] filters: expected an integer of at least 1, found '0'"),
        ("FILTERS=", "a.cfg:2: [conv1] filters: expected an integer of at least 1, found nothing"),
        (
            "filters=16 # many",
            "a.cfg:2: [conv1] filters: expected an integer of at least 1, found '16 # many'"
            " (a comment after a value begins with ' ;')",
        ),
        (
            "filters=16\n  initB=1",
            "a.cfg:2: [conv1] filters: expected an integer of at least 1, found '16 initB=1'"
            " (a line indented deeper than its key continues the value)",
        ),
        ("filters=16#", "a.cfg:2: [conv1] filters: expected an integer of at least 1, found '16#'"),
        ("filters=1,2,3", "a.cfg:2: [conv1] filters: expected 1 or 2 items (one per input), found 3"),
        ("filters=1,x", "a.cfg:2: [conv1] filters: item 2: expected an integer of at least 1, found 'x'"),
        ("initB=0", "a.cfg:1: [conv1] filters: expected an integer of at least 1, but the key is missing"),
    ],
)
def test_wrong_value(line: str, message: str) -> None:
    found, messages = values(f"{line}\nfilterSize=3", inputs=2)
    assert messages == [message]
    assert "filters" not in found
    assert found["filterSize"] == [3, 3]


def test_too_many_items_for_one_input() -> None:
    _, messages = values("filters=1,2\nfilterSize=3")
    assert messages == ["a.cfg:2: [conv1] filters: expected 1 item (one per input), found 2"]


def test_key_and_alias_together() -> None:
    found, messages = values("sizeX=3\nfilters=1\nfiltersize=3")
    assert messages == ["a.cfg:4: [conv1] filterSize: given before as 'sizeX', in line 2"]
    assert "filterSize" not in found


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("filtersSize=5", "a.cfg:4: [conv1] filtersSize: unknown key; did you mean 'filterSize'?"),
        ("PADING=1", "a.cfg:4: [conv1] PADING: unknown key; did you mean 'padding'?"),
        ("imputs=1", "a.cfg:4: [conv1] imputs: unknown key; did you mean 'inputs'?"),
        (
            "zzz=1",
            "a.cfg:4: [conv1] zzz: unknown key;"
            " expected one of filters, filterSize, padding, sharedBiases, initB, type, inputs",
        ),
    ],
)
def test_unknown_key(line: str, message: str) -> None:
    assert values(f"filters=1\nfilterSize=1\n{line}")[1] == [message]


def test_unknown_key_where_there_are_none() -> None:
    assert values("k=1", keys=(), also_allowed=())[1] == ["a.cfg:2: [conv1] k: unknown key; no keys are known here"]


def test_ignored_key_gives_a_note() -> None:
    report = Report()
    section = parse("[conv1]\nsumwidth=4", "a.cfg", report).sections["conv1"]
    assert read_values(section, (), ignored=IGNORED, report=report) == {}
    assert report.errors == []
    assert [str(note) for note in report.notes] == [
        "a.cfg:2: [conv1] sumwidth: has no effect here: it sets how a GPU divides the work"
    ]


@pytest.mark.parametrize(
    ("value", "harmless"),
    [("0", True), ("0.0", True), ("1", True), ("false", True), ("0, off,1", True), ("2", False), ("0,2", False),
     ("-1", False), ("", False), ("nan", False), ("0 0", False), ("a.b(0,1)", False)],
)  # fmt: skip
def test_an_ignored_key_is_harmless_with_some_values_only(value: str, harmless: bool) -> None:
    ignored = Ignored("updatePeriod", "weights are updated after every minibatch", harmless=(0, 1))
    report = Report()
    section = parse(f"[conv1]\nupdatePeriod={value}", "a.cfg", report).sections["conv1"]
    read_values(section, (), ignored=(ignored,), report=report)
    assert report.errors == []
    assert [note.text for note in report.notes] == [
        "has no effect here: weights are updated after every minibatch" if harmless
        else "is not supported: weights are updated after every minibatch; the net differs from the original's"
    ]  # fmt: skip


def test_a_key_without_values_that_do_no_harm() -> None:
    assert Ignored("initCFunc", "why", harmless=()).note("0").startswith("is not supported: why; ")


def test_a_misplaced_key() -> None:
    report = Report()
    section = parse("[conv1]\nEpsW=1\nepsX=1", "a.cfg", report).sections["conv1"]
    read_values(section, (), report=report, misplaced={"epsw": "belongs elsewhere"})
    assert [str(error) for error in report.errors] == [
        "a.cfg:2: [conv1] EpsW: belongs elsewhere", "a.cfg:3: [conv1] epsX: unknown key; no keys are known here",
    ]  # fmt: skip


def test_a_key_that_others_refer_to_need_not_be_known() -> None:
    found, messages = values("width=8\nfilters=%(width)s\nfilterSize=%(width)s")
    assert (found["filters"], messages) == ([8], [])


def test_a_broken_value_gives_one_error_and_no_value() -> None:
    found, messages = values("filters=%(no)s\nfilterSize=1\ninitB=%")
    assert messages == [
        "a.cfg:2: [conv1] filters: expected a key of this section in '%(no)s', found none of that name",
        "a.cfg:4: [conv1] initB: expected '%(key)s', or '%%' for a percent sign, found a '%' alone",
    ]
    assert found.keys() == {"filterSize", "padding", "sharedBiases"}


def test_without_a_section_there_are_defaults_only() -> None:
    report = Report()
    assert read_values(None, CONV, inputs=2, report=report) == {"padding": [0, 0], "sharedBiases": True, "initB": 0.0}
    assert report.errors == []


def test_none_is_a_default_like_others() -> None:
    keys = (Key("pool", Choice("max", "avg"), "how to pool", default=None), Key("size", Int(), "side"))
    assert keys[1].default is REQUIRED
    found, messages = values("size=1", keys=keys)
    assert (found, messages) == ({"pool": None, "size": 1}, [])


def test_all_errors_of_two_files_at_once() -> None:
    layers = "top\n[data]\ntype data\n[conv1]\nfilters=x\nfilterSize=1,2\n\n[conv1]\n[conv2\nfilters=1\nfiltersize=0\n"
    params = "[conv1]\r\nepsW=1,\r\n  ?\r\nepsW=2\r\nmomW\r\n"
    report = Report()
    files = [parse(layers, "layers.cfg", report), parse(params, "params.cfg", report)]
    read_values(files[1].sections["conv1"], (Key("epsW", Float(), "rate", per_input=True),), inputs=2, report=report)
    for name in ("conv1", "conv2"):
        read_values(files[0].sections[name], CONV, report=report)
    with pytest.raises(ConfigError) as raised:
        report.raise_if_errors()
    assert str(raised.value).split("\n") == [
        "layers.cfg:1: expected a [section] first, found 'top'",
        "layers.cfg:3: [data] expected key=value, found 'type data'",
        "layers.cfg:5: [conv1] filters: expected an integer of at least 1, found 'x'",
        "layers.cfg:6: [conv1] filterSize: expected 1 item (one per input), found 2",
        "layers.cfg:8: [conv1] this section was given before, in line 4",
        "layers.cfg:9: expected ']' after the name of a section, found '[conv2'",
        "layers.cfg:11: [conv2] filterSize: expected an integer of at least 1, found '0'",
        "params.cfg:2: [conv1] epsW: item 2: expected a number, found '?'"
        " (a line indented deeper than its key continues the value)",
        "params.cfg:4: [conv1] epsW: given before, in line 2",
        "params.cfg:5: [conv1] expected key=value, found 'momW'",
    ]


def test_a_file_that_cannot_be_read_is_reported_with_the_other_files_errors() -> None:
    report = Report()
    read("no-such.cfg", report)
    parse("[s", "params.cfg", report)
    with pytest.raises(ConfigError) as raised:
        report.raise_if_errors()
    assert [problem.place and problem.place.file for problem in raised.value.problems] == ["no-such.cfg", "params.cfg"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [("convv", "conv"), ("COST.LOGREG", "cost.logreg"), ("sofmax", "SoftMax"), ("zebra", None), ("", None)],
)
def test_nearest(word: str, expected: str | None) -> None:
    assert nearest(word, ["conv", "concat", "cost.logreg", "SoftMax", "pool"]) == expected
    assert nearest(word, []) is None
