"""A graph printed back as cfg files: one way to write each net, whatever dialect its files were in."""

from __future__ import annotations

from collections.abc import Iterable

from convnet.config.keys import REQUIRED, Key
from convnet.config.writer import given_lines, section_text
from convnet.graph.layer_graph import LayerGraph, Node
from convnet.layers.common import INPUTS, common_keys, common_params

_LARGEST = {"wball": "wballMax", "wballMax": "wballMax"}


def layer_file(graph: LayerGraph, *, alone: bool) -> str:
    """The layer file: types by their own names, lists no longer than needed, no defaults, no keys without effect.

    Keys that belong into the parameter file are in it only if it is to stand `alone`.
    """
    return "\n".join(_layer(node, alone=alone) for node in _of_sections(graph))


def parameter_file(graph: LayerGraph) -> str:
    """The parameter file without [train]: sections of the layers that need one or have something to say."""
    found = ((node, _learning(node)) for node in _of_sections(graph))
    return "\n".join(section_text(node.name, lines) for node, lines in found if lines or _needs_section(node))


def _of_sections(graph: LayerGraph) -> list[Node]:
    """The layers of the layer file, less those that stand for a key of another."""
    return [node for node in graph.nodes if node.name == node.section.name]


def _layer(node: Node, *, alone: bool) -> str:
    cls = type(node.layer)
    moved = [key for key in _params(node) if key.in_layers] if alone else []
    lines = given_lines([INPUTS, *cls.keys, *moved, *common_keys(cls)], node.section)
    return section_text(node.name, [("type", cls.type), *lines])


def _learning(node: Node) -> list[tuple[str, str]]:
    """The lines of the parameter file; `epsW` with `schedW` is one schedule, and so are those of the biases.

    A `wball` of 2012 is the `wballMax` that it was taken for.
    """
    learning, lines = node.layer.learning, dict(given_lines(_params(node), node.params, node.section))
    for rate, change in (("epsW", "schedW"), ("epsB", "schedB")):
        if lines.pop(change, None) and learning[change] is not None:
            rates = learning[rate] if isinstance(learning[rate], list) else [learning[rate]]
            lines[rate] = _list(str(learning[change].of(each)) for each in rates)
    if "wball" in lines and not any(learning["wball"]):
        largest = _list(repr(most).removesuffix(".0") for most in learning["wballMax"])
        lines = {_LARGEST.get(name, name): largest if name in _LARGEST else text for name, text in lines.items()}
    return list(lines.items())


def _list(items: Iterable[str]) -> str:
    """An item for each input; one alone if all are the same."""
    texts = list(items)
    return texts[0] if len(set(texts)) == 1 else ",".join(texts)


def _params(node: Node) -> tuple[Key, ...]:
    cls = type(node.layer)
    return (*cls.params, *common_params(cls))


def _needs_section(node: Node) -> bool:
    return any(key.default is REQUIRED for key in type(node.layer).params)
