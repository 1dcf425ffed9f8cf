"""The original cfg files give what Python's configparser, which the originals used, reads in them."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest

from convnet.config.reader import read
from convnet.config.report import Report

ORIGINALS = Path(__file__).resolve().parents[3] / "shared" / "reference" / "original-cfgs"
FILES = sorted(ORIGINALS.glob("*/*.cfg"))


@pytest.mark.skipif(not FILES, reason=f"the original cfg files are not in {ORIGINALS}")
def test_there_are_26() -> None:
    assert len(FILES) == 26


@pytest.mark.parametrize("path", FILES or [pytest.param(None, marks=pytest.mark.skip("no original cfg files"))])
def test_same_as_configparser(path: Path) -> None:
    report = Report()
    cfg = read(path, report)
    assert report.errors == []
    parser = ConfigParser(inline_comment_prefixes=(";",))
    parser.read_string(path.read_text(encoding="utf-8"))
    expected = {name: dict(parser[name]) for name in parser.sections()}
    found = {
        name: {key: entry.value for key, entry in section.entries.items()} for name, section in cfg.sections.items()
    }
    assert found == expected
    assert list(found) == list(expected)
    assert sum(map(len, found.values())) > 0


@pytest.mark.parametrize("path", FILES or [pytest.param(None, marks=pytest.mark.skip("no original cfg files"))])
def test_every_line_is_where_it_is_said_to_be(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")
    for section in read(path, Report()).sections.values():
        assert lines[section.place.line - 1].strip().startswith(f"[{section.name}]")
        for entry in section.entries.values():
            line = lines[entry.place.line - 1]
            assert line.strip().startswith(entry.key)
            assert entry.value in line
