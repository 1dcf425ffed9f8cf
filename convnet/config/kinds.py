"""The kinds of values in cfg files: what each expects, in words, and how its text becomes a value.

Every kind has `expected`, a phrase that completes "expected ..." and describes the key in the printed reference, and
`parse(text)`, which raises ValueError with a message that does not name the key.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, Protocol, TypeVar

from convnet import shape
from convnet.config.report import quoted

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

# At most 18 digits: such an integer fits into 64 bits.
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_LARGEST = 10**18 - 1
_DIGITS = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_BATCHES = re.compile(r"([0-9]{1,6})(?:\s*-\s*([0-9]{1,6}))?")
_MAPS = re.compile(r"([0-9]{1,9})\s*x\s*([0-9]{1,9})\s*x\s*([0-9]{1,9})")
_CALL = re.compile(r"(?:([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\.)?([A-Za-z_]\w*)\s*(?:\((.*)\))?", re.DOTALL)
_BOOLEANS = {"1": True, "yes": True, "true": True, "on": True, "0": False, "no": False, "false": False, "off": False}


class Kind(Protocol[T_co]):
    """What a value may be and how it is written."""

    @property
    def expected(self) -> str:
        """A phrase such as "an integer of at least 1"."""

    def parse(self, text: str) -> T_co:
        """The value written as `text`.

        Raises:
            ValueError: the text is not of this kind; the message says what was expected and what was found.
        """


def unexpected(expected: str, text: str) -> ValueError:
    """The error of a kind that expected something else than `text`."""
    return ValueError(f"expected {expected}, found {quoted(text) if text.strip() else 'nothing'}")


def split_items(text: str) -> list[str]:
    """The items of a list: split at the commas outside of () and [], and stripped."""
    cuts = [-1]
    depth = 0
    for position, letter in enumerate(text):
        depth = max(0, depth + (letter in "([") - (letter in ")]"))
        if letter == "," and not depth:
            cuts.append(position)
    return [text[before + 1 : cut].strip() for before, cut in pairwise([*cuts, len(text)])]


@dataclass(frozen=True)
class Int:
    """An integer, with its bounds."""

    minimum: int | None = None
    maximum: int | None = None

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        return "an integer" + _bounds(self.minimum, self.maximum)

    def parse(self, text: str) -> int:
        """The integer. Raises ValueError if it is none or out of bounds."""
        if not _INTEGER.fullmatch(text.strip()) and _DIGITS.fullmatch(text.strip()):
            least = -_LARGEST if self.minimum is None else self.minimum
            most = _LARGEST if self.maximum is None else self.maximum
            raise unexpected(f"an integer from {least} to {most}", text)
        if not _INTEGER.fullmatch(text.strip()) or not _within(int(text), self.minimum, self.maximum):
            raise unexpected(self.expected, text)
        return int(text)


@dataclass(frozen=True)
class Float:
    """A finite number, with its bounds; `above` and `below` are bounds that the number itself must not be equal to."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        return "a number" + _bounds(self.minimum, self.maximum, self.above, self.below)

    def parse(self, text: str) -> float:
        """The number. Raises ValueError if it is none, is not finite or is out of bounds."""
        if not _NUMBER.fullmatch(text.strip()):
            raise unexpected(self.expected, text)
        value = float(text)
        inside = (self.above is None or value > self.above) and (self.below is None or value < self.below)
        if not (math.isfinite(value) and inside and _within(value, self.minimum, self.maximum)):
            raise unexpected(self.expected, text)
        return value


@dataclass(frozen=True)
class Bool:
    """True (1, yes, true, on) or false (0, no, false, off), in any case."""

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        return "true or false"

    def parse(self, text: str) -> bool:
        """The truth value. Raises ValueError for any other word."""
        value = _BOOLEANS.get(text.strip().lower())
        if value is None:
            raise unexpected(self.expected, text)
        return value


class Choice:
    """One of the given names, written exactly."""

    def __init__(self, *names: str) -> None:
        self.names = names

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        return self.names[0] if len(self.names) == 1 else f"one of {', '.join(self.names)}"

    def parse(self, text: str) -> str:
        """The name. Raises ValueError if it is not among the names."""
        if text.strip() not in self.names:
            raise unexpected(self.expected, text)
        return text.strip()


@dataclass(frozen=True)
class Text:
    """Any text, but not none."""

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        return "text"

    def parse(self, text: str) -> str:
        """The text. Raises ValueError if it is empty."""
        if not text.strip():
            raise unexpected(self.expected, text)
        return text.strip()


