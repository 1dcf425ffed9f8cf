"""The grammar of cfg files: each rule, each mistake, and the line each message names."""

from __future__ import annotations

from pathlib import Path

import pytest

from convnet.config.reader import CfgFile, parse, read
from convnet.config.report import Place, Report


def parsed(text: str) -> CfgFile:
    """The file with this text, which must have no errors."""
    report = Report()
    cfg = parse(text, "a.cfg", report)
    report.raise_if_errors()
    return cfg


def errors_of(text: str) -> list[str]:
    """The messages for a file with this text."""
    report = Report()
    parse(text, "a.cfg", report)
    return [str(problem) for problem in report.errors]


def value(text: str, key: str = "k") -> str:
    """The value of a key in the only section of a file whose header is left out."""
    return parsed("[s]\n" + text).sections["s"].entries[key].value


def test_sections_keys_and_places() -> None:
    cfg = parsed("# a net\n[conv1]\ntype=conv\nFilterSize: 5\n\n[Conv1]\ntype = pool\n")
    assert cfg.path == "a.cfg"
    assert list(cfg.sections) == ["conv1", "Conv1"]
    conv = cfg.sections["conv1"]
    assert (conv.name, conv.place) == ("conv1", Place("a.cfg", 2))
    assert list(conv.entries) == ["type", "filtersize"]
    entry = conv.entries["filtersize"]
    assert (entry.key, entry.value, entry.place) == ("FilterSize", "5", Place("a.cfg", 4))
    assert cfg.sections["Conv1"].entries["type"].place == Place("a.cfg", 7)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("k=5", "5"),
        ("k:5", "5"),
        ("k  =  5  ", "5"),
        ("k = a:b=c", "a:b=c"),
        ("k: a=b", "a=b"),
        ("K=5", "5"),
        ("k=", ""),
        ("k=10 ; a comment", "10"),
        ("k=10\t;a comment", "10"),
        ("k=exp[base=1;tgtFactor=2] ; not ; this", "exp[base=1;tgtFactor=2]"),
        ("k=10 # x", "10 # x"),
        ("k=[a]", "[a]"),
        ("k=100%%", "100%"),
        ("k=a\u2028b\x0bc", "a\u2028b\x0bc"),
    ],
)
def test_value(line: str, expected: str) -> None:
    assert value(line) == expected


@pytest.mark.parametrize("comment", ["# k=1", "; k=1", "  # k=1", "\t; k=1", "#", "# %(no)s"])
def test_whole_line_comment(comment: str) -> None:
    section = parsed(f"[s]\na=1\n{comment}\nb=2").sections["s"]
    assert {key: entry.value for key, entry in section.entries.items()} == {"a": "1", "b": "2"}


def test_continuation() -> None:
    section = parsed("[s]\nk=1,\n  2,\n# no part of it\n\n  3 ; nor this\nnext=4\n").sections["s"]
    assert section.entries["k"].value == "1,\n2,\n\n3"
    assert section.entries["k"].place.line == 2
    assert section.entries["next"].place.line == 7


def test_an_indented_line_continues_only_a_key_indented_less() -> None:
    section = parsed("[s]\n  a=1\n  b=2\n    and more\n c=3").sections["s"]
    assert {key: entry.value for key, entry in section.entries.items()} == {"a": "1", "b": "2\nand more", "c": "3"}


def test_a_section_ends_a_value() -> None:
    sections = parsed("[s]\nk=1\n[t]\n  k=2\n").sections
    assert sections["s"].entries["k"].value == "1"
    assert sections["t"].entries["k"].value == "2"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    text = end.join(["[s]", "a=1", "  2", "", "b=3", "[t]", "a"])
    report = Report()
    section = parse(text, "a.cfg", report).sections["s"]
    assert section.entries["a"].value == "1\n2"
    assert section.entries["b"].place.line == 5
    assert [str(problem) for problem in report.errors] == ["a.cfg:7: [t] expected key=value, found 'a'"]


@pytest.mark.parametrize("header", ["[s]", "  [ s ]  ", "[s] ; comment", "[s] # comment", "[s]# comment"])
def test_header(header: str) -> None:
    assert parsed(f"{header}\nk=1").sections["s"].entries["k"].value == "1"


def test_interpolation() -> None:
    text = "a=%(B)sx%(b)s\nb=%(c)s%%(c)s\nC=1"
    assert value(text, "a") == "1%(c)sx1%(c)s"
    assert parsed("[s]\n" + text).sections["s"].referenced == {"b", "c"}


def test_interpolation_reads_continued_lines() -> None:
    assert value("k=%(other)s,\n  %(other)s\nother=1") == "1,\n1"


def test_interpolation_stays_within_the_section() -> None:
    assert errors_of("[s]\na=1\n[t]\nb=%(a)s") == [
        "a.cfg:4: [t] b: expected a key of this section in '%(a)s', found none of that name"
    ]


def chain_of_references(length: int) -> str:
    """Keys k0, k1, ..., each the value of the next; the last one is 7."""
    return "".join(f"k{i}=%(k{i + 1})s\n" for i in range(length)) + f"k{length}=7\n"


