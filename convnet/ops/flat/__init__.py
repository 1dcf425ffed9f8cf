"""Pieces of the flat arrays of a device's weights and gradients, as plain numbers.

    add(dev, x, y)      y += x
    clear(dev, y)       y = 0

x, y: 1-D, of one length and of the type of weights.
"""
