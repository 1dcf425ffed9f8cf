"""The gradient of a bias: the sum of the gradient above over cases, and over positions if they share the bias.

A backend gives
    bprop(dev, dy, db, *, accumulate)    db (columns,) (+)= sum over all but columns of dy (cases, positions, columns)
A wrong shape raises ValueError. Adding the bias is part of the operations that take one.
"""
