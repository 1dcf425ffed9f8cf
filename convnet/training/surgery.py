"""Changes to the net of a checkpoint before training goes on: conv layers become local, shared weights are copied."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from convnet.config import kinds
from convnet.config.nearest import nearest
from convnet.errors import ConvnetError
from convnet.graph.layer_graph import LayerGraph, Node
from convnet.layers.filters import FilterLayer
from convnet.plan.groups import sums_kept
from convnet.shape import Shape
from convnet.training.cfg_edits import with_entry, without_entry
from convnet.training.checkpoint import Checkpoint
from convnet.training.options import from_plain
from convnet.training.session import stored_files

_MATRIX = re.compile(r"([^\[\],]+?)(?:\[(\d{1,9})\])?")


@dataclass(frozen=True)
class Surgery:
    """What is to be changed: conv layers that become local, then shared matrices that are copied (None: all of one).

    As in cuda-convnet, layers that share weights with one that becomes local become local, too.
    """

    to_local: tuple[str, ...] = ()
    unshare: tuple[tuple[str, int | None], ...] = ()

    @classmethod
    def parse(cls, to_local: str | None, unshare: str | None) -> Surgery:
        """From the values of --conv-to-local (layer,...) and --unshare-weights (layer or layer[index],...).

        Raises:
            ConvnetError: if they are not written so.
        """
        matches = [(item, _MATRIX.fullmatch(item)) for item in _items("--unshare-weights", unshare)]
        for item, match in matches:
            if match is None:
                raise ConvnetError(f"--unshare-weights: expected layer or layer[index], found '{item}'")
        found = [(match[1], int(match[2]) if match[2] else None) for _, match in matches if match]
        return cls(tuple(_items("--conv-to-local", to_local)), tuple(found))

    @property
    def asked(self) -> bool:
        """Whether anything is to be changed."""
        return bool(self.to_local or self.unshare)


NOTHING = Surgery()


def operate(checkpoint: Checkpoint, folder: Path, surgery: Surgery) -> tuple[Checkpoint, list[str]]:
    """The checkpoint of the changed net, its layer file's text included, and what to tell the user.

    Raises:
        ConvnetError: if there are no such layers or matrices, or the changed net is none.
    """
    if not surgery.asked:
        return checkpoint, []
    notes: list[str] = []
    if surgery.to_local:
        checkpoint = _converted(checkpoint, folder, surgery.to_local, notes)
    if surgery.unshare:
        checkpoint = _unshared(checkpoint, folder, surgery.unshare, notes)
    return _with_sums(checkpoint, folder), notes


def _converted(checkpoint: Checkpoint, folder: Path, names: Sequence[str], notes: list[str]) -> Checkpoint:
    """With these conv layers, and all that share weights with them, as local ones."""
    graph = _graph(checkpoint, folder)
    chosen = [_node(graph, name, "--conv-to-local") for name in names]
    for node in chosen:
        if node.layer.type != "conv":
            found = f"'{node.name}' has type '{node.layer.type}'"
            raise ConvnetError(f"--conv-to-local: expected a conv layer, but {found}")
    for node in _sharing(chosen, graph):
        checkpoint = _unshared_windows(checkpoint, folder, node)
        notes.append(f"layer '{node.name}' has become a local layer")
    return checkpoint


def _unshared(
    checkpoint: Checkpoint, folder: Path, asked: Sequence[tuple[str, int | None]], notes: list[str]
) -> Checkpoint:
    """With copies of these matrices, where they are shared."""
    graph = _graph(checkpoint, folder)
    for name, index in asked:
        node = _node(graph, name, "--unshare-weights")
        for each in _matrices(node, index):
            owner = node.parameters[each]
            if (owner.layer, owner.index) == (name, each):
                notes.append(f"the weight matrix {name}[{each}] is not shared")
            else:
                checkpoint = _own_matrix(checkpoint, folder, node, each)
                notes.append(f"the weight matrix {name}[{each}] is no longer that of {owner.layer}")
    return checkpoint


def _items(option: str, text: str | None) -> list[str]:
    try:
        return [] if text is None else kinds.Names().parse(text)
    except ValueError as error:
        raise ConvnetError(f"{option}: {error}") from error


def _graph(checkpoint: Checkpoint, folder: Path) -> LayerGraph:
    """The checkpoint's net, for data of the shapes that it was trained on."""
    return stored_files(checkpoint, folder, None).graph(
        [_shape(text) for text in checkpoint.data.get("shapes", [])], from_plain(checkpoint.options)["classes"]
    )