@dataclass(frozen=True)
class Names:
    """A list of names."""

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        return "names separated by commas"

    def parse(self, text: str) -> list[str]:
        """The names, at least one. Raises ValueError if one of them is empty."""
        names = [name.strip() for name in text.split(",")]
        if not all(names):
            raise unexpected(self.expected, text)
        return names


@dataclass(frozen=True)
class IntRange:
    """Numbers of data batches: one, or the first and the last."""

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        return "a number or a range of numbers, such as 6 or 1-5"

    def parse(self, text: str) -> list[int]:
        """All numbers of the range. Raises ValueError if it is none or ends before it begins."""
        match = _BATCHES.fullmatch(text.strip())
        if not match:
            raise unexpected(self.expected, text)
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise unexpected(self.expected, text)
        return list(range(first, last + 1))


@dataclass(frozen=True)
class Maps:
    """The shape of feature maps: channels, rows, columns."""

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        return "channels x rows x columns, such as 3x32x32"

    def parse(self, text: str) -> shape.Maps:
        """The shape. Raises ValueError if it is none or one of the numbers is 0."""
        match = _MAPS.fullmatch(text.strip())
        if not match or not all(map(int, match.groups())):
            raise unexpected(self.expected, text)
        return shape.Maps(*map(int, match.groups()))


@dataclass(frozen=True)
class Call:
    """A function the user wrote, and the arguments for it, as text.

    `otherwise`: the module that has the function, too, if no other one of the name `module` is found that does.
    """

    module: str
    function: str
    arguments: tuple[str, ...]
    otherwise: str = ""


@dataclass(frozen=True)
class FunctionCall:
    """A function in a module, with or without arguments.

    `own` are names of functions of the module `home`, which are written alone, or as if they were of a module `alias`:
    then a function of the user's own module of that name goes before them.
    """

    own: tuple[str, ...] = ()
    home: str = ""
    alias: str = ""

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        names = f", or one of {', '.join(self.own)}" if self.own else ""
        return f"moduleName.functionName(param1,param2,...){names}"

    def parse(self, text: str) -> Call:
        """The function and its arguments. Raises ValueError if it is not written so or an argument is empty."""
        match = _CALL.fullmatch(text.strip())
        if not match or (match[1] is None and match[2] not in self.own):
            raise unexpected(self.expected, text)
        inside = (match[3] or "").strip()
        arguments = tuple(item.strip() for item in inside.split(",")) if inside else ()
        if not all(arguments):
            raise unexpected(self.expected, text)
        own = match[2] in self.own and match[1] in (None, self.alias)
        return Call(match[1] or self.home, match[2], arguments, self.home if own and match[1] else "")


@dataclass(frozen=True)
class Custom(Generic[T]):
    """A kind that another package defines.

    `function` gets the stripped text and gives the value; it raises ValueError with the whole message, for which
    `unexpected` is there.
    """

    expected: str
    function: Callable[[str], T]

    def parse(self, text: str) -> T:
        """The value. Raises ValueError as the function does."""
        return self.function(text.strip())


@dataclass(frozen=True)
class ListOf(Generic[T]):
    """A list of values of one kind. Commas inside of () and [] belong to an item."""

    kind: Kind[T]

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        return f"a list separated by commas, each item {self.kind.expected}"

    def parse(self, text: str) -> list[T]:
        """The values, at least one. Raises ValueError with the number of the first item that is wrong."""
        items = split_items(text)
        if len(items) == 1:
            return [self.kind.parse(items[0])]
        return [self._item(number, item) for number, item in enumerate(items, start=1)]

    def _item(self, number: int, text: str) -> T:
        try:
            return self.kind.parse(text)
        except ValueError as error:
            raise ValueError(f"item {number}: {error}") from error


def _within(value: float, minimum: float | None, maximum: float | None) -> bool:
    return (minimum is None or value >= minimum) and (maximum is None or value <= maximum)


def _bounds(
    minimum: float | None, maximum: float | None, above: float | None = None, below: float | None = None
) -> str:
    if minimum is not None and maximum is not None and above is None:
        return f" from {minimum:.12g} to {maximum:.12g}"
    phrases = (("above", above), ("of at least", minimum), ("of at most", maximum), ("below", below))
    parts = [f"{words} {bound:.12g}" for words, bound in phrases if bound is not None]
    return " " + " and ".join(parts) if parts else ""
