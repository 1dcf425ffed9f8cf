"""`%(key)s` in a value stands for the value of another key of the section, and `%%` for `%`."""

from __future__ import annotations

import re
from collections.abc import Mapping

_MARK = re.compile(r"%(?:(%)|\(([^)]+)\)s)?")
# The limit of Python's configparser, which the original used.
_DEEPEST = 10
# More than any value of a net has; texts that stand for each other many times would fill the memory.
LONGEST = 1_000_000


def referenced_keys(texts: Mapping[str, str]) -> frozenset[str]:
    """The keys, in lower case, that any of the texts refers to."""
    return frozenset(match[2].lower() for text in texts.values() for match in _MARK.finditer(text) if match[2])


def interpolate(key: str, texts: Mapping[str, str]) -> str:
    """The value of `key`, given the texts of all keys (in lower case) of its section.

    Raises:
        ValueError: a `%` without meaning, a key that is not there, one that stands for itself, or too long a value.
    """
    return _Interpolation(texts).expand((key,))[0]


class _Interpolation:
    """Expands the texts of a section, each at most once."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        self._known: dict[str, tuple[str, int]] = {}

    def expand(self, chain: tuple[str, ...]) -> tuple[str, int]:
        """The value of the chain's last key, to which the others led, and how many references deep it goes."""
        key = chain[-1]
        if key not in self._known:
            self._known[key] = self._expand(chain)
        text, depth = self._known[key]
        if len(chain) + depth > _DEEPEST + 1:
            found = f"found more in '%({chain[1]})s'"
            raise ValueError(f"expected at most {_DEEPEST} references within each other, {found}")
        return text, depth

    def _expand(self, chain: tuple[str, ...]) -> tuple[str, int]:
        text, depths = self._texts[chain[-1]], [1]
        if len(chain) > _DEEPEST or "%" not in text:
            return text, int("%" in text)

        def meaning(match: re.Match[str]) -> str:
            if match[1]:
                return "%"
            found, depth = self.expand((*chain, self._referred(match, chain)))
            depths.append(depth + 1)
            return found

        expanded = _MARK.sub(meaning, text)
        if len(expanded) > LONGEST:
            raise ValueError(f"expected at most {LONGEST} letters, found more")
        return expanded, max(depths)

    def _referred(self, match: re.Match[str], chain: tuple[str, ...]) -> str:
        if match[2] is None:
            raise ValueError("expected '%(key)s', or '%%' for a percent sign, found a '%' alone")
        key = match[2].lower()
        if key not in self._texts:
            raise ValueError(f"expected a key of this section in '{match[0]}', found none of that name")
        if key in chain:
            raise ValueError(f"expected another key in '{match[0]}', found one that refers back to itself")
        return key
