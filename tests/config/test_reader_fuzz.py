"""Any bytes at all give values or ConfigError, and texts that configparser takes give what it gives."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convnet.config.keys import Key, read_values
from convnet.config.kinds import Bool, Choice, Float, FunctionCall, Int, IntRange, Maps, Names, Text
from convnet.config.reader import parse, read
from convnet.config.report import ConfigError, Report

SAMPLE = b"""[data]
type=data
dataIdx=0

[conv1] ; the first
type: conv
inputs=data
filters=32,16
initW=1e-4 ; small
initWFunc=module.function(a,b)
range=1-5
maps=3x32x32
padding=%(dataIdx)s
dataIdx=0
pool=max
sharedBiases=on
  # a comment
note=100%%
  goes on
"""
KEYS = (
    Key("filters", Int(minimum=1), "", per_input=True),
    Key("initW", Float(above=0), "", per_input=True),
    Key("inputs", Names(), ""),
    Key("range", IntRange(), ""),
    Key("maps", Maps(), ""),
    Key("initWFunc", FunctionCall(), "", aliases=("func",)),
    Key("pool", Choice("max", "avg"), "", default="max"),
    Key("sharedBiases", Bool(), "", default=True),
    Key("note", Text(), "", default=""),
)
FUZZ = settings(max_examples=300, deadline=None, derandomize=True, database=None)


def read_everything(path: Path) -> None:
    """Reads a file and all its sections by KEYS."""
    report = Report()
    for section in read(path, report).sections.values():
        values = read_values(section, KEYS, inputs=2, report=report)
        assert values.keys() <= {key.name for key in KEYS}
    if report.errors:
        with pytest.raises(ConfigError) as raised:
            report.raise_if_errors()
        assert len(str(raised.value).splitlines()) == len(report.errors)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "net.cfg"


@FUZZ
@given(st.binary(max_size=200))
def test_random_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    read_everything(path)


@FUZZ
@given(st.text(alphabet="[]=:;#%()s,.-+eE019xab \t\r\n\x0b\x85\u2028\u0131\u00df", max_size=120))
def test_random_text_of_the_grammar(path: Path, text: str) -> None:
    path.write_bytes(b"[s]\n" + text.encode())
    read_everything(path)


@FUZZ
@given(st.lists(st.tuples(st.integers(0, len(SAMPLE)), st.integers(0, 9), st.binary(max_size=6)), max_size=5))
def test_mutated_file(path: Path, cuts: list[tuple[int, int, bytes]]) -> None:
    data = SAMPLE
    for start, length, put in cuts:
        data = data[:start] + put + data[start + length :]
    path.write_bytes(data)
    read_everything(path)


LINES = [
    *("[s]", "[t]", "  [u]", "", " ", "# c", "  ; c", "\tmore", "   more, and", "junk", " junk2", "=5", "[open"),
    *("a=1", "A : 2", "  b=3", "c = v ;c", "d=v;w", "e=v # x", "f=%(a)s", "g=%%%(B)s", "h=%", "i=%(z)s", "j=%(j)s"),
    *("k=", "l=a=b:c", "m: %(f)s %(g)s", "n = [x]", ";", "o=\x0b1\x85", "\u2003p=1"),
]


def by_configparser(text: str) -> dict[str, dict[str, str]] | None:
    """What configparser reads in the text; None if it refuses it."""
    parser = configparser.ConfigParser(inline_comment_prefixes=(";",))
    try:
        parser.read_string(text)
        return {name: dict(parser[name]) for name in parser.sections()}
    except configparser.Error:
        return None


@settings(FUZZ, max_examples=1500)
@given(st.lists(st.sampled_from(LINES), max_size=9), st.booleans())
def test_same_as_configparser(lines: list[str], with_header: bool) -> None:
    text = "\n".join(["[first]"] * with_header + lines)
    report = Report()
    cfg = parse(text, "a.cfg", report)
    expected = by_configparser(text)
    assert (expected is None) == bool(report.errors)
    if expected is not None:
        assert {
            name: {key: entry.value for key, entry in section.entries.items()} for name, section in cfg.sections.items()
        } == expected
