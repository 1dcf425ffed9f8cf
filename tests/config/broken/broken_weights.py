"""Functions for initWFunc, initBFunc and initCFunc that do not give what is wanted."""

import numpy as np


def raises(layer, index, shape, params):
    raise RuntimeError("no weights today")


def gives_a_list(layer, index, shape, params):
    return [[0.0] * shape[1]] * shape[0]


def gives_float64(layer, index, shape, params):
    return np.zeros(shape)


def gives_another_shape(layer, index, shape, params):
    return np.zeros((shape[0] + int(params[0]), shape[1]), np.float32)


def gives_a_row_of_four(layer, shape, params):
    return np.zeros((1, 4), np.float32)


def no_connections(layer, index, sizes, params):
    raise RuntimeError("no channels today")


def gives_text(layer, index, sizes, params):
    return "0123"


def gives_channels(layer, index, sizes, params):
    first = [float(param) if "." in param else int(param) for param in params]
    return [*first, 1, 2, 3, 0, 1, 2, 3]


def gives_twice(layer, index, sizes, params):
    return [0, 1, 2, 3, 0, 1, 1, 3]


def gives_ragged(layer, index, sizes, params):
    return [[0, 1, 2, 3], [0, 1]]
