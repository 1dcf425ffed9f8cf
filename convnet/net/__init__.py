"""The net: a graph, its plan and its weights on a device."""

from convnet.net.convnet import ConvNet, Costs

__all__ = ["ConvNet", "Costs"]