def _shape(text: str) -> Shape:
    return Shape.of_maps(*kinds.Maps().parse(text)) if "x" in text else Shape(int(text))


def _node(graph: LayerGraph, name: str, option: str) -> Node:
    if name not in graph:
        near = nearest(name, [node.name for node in graph.nodes])
        hint = f"; did you mean '{near}'?" if near else ""
        raise ConvnetError(f"{option}: expected a layer of the net, found '{name}'{hint}")
    return graph[name]


def _matrices(node: Node, index: int | None) -> Sequence[int]:
    count = len(node.layer.weights)
    if index is None and count:
        return range(count)
    if index is None or index >= count:
        wanted = f"a matrix below {node.name}[{count}]" if count else "a layer with weights"
        found = node.name if index is None else f"{node.name}[{index}]"
        raise ConvnetError(f"--unshare-weights: expected {wanted}, found '{found}'")
    return [index]


def _sharing(chosen: Sequence[Node], graph: LayerGraph) -> Iterator[Node]:
    """The chosen layers and all that share a matrix with one of them, directly or by way of others."""
    found, before = set(chosen), 0
    while len(found) > before:
        before = len(found)
        shared = {parameter for node in found for parameter in node.parameters.values()}
        found |= {node for node in graph.nodes if shared & set(node.parameters.values())}
    return (node for node in graph.nodes if node in found)


def _unshared_windows(checkpoint: Checkpoint, folder: Path, node: Node) -> Checkpoint:
    """With this conv layer as a local one: every window has the same filters and biases, the increments are 0."""
    layer, weights = node.layer, dict(checkpoint.weights)
    assert isinstance(layer, FilterLayer)
    for index, geometry in enumerate(layer.geometries):
        owner = node.parameters[index]
        if (owner.layer, owner.index) == (node.name, index):
            name = f"{node.name}.weights.{index}"
            _put(weights, name, np.tile(weights[name], (geometry.modules, 1)))
    if layer.values["sharedBiases"]:
        name = f"{node.name}.biases"
        _put(weights, name, np.repeat(weights[name], layer.geometries[0].modules, axis=0))
    section = stored_files(checkpoint, folder, None).layers.sections[node.name]
    text = with_entry(checkpoint.layers, section.entries["type"], "local")
    if "sharedbiases" in section.entries:
        text = without_entry(text, section.entries["sharedbiases"])
    return replace(checkpoint, layers=text, weights=weights)


def _own_matrix(checkpoint: Checkpoint, folder: Path, node: Node, index: int) -> Checkpoint:
    """With a copy of the shared matrix as the layer's own, its increments 0."""
    weights = dict(checkpoint.weights)
    _put(weights, f"{node.name}.weights.{index}", weights[node.parameters[index].name].copy())
    section = stored_files(checkpoint, folder, None).layers.sections[node.name]
    entry = section.entries["weightsource"]
    items = [item.strip() for item in entry.value.split(",")]
    items[index] = ""
    left = ",".join(items) if any(items) else None
    text = without_entry(checkpoint.layers, entry) if left is None else with_entry(checkpoint.layers, entry, left)
    return replace(checkpoint, layers=text, weights=weights)


def _with_sums(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """With zeros for the sums of gradients, over several minibatches, of what was changed."""
    weights, graph = dict(checkpoint.weights), _graph(checkpoint, folder)
    for parameter in graph.parameters:
        for replica in range(sums_kept(graph, parameter)):
            name, zeros = f"{parameter.name}.grad.{replica}", np.zeros(parameter.matrix.shape, np.float32)
            if name not in weights or weights[name].shape != zeros.shape:
                weights[name] = zeros
    return replace(checkpoint, weights=weights)


def _put(weights: dict[str, Any], name: str, values: np.ndarray[Any, Any]) -> None:
    weights[name], weights[f"{name}.inc"] = np.ascontiguousarray(values), np.zeros_like(values)
