"""Kinds of values: what each takes, what it refuses, and what it says then."""

from __future__ import annotations

import re

import pytest

from convnet import shape
from convnet.config.kinds import (
    Bool,
    Call,
    Choice,
    Custom,
    Float,
    FunctionCall,
    Int,
    IntRange,
    Kind,
    ListOf,
    Maps,
    Names,
    Text,
    split_items,
    unexpected,
)


def even(text: str) -> int:
    """An even number of one digit."""
    if text not in ("0", "2", "4", "6", "8"):
        raise unexpected("an even digit", text)
    return int(text)


EVEN = Custom("an even digit", even)
COPIES = FunctionCall(("makew", "makeb"), "home", "initw")

GOOD: list[tuple[Kind[object], str, object]] = [
    (Int(), "0", 0),
    (Int(), "-12", -12),
    (Int(), " +7 ", 7),
    (Int(minimum=1), "1", 1),
    (Int(maximum=-1), "-1", -1),
    (Int(), "999999999999999999", 999999999999999999),
    (Float(), ".75", 0.75),
    (Float(), "1e-3", 0.001),
    (Float(), "-2.", -2.0),
    (Float(), "3E+2", 300.0),
    (Float(), "7", 7.0),
    (Float(minimum=0), "0", 0.0),
    (Float(maximum=1), "1", 1.0),
    (Float(above=0), "1e-9", 1e-9),
    *((Bool(), text, True) for text in ("1", "yes", "true", "on", "True", "YES")),
    *((Bool(), text, False) for text in ("0", "no", "false", "off", "Off")),
    (Choice("max", "avg"), "avg", "avg"),
    (Choice("max", "avg"), " max ", "max"),
    (Text(), " a, b ", "a, b"),
    (Names(), "conv1", ["conv1"]),
    (Names(), "pool2a, pool2b ,\nx", ["pool2a", "pool2b", "x"]),
    (IntRange(), "6", [6]),
    (IntRange(), "1-5", [1, 2, 3, 4, 5]),
    (IntRange(), "0 - 1", [0, 1]),
    (IntRange(), "3-3", [3]),
    (Maps(), "3x32x24", shape.Maps(3, 32, 24)),
    (Maps(), "1 x 28 x 28", shape.Maps(1, 28, 28)),
    (FunctionCall(), "initw.makew", Call("initw", "makew", ())),
    (FunctionCall(), "initw.makew()", Call("initw", "makew", ())),
    (FunctionCall(), "initw.makew(/a b/1.5, conv1 )", Call("initw", "makew", ("/a b/1.5", "conv1"))),
    (COPIES, "makew(run)", Call("home", "makew", ("run",))),
    (COPIES, "makeb", Call("home", "makeb", ())),
    (COPIES, "initw.makew(run)", Call("initw", "makew", ("run",), "home")),
    (COPIES, "initw.other(run)", Call("initw", "other", ("run",))),
    (COPIES, "mine.makew(run)", Call("mine", "makew", ("run",))),
    (FunctionCall(), "my.package.f_1 (x(1).y)", Call("my.package", "f_1", ("x(1).y",))),
    (EVEN, " 4 ", 4),
    (ListOf(Int()), "5", [5]),
    (ListOf(Int()), " 1, 2 ,3", [1, 2, 3]),
    (ListOf(Text()), "linear[3,2.2],(a,(b,c)),d", ["linear[3,2.2]", "(a,(b,c))", "d"]),
    (ListOf(EVEN), "2,4", [2, 4]),
]


@pytest.mark.parametrize(("kind", "text", "expected"), GOOD)
def test_good_value(kind: Kind[object], text: str, expected: object) -> None:
    found = kind.parse(text)
    assert found == expected
    assert type(found) is type(expected)


