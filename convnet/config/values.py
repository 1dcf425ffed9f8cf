"""`${name}` in a value stands for a text that a file defines before its first section; `$${` stands for `${`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from convnet.config.interpolation import LONGEST
from convnet.config.nearest import nearest
from convnet.config.report import Place, quoted

NAME = re.compile(r"[A-Za-z_][\w.-]*")
_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\})?")


@dataclass(frozen=True)
class Definition:
    """`name=text` before the first section of a file."""

    name: str
    text: str
    place: Place


class Values:
    """The definitions of a file and of those it includes. Names are not case-sensitive; the first definition wins.

    `torn` says that a reference without an end or a name was met: which definition it means is not known.
    """

    def __init__(self) -> None:
        self._definitions: dict[str, Definition] = {}
        self._expanded: dict[str, str] = {}
        self._asked: dict[str, str] = {}
        self.torn = False

    def define(self, definition: Definition) -> None:
        """Take the definition, unless there is one of that name."""
        self._definitions.setdefault(definition.name.lower(), definition)

    def expand(self, text: str) -> str:
        """The text with what each `${name}` stands for; each `$${` is left as it is.

        Raises:
            ValueError: an unknown name, one that stands for itself, or a text that becomes very long.
        """
        return self._expand(text, ())

    def asked(self, name: str) -> bool:
        """Whether `${name}` was met in any text."""
        return name.lower() in self._asked

    @property
    def none_asked(self) -> bool:
        """Whether no `${name}` was met at all."""
        return not self._asked

    def near(self, name: str) -> str | None:
        """The name most like `name` among those that were met."""
        return nearest(name, self._asked.values())

    def _expand(self, text: str, chain: tuple[str, ...]) -> str:
        expanded = _REFERENCE.sub(lambda match: self._meaning(match, chain), text)
        if len(expanded) > LONGEST:
            raise ValueError(f"expected at most {LONGEST} letters, found more in {quoted(text)}")
        return expanded

    def _meaning(self, match: re.Match[str], chain: tuple[str, ...]) -> str:
        if match[1] is None:
            return match[0]
        name = match[1].strip()
        if not match[2] or not name:
            self.torn = True
            raise ValueError("expected '${name}', or '$${' for the text '${', found " + quoted(match[0]))
        lower = name.lower()
        self._asked.setdefault(lower, name)
        if lower in chain:
            raise ValueError(f"expected another name in '{match[0]}', found one that refers back to itself")
        if lower not in self._expanded:
            self._expanded[lower] = self._expand(self._text(name), (*chain, lower))
        return self._expanded[lower]

    def _text(self, name: str) -> str:
        definition = self._definitions.get(name.lower())
        if definition is None:
            near = nearest(name, [known.name for known in self._definitions.values()])
            hint = f"did you mean '${{{near}}}'?" if near else f"{name}=... before the first [section] defines it"
            raise ValueError(f"no file defines '${{{name}}}'; {hint}")
        return definition.text


def plain(text: str) -> str:
    """The text with `${` for each `$${`."""
    return text.replace("$${", "${")
