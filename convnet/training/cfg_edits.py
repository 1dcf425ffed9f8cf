"""Changes of single keys in the text of a cfg file; all other lines stay as they are, and where they are."""

from __future__ import annotations

import io

from convnet.config.reader import Entry


def with_entry(text: str, entry: Entry, value: str) -> str:
    """The text with another value of this key. `entry`: as it was read from the text, which includes no file."""
    return _replaced(text, entry, f"{entry.key}={value}\n")


def without_entry(text: str, entry: Entry) -> str:
    """The text with empty lines in place of this key."""
    return _replaced(text, entry, "\n")


def _replaced(text: str, entry: Entry, line: str) -> str:
    """With `line` in place of the entry's first line, and nothing on those that continue it."""
    lines = list(io.StringIO(text, newline=None))
    first = entry.place.line - 1
    margin = _indent(lines[first])
    lines[first] = lines[first][:margin] + line if line.strip() else line
    for number in range(first + 1, len(lines)):
        if not lines[number].strip() or lines[number].lstrip().startswith(("#", ";")):
            continue
        if _indent(lines[number]) <= margin:
            break
        lines[number] = "\n"
    return "".join(lines)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
