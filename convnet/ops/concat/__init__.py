"""Concatenation: several inputs side by side in one array, one call for each of them.

    fprop   y[:, offset : offset + c] = x           bprop   dx (+)= dy[:, offset : offset + c]

x, dx: (rows, c). y, dy: (rows, C) with C >= offset + c. Feature maps are given as (n*y*x, channel), so that their
channels are joined; other features as (n, feature).

    fprop(dev, x, y, *, offset)          bprop(dev, dy, dx, *, offset, accumulate)

Source: cuda-convnet, layer type concat.
"""
