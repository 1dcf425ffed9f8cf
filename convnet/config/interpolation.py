"""`%(key)s` in a value stands for the value of another key of the section, and `%%` for `%`."""

from __future__ import annotations

import re
from collections.abc import Mapping

_MARK = re.compile(r"%(?:(%)|\(([^)]+)\)s)?")
# The limit of Python's configparser, which the original used.
_DEEPEST = 10


def referenced_keys(texts: Mapping[str, str]) -> frozenset[str]:
    """The keys, in lower case, that any of the texts refers to."""
    return frozenset(match[2].lower() for text in texts.values() for match in _MARK.finditer(text) if match[2])


def interpolate(key: str, texts: Mapping[str, str]) -> str:
    """The value of `key`, given the texts of all keys (in lower case) of its section.

    Raises:
        ValueError: a `%` without meaning, a key that is not there, or one that stands for itself.
    """
    return _expand(texts, (key,))


def _expand(texts: Mapping[str, str], chain: tuple[str, ...]) -> str:
    text = texts[chain[-1]]
    if "%" not in text:
        return text
    if len(chain) > _DEEPEST:
        raise ValueError(f"expected at most {_DEEPEST} references within each other, found more in '%({chain[1]})s'")
    return _MARK.sub(lambda match: _meaning(match, texts, chain), text)


def _meaning(match: re.Match[str], texts: Mapping[str, str], chain: tuple[str, ...]) -> str:
    if match[1]:
        return "%"
    if match[2] is None:
        raise ValueError("expected '%(key)s', or '%%' for a percent sign, found a '%' alone")
    key = match[2].lower()
    if key not in texts:
        raise ValueError(f"expected a key of this section in '{match[0]}', found none of that name")
    if key in chain:
        raise ValueError(f"expected another key in '{match[0]}', found one that refers back to itself")
    return _expand(texts, (*chain, key))