def test_values_that_stand_for_each_other_many_times() -> None:
    text = "".join(f"k{i}={f'%(k{i + 1})s' * 30}\n" for i in range(9))
    assert value(text + "k9=\n", "k0") == ""
    assert errors_of(f"[s]\n{text}k9=x\n") == [
        f"a.cfg:{2 + i}: [s] k{i}: expected at most 1000000 letters, found more" for i in range(5)
    ]


def test_deepest_interpolation() -> None:
    assert value(chain_of_references(10), "k0") == "7"
    assert errors_of("[s]\n" + chain_of_references(11)) == [
        "a.cfg:2: [s] k0: expected at most 10 references within each other, found more in '%(k1)s'"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k=50%", "a.cfg:2: [s] k: expected '%(key)s', or '%%' for a percent sign, found a '%' alone"),
        ("k=%(k2", "a.cfg:2: [s] k: expected '%(key)s', or '%%' for a percent sign, found a '%' alone"),
        ("k=%(k)s", "a.cfg:2: [s] k: expected another key in '%(k)s', found one that refers back to itself"),
        ("good=1\nfilters 5", "a.cfg:3: [s] expected key=value, found 'filters 5'"),
        (" = 5", "a.cfg:2: [s] expected a key before '=', found none"),
        (": 5", "a.cfg:2: [s] expected a key before ':', found none"),
        ("k=1\na=1\nK=2", "a.cfg:4: [s] K: given before, in line 2"),
        ("k=1\n\n[s]\nk=2\nbad", "a.cfg:4: [s] this section was given before, in line 1"),
        ("[conv2", "a.cfg:2: expected ']' after the name of a section, found '[conv2'"),
        ("[]", "a.cfg:2: expected [name], found '[]'"),
        ("[  ]", "a.cfg:2: expected [name], found '[ ]'"),
        ("[", "a.cfg:2: expected [name], found '['"),
        ("[t] k=1", "a.cfg:2: [t] expected nothing after ']', found 'k=1'"),
    ],
)
def test_mistake(text: str, expected: str) -> None:
    assert expected in errors_of("[s]\n" + text)


@pytest.mark.parametrize("text", ["bad\n  bad\n   [worse", "k=1\nK=2\n  bad", "[]", "[t\nk=1", "[s]\nk=1\nm=2\n  3"])
def test_one_mistake_gives_one_error(text: str) -> None:
    assert len(errors_of("[s]\n" + text)) == 1


def test_text_before_the_first_section_is_reported_once() -> None:
    (error,) = errors_of("; comment\nk=1\n  2\nk=3\n\n[s]\nk=5")
    assert error == "a.cfg:2: expected a [section] first, or a value with '${k}'; found 'k=1'"


def test_reading_goes_on_after_mistakes() -> None:
    report = Report()
    cfg = parse("[s]\nbad\nk=1\nk=2\n[t\nk=3\nm=%\n[u]\nk=4", "a.cfg", report)
    assert len(report.errors) == 4
    assert {name: list(section.entries) for name, section in cfg.sections.items()} == {
        "s": ["k"],
        "t": ["k", "m"],
        "u": ["k"],
    }
    assert cfg.sections["s"].entries["k"].value == "1"
    assert cfg.sections["t"].entries["m"].broken
    assert not cfg.sections["t"].entries["k"].broken


def test_empty_file() -> None:
    assert parsed("").sections == {}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_read_file(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "net.cfg"
    path.write_bytes(mark + "[größe]\r\nk=ü\r\n".encode())
    report = Report()
    cfg = read(path, report)
    assert report.errors == []
    assert cfg.path == str(path)
    assert cfg.text == "[größe]\r\nk=ü\r\n"
    assert cfg.sections["größe"].entries["k"].value == "ü"


def message_for(path: Path | str) -> str:
    """The only message for a file, less the path it begins with."""
    report = Report()
    assert read(path, report).sections == {}
    (problem,) = report.errors
    assert str(problem).startswith(str(path))
    return str(problem).removeprefix(str(path))


def test_file_not_in_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin1.cfg"
    path.write_bytes(b"[s]\r\nk=1\r# r\xc3\xbcckw\xe4rts\n")
    assert message_for(path) == ":3: expected UTF-8 text, found the byte 0xe4"


def test_file_in_utf16(tmp_path: Path) -> None:
    path = tmp_path / "utf16.cfg"
    path.write_bytes("[s]\nk=1\n".encode("utf-16"))
    assert message_for(path) == ":1: expected UTF-8 text, found the byte 0xff"


def test_file_that_is_missing(tmp_path: Path) -> None:
    assert message_for(tmp_path / "no.cfg") == ": the file does not exist"


def test_directory(tmp_path: Path) -> None:
    assert message_for(tmp_path) == ": expected a file, found a directory"


def test_file_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.cfg").touch()
    assert message_for(tmp_path / "a.cfg" / "b.cfg") == ": the file cannot be read: Not a directory"


def test_name_that_no_file_can_have() -> None:
    report = Report()
    read("a\0b", report)
    assert [str(problem) for problem in report.errors] == ["a\\x00b: expected the name of a file: embedded null byte"]
