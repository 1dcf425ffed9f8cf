"""The net of a layer graph in PyTorch: the peer that speed is compared with."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from convnet.graph.layer_graph import LayerGraph, Node
from convnet.ops.conv import ConvGeometry
from convnet.ops.local import LocalGeometry


class MapNorm(nn.Module):
    """Response normalization within each map, of odd window size."""

    def __init__(self, size: int, alpha: float, power: float, divisor: float) -> None:
        super().__init__()
        self.size, self.alpha, self.power, self.divisor = size, alpha, power, divisor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of x (case, channel, y, x)."""
        mean = functional.avg_pool2d(x * x, self.size, 1, self.size // 2)  # divides by the whole window
        return x * (self.divisor + self.alpha * self.size**2 * mean) ** -self.power


class Local(nn.Module):
    """Filters of their own for every window, by unfold and einsum."""

    def __init__(self, g: LocalGeometry) -> None:
        super().__init__()
        self.unfold = nn.Unfold(g.filter_size, padding=g.padding, stride=g.stride)
        self.groups, self.bias = g.groups, nn.Parameter(torch.zeros(g.filters, g.modules_y, g.modules_x))
        weight = torch.empty(g.modules, g.groups * g.rows, g.filters // g.groups)
        self.weight = nn.Parameter(nn.init.uniform_(weight, -(g.rows**-0.5), g.rows**-0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of x (case, channel, y, x)."""
        windows, weight = (torch.unflatten(each, 1, (self.groups, -1)) for each in (self.unfold(x), self.weight))
        y = torch.einsum("ngkm,mgkf->ngfm", windows, weight)
        return y.reshape(-1, *self.bias.shape) + self.bias


class Eltwise(nn.Module):
    """A neuron that PyTorch has no module for: a*x + b."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of any x."""
        return self.a * x + self.b


def peer_of(graph: LayerGraph) -> nn.Sequential:
    """The layers between the images and the softmax, which must follow each other in a line.

    Raises:
        ValueError: for a layer that has no counterpart here.
    """
    modules: list[nn.Module] = []
    for node in graph.nodes:
        if node.layer.type == "data" or node.layer.is_cost or node.layer.type == "softmax":
            continue
        if len(node.inputs) != 1:
            raise ValueError(f"layer '{node.name}': only nets that are a line of layers can be compared")
        if node.layer.type == "fc" and node.inputs[0].layer.shape.maps:
            modules.append(nn.Flatten())
        modules.append(_module(node))
    return nn.Sequential(*modules)


def _module(node: Node) -> nn.Module:
    layer: Any = node.layer
    make = {"conv": _conv, "local": _local, "pool": _pool, "fc": _fc, "neuron": _neuron, "rnorm": _rnorm,
            "cmrnorm": _cmrnorm, "dropout": _dropout, "dropout2": _dropout}.get(layer.type)  # fmt: skip
    if make is None:
        raise ValueError(f"layer '{node.name}': type {layer.type} has no counterpart in the peer")
    return make(layer)


def _conv(layer: Any) -> nn.Module:
    g = layer.geometries[0]
    conv = nn.Conv2d(g.maps.channels, g.filters, g.filter_size, g.stride, g.padding, groups=g.groups)
    return _behind_overhang(g, conv)


def _local(layer: Any) -> nn.Module:
    g = layer.geometries[0]
    return _behind_overhang(g, Local(g))


def _behind_overhang(g: ConvGeometry, windows: nn.Module) -> nn.Module:
    """Where the last window hangs over the edge, as in alexnet's first layer, zeros are added there."""
    y, x = (
        (modules - 1) * g.stride + g.filter_size - 2 * g.padding - side
        for modules, side in ((g.modules_y, g.maps.y), (g.modules_x, g.maps.x))
    )
    if min(y, x) < 0:
        raise ValueError("fewer windows than fit (modulesX) have no counterpart in the peer")
    return nn.Sequential(nn.ZeroPad2d((0, x, 0, y)), windows) if max(y, x) else windows


def _pool(layer: Any) -> nn.Module:
    g = layer.geometry
    if layer.values["pool"] == "max":
        return nn.MaxPool2d(g.size, g.stride, -g.start, ceil_mode=True)
    return nn.AvgPool2d(g.size, g.stride, -g.start, ceil_mode=True, count_include_pad=False)


def _fc(layer: Any) -> nn.Module:
    return nn.Linear(layer.weights[0].rows, layer.weights[0].columns)


def _neuron(layer: Any) -> nn.Module:
    function = layer.function
    known: dict[str, nn.Module] = {"relu": nn.ReLU(inplace=True), "ident": nn.Identity(), "logistic": nn.Sigmoid()}
    if function.name == "linear":
        return Eltwise(function.a, function.b)
    return known[function.name]


def _rnorm(layer: Any) -> nn.Module:
    n = layer.normalization
    return MapNorm(n.size, n.alpha, n.power, n.min_div)


def _cmrnorm(layer: Any) -> nn.Module:
    n = layer.normalization
    return nn.LocalResponseNorm(n.size, n.alpha * n.size, n.power, n.min_div)


def _dropout(layer: Any) -> nn.Module:
    return nn.Dropout(1 - layer.learning["keep"])
