"""Files that include others and define values: what is read, where it is said to stand, what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from convnet.config.reader import CfgFile, parse, read
from convnet.config.report import Report


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages name files relative to the present folder."""
    monkeypatch.chdir(tmp_path)


def write(**texts: str) -> None:
    """Files by stem; `folder__name` is folder/name.cfg."""
    for stem, text in texts.items():
        path = Path(stem.replace("__", "/") + ".cfg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def values(cfg: CfgFile) -> dict[str, dict[str, str]]:
    return {name: {key: entry.value for key, entry in s.entries.items()} for name, s in cfg.sections.items()}


def read_net(*folders: str) -> CfgFile:
    """What net.cfg and the files it includes say, without errors; its text says the same without any other file."""
    report = Report()
    cfg = read("net.cfg", report, [Path(folder) for folder in folders])
    assert report.errors == []
    assert report.notes == []
    again = Report()
    alone = parse(cfg.text, "elsewhere/net.cfg", again)
    assert again.errors == []
    assert (values(alone), list(alone.sections)) == (values(cfg), list(cfg.sections))
    assert alone.text == cfg.text
    return cfg


def errors(*folders: str) -> list[str]:
    report = Report()
    read("net.cfg", report, [Path(folder) for folder in folders])
    return [str(error) for error in report.errors]


def test_sections_come_in_order_with_their_own_places() -> None:
    write(
        net="; a net\ninclude = head.cfg\ninclude: parts/body\n[last]\nk=1\n",
        head="[data]\nk=2\n  3\n", parts__body="\n# body\n[conv]\n\nk=4\n",
    )  # fmt: skip
    cfg = read_net()
    assert values(cfg) == {"data": {"k": "2\n3"}, "conv": {"k": "4"}, "last": {"k": "1"}}
    places = [str(cfg.sections[name].entries["k"].place) for name in cfg.sections]
    assert places == ["head.cfg:2", "parts/body.cfg:5", "net.cfg:5"]
    assert cfg.files == {"net.cfg", "head.cfg", "parts/body.cfg"}
    assert cfg.text == "[data]\nk=2\n  3\n# body\n[conv]\n\nk=4\n; a net\n[last]\nk=1\n"


def test_an_including_files_values_win_wherever_they_stand() -> None:
    body = "width=32\nneuron=relu\n[c]\na=${WIDTH},${top}\nb=${neuron}\n"
    write(net="include=body\nWidth=64\ntop=${width}0\n", body=body)
    assert values(read_net()) == {"c": {"a": "64,640", "b": "relu"}}


def test_of_included_files_the_first_wins() -> None:
    write(net="include=one\ninclude=two\n[s]\nk=${v} ${w}\n", one="v=1\n", two="v=2\nw=3\n")
    assert values(read_net()) == {"s": {"k": "1 3"}}


def test_paths_are_relative_to_the_including_file_then_names_of_nets() -> None:
    write(net="include=a/x\n", a__x="include=y.cfg\ninclude=z\n[x]\nk=0\n", a__y="[y]\nk=1\n", y="[wrong]\nk=2\n",
          nets__z="[z]\nk=3\n", nets__y="[wrong]\nk=4\n")  # fmt: skip
    assert list(read_net("none", "nets").sections) == ["y", "z", "x"]


def test_a_value_may_name_the_file_that_is_included() -> None:
    write(net="depth=3\ninclude=body${depth}\n", body3="[s]\nk=${depth}\n")
    assert values(read_net()) == {"s": {"k": "3"}}


@pytest.mark.parametrize(("written", "meant"), [
    ("${v}", "a"), ("x${v}${ V }y", "xaay"), ("1\n ${v}\n\n  2", "1\na\n\n2"), ("$v $ {v} $", "$v $ {v} $"),
    ("$${v}", "${v}"), ("$$${v}", "$${v}"), ("${e}", "${v}"), ("${p}%(l)s", "%Lo"), ("%(l)s", "Lo"), ("${h}", "# x"),
    ("1\n ${h}\n 2", "1\n2"), ("${c}", "u"), ("${n}", ""), ("1\n ${n}\n 2", "1\n\n2"), ("${s}", ";x"), ("w${s}", "w;x"),
    ("${d}", "a-a"),
])  # fmt: skip
def test_what_a_value_stands_for(written: str, meant: str) -> None:
    definitions = "v=a\ne=$${v}\np=%%\nh=# x\nc=u ; v\nn=\ns=;x\nd=${v}-${v}\n"
    used = "".join(f"{name}=${{{name}}}\n" for name in "vephcnsd")
    write(net=f"{definitions}[s]\nk={written}\nl=Lo\n[used]\n{used}l=\n")
    assert values(read_net())["s"]["k"] == meant


def test_comments_names_and_keys_are_left_alone() -> None:
    write(net="v=1\n# ${x}\n[${v}] ; ${y}\nk${v}=${v} ; ${z}\n")
    assert values(read_net()) == {"${v}": {"k${v}": "1"}}


def test_a_file_without_any_of_this_keeps_its_text() -> None:
    text = "# $${v} ${x}\r\n[s]\r\nk = a$b ; ${c}\r\n"
    cfg = parse(text, "net.cfg", Report())
    assert cfg.text == text
    assert values(cfg) == {"s": {"k": "a$b"}}


def test_an_included_file_without_anything_in_it_is_noted() -> None:
    write(net="include=a\ninclude=b\n[s]\nk=${v}\n", a="# nothing\n\n", b="v=1\n")
    report = Report()
    read("net.cfg", report)
    assert (report.errors, [str(note) for note in report.notes]) == (
        [], ["net.cfg:1: include: a.cfg has neither a [section] nor a definition"],
    )  # fmt: skip


MISTAKES = {
    "unknown value": (
        {"net": "width=3\n[s]\nk=${width}\nj=1\n  ${widht}\n"},
        ["net.cfg:5: [s] j: no file defines '${widht}'; did you mean '${width}'?"],
    ),
    "unknown value in an included file": (
        {"net": "include=a\n", "a": "include=b\n", "b": "[s]\nk=${x}\n"},
        ["b.cfg:2: [s] k: no file defines '${x}'; x=... before the first [section] defines it; included at a.cfg:1, "
         "this at net.cfg:1"],
    ),
    "misspelt override": (
        {"net": "include=a\nwidht=4\n", "a": "width=3\n[s]\nk=${width}\n"},
        ["net.cfg:2: widht: is defined, but no value uses '${widht}'; did you mean 'width'?"],
    ),
    "definition that nothing uses": (
        {"net": "n=3\n[s]\nk=2\n"}, ["net.cfg:1: n: is defined, but no value uses '${n}'"],
    ),
    "definitions that nothing uses": (
        {"net": "a=1\nb=2\n[s]\nk=2\n"},
        ["net.cfg:1: expected a [section] first, or a value with '${a}'; found 'a=1'"],
    ),
    "definitions beside a reference without an end": (
        {"net": "n=3\nm=4\n[s]\nk=${n\n"},
        ["net.cfg:4: [s] k: expected '${name}', or '$${' for the text '${', found '${n'"],
    ),
    "definition of a reference without an end": (
        {"net": "n=3\n[s]\nk=${n\n"},
        ["net.cfg:3: [s] k: expected '${name}', or '$${' for the text '${', found '${n'"],
    ),
    "values that nothing has": (
        {"net": "a=1\nb=2\ninclude=d\n", "d": "e=2\n[s]\nk=2\n"},
        ["net.cfg:1: a: is defined, but no value uses '${a}'", "net.cfg:2: b: is defined, but no value uses '${b}'"],
    ),
    "value twice": ({"net": "a=1\nA=2\n[s]\nk=${a}\n"}, ["net.cfg:2: A: given before, in line 1"]),
    "value of itself": (
        {"net": "a=${b}\nb=1${a}\n[s]\nk=${a}\n"},
        ["net.cfg:4: [s] k: expected another name in '${a}', found one that refers back to itself"],
    ),
    "unfinished": (
        {"net": "[s]\nk=${a\nj=${}\n"},
        ["net.cfg:2: [s] k: expected '${name}', or '$${' for the text '${', found '${a'",
         "net.cfg:3: [s] j: expected '${name}', or '$${' for the text '${', found '${}'"],
    ),
    "endless": (
        {"net": "a0=aaaaaaaaaa\n" + "".join(f"a{i + 1}=${{a{i}}}${{a{i}}}\n" for i in range(40)) + "[s]\nk=${a40}\n"},
        ["net.cfg:43: [s] k: expected at most 1000000 letters, found more in '${a16}${a16}'"],
    ),
    "text in an included file": (
        {"net": "include=a\n", "a": "hello\n[s]\nk=1\n"},
        ["a.cfg:1: expected name=value, include=FILE or a [section], found 'hello'; included at net.cfg:1"],
    ),
    "missing file": (
        {"net": "include=boddy\n", "body": "[s]\n"},
        ["net.cfg:1: include: expected a cfg file relative to this one, or the name of a net, found 'boddy'; did you "
         "mean 'body'?"],
    ),
    "missing file further down": (
        {"net": "\ninclude=a.cfg\n", "a": "include=zzz/q\n"},
        ["a.cfg:1: include: expected a cfg file relative to this one, or the name of a net, found 'zzz/q'; included at "
         "net.cfg:2"],
    ),
    "no name": (
        {"net": "include=\n"},
        ["net.cfg:1: include: expected a cfg file relative to this one, or the name of a net, found ''"],
    ),
    "folder": (
        {"net": "include=d\n", "d__x": ""},
        ["net.cfg:1: include: expected a cfg file relative to this one, or the name of a net, found 'd'"],
    ),
    "itself": (
        {"net": "include=net\n"},
        ["net.cfg:1: include: expected a file that does not include itself, found net.cfg:1 > net.cfg"],
    ),
    "circle": (
        {"net": "include=a\n", "a": "\ninclude=d/b\n", "d__b": "include=../a\n"},
        ["d/b.cfg:1: include: expected a file that does not include itself, found net.cfg:1 > a.cfg:2 > d/b.cfg:1 > "
         "a.cfg; included at a.cfg:2, this at net.cfg:1"],
    ),
    "twice": (
        {"net": "include=a\ninclude=b\n", "a": "[a]\nk=1\n", "b": "include=a\n"},
        ["b.cfg:1: include: the file a.cfg was included before, at net.cfg:1; included at net.cfg:2"],
    ),
    "section twice": (
        {"net": "include=a\ninclude=b\n[s]\nk=1\n", "a": "[s]\nk=2\n", "b": "\n[s]\nk=3\n"},
        ["b.cfg:2: [s] this section was given before, at a.cfg:1; included at net.cfg:1; the second one included at "
         "net.cfg:2",
         "net.cfg:3: [s] this section was given before, at a.cfg:1; included at net.cfg:1"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name: str) -> None:
    texts, expected = MISTAKES[name]
    write(**texts)
    assert errors() == expected


def test_an_included_file_that_is_no_text() -> None:
    write(net="include=a\n[s]\nk=1\n")
    Path("a.cfg").write_bytes(b"[t]\nk=\xe9\n")
    assert errors() == ["a.cfg:2: expected UTF-8 text, found the byte 0xe9; included at net.cfg:1"]


def test_a_file_whose_part_is_missing_is_not_called_empty() -> None:
    write(net="include=a\n")
    assert not read("net.cfg", Report()).readable


def test_a_device_is_not_read() -> None:
    write(net="include=/dev/zero\n")
    assert len(errors()) == 1