BAD: list[tuple[Kind[object], str, str]] = [
    (Int(), "x", "expected an integer, found 'x'"),
    (Int(), "", "expected an integer, found nothing"),
    (Int(), "1.0", "expected an integer, found '1.0'"),
    (Int(), "1_000", "expected an integer, found '1_000'"),
    (Int(), "٣", "expected an integer, found '٣'"),
    (Int(), "9" * 19, f"expected an integer from -{'9' * 18} to {'9' * 18}, found '{'9' * 19}'"),
    (Int(minimum=0), "9" * 20, f"expected an integer from 0 to {'9' * 18}, found '{'9' * 20}'"),
    (Int(1, 5), "-" + "9" * 20, f"expected an integer from 1 to 5, found '-{'9' * 20}'"),
    (Choice("max"), "avg", "expected max, found 'avg'"),
    (Int(minimum=1), "0", "expected an integer of at least 1, found '0'"),
    (Int(maximum=3), "4", "expected an integer of at most 3, found '4'"),
    (Int(minimum=1, maximum=3), "4", "expected an integer from 1 to 3, found '4'"),
    (Int(minimum=1, maximum=3), "0", "expected an integer from 1 to 3, found '0'"),
    (Int(maximum=1000000), "1000001", "expected an integer of at most 1000000, found '1000001'"),
    (Float(), "nan", "expected a number, found 'nan'"),
    (Float(), "inf", "expected a number, found 'inf'"),
    (Float(), "1e999", "expected a number, found '1e999'"),
    (Float(), "-1e999", "expected a number, found '-1e999'"),
    (Float(), ".", "expected a number, found '.'"),
    (Float(), "1e", "expected a number, found '1e'"),
    (Float(), "0x10", "expected a number, found '0x10'"),
    (Float(), "1,5", "expected a number, found '1,5'"),
    (Float(above=0), "0", "expected a number above 0, found '0'"),
    (Float(minimum=0), "-.5", "expected a number of at least 0, found '-.5'"),
    (Float(minimum=0, maximum=1), "1.01", "expected a number from 0 to 1, found '1.01'"),
    (Float(above=0, maximum=1), "1.01", "expected a number above 0 and of at most 1, found '1.01'"),
    (Float(above=0, maximum=0.5), "0", "expected a number above 0 and of at most 0.5, found '0'"),
    (Bool(), "2", "expected true or false, found '2'"),
    (Bool(), "", "expected true or false, found nothing"),
    (Choice("max", "avg"), "Max", "expected one of max, avg, found 'Max'"),
    (Choice("max", "avg"), "ma", "expected one of max, avg, found 'ma'"),
    (Text(), " \n ", "expected text, found nothing"),
    (Names(), "", "expected names separated by commas, found nothing"),
    (Names(), "a,,b", "expected names separated by commas, found 'a,,b'"),
    (Names(), "a,", "expected names separated by commas, found 'a,'"),
    (IntRange(), "5-1", "expected a number or a range of numbers, such as 6 or 1-5, found '5-1'"),
    (IntRange(), "-1", "expected a number or a range of numbers, such as 6 or 1-5, found '-1'"),
    (IntRange(), "1-", "expected a number or a range of numbers, such as 6 or 1-5, found '1-'"),
    (IntRange(), "1-9999999", "expected a number or a range of numbers, such as 6 or 1-5, found '1-9999999'"),
    (Maps(), "32x32", "expected channels x rows x columns, such as 3x32x32, found '32x32'"),
    (Maps(), "3x0x32", "expected channels x rows x columns, such as 3x32x32, found '3x0x32'"),
    (Maps(), "3x32x32x1", "expected channels x rows x columns, such as 3x32x32, found '3x32x32x1'"),
    (FunctionCall(), "makew", "expected moduleName.functionName(param1,param2,...), found 'makew'"),
    (COPIES, "makes(run)", f"expected {COPIES.expected}, found 'makes(run)'"),
    (FunctionCall(), "a.f(x", "expected moduleName.functionName(param1,param2,...), found 'a.f(x'"),
    (FunctionCall(), "a.f(x,,y)", "expected moduleName.functionName(param1,param2,...), found 'a.f(x,,y)'"),
    (FunctionCall(), "a.1f", "expected moduleName.functionName(param1,param2,...), found 'a.1f'"),
    (FunctionCall(), ".f()", "expected moduleName.functionName(param1,param2,...), found '.f()'"),
    (FunctionCall(), "a.f(x)y", "expected moduleName.functionName(param1,param2,...), found 'a.f(x)y'"),
    (EVEN, "3", "expected an even digit, found '3'"),
    (ListOf(Int()), "x", "expected an integer, found 'x'"),
    (ListOf(Int()), "", "expected an integer, found nothing"),
    (ListOf(Int(minimum=1)), "1,0,x", "item 2: expected an integer of at least 1, found '0'"),
    (ListOf(Int()), "1,", "item 2: expected an integer, found nothing"),
    (ListOf(EVEN), "2,3", "item 2: expected an even digit, found '3'"),
]


@pytest.mark.parametrize(("kind", "text", "message"), BAD)
def test_bad_value(kind: Kind[object], text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kind.parse(text)


def test_list_is_described_by_its_items() -> None:
    assert ListOf(Int(minimum=1)).expected == "a list separated by commas, each item an integer of at least 1"
    assert EVEN.expected == "an even digit"


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", [""]),
        (",", ["", ""]),
        (" a , b ", ["a", "b"]),
        ("f(a,b),c", ["f(a,b)", "c"]),
        ("f([a,b],c),d", ["f([a,b],c)", "d"]),
        ("a),b", ["a)", "b"]),
        ("a[0,b", ["a[0,b"]),
    ],
)
def test_split_items(text: str, items: list[str]) -> None:
    assert split_items(text) == items
