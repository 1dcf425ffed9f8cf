"""What data layers take of a minibatch: whole matrices, rows of them, and the label matrix."""

import numpy as np
import pytest

from convnet.config.report import ConfigError
from convnet.net import ConvNet
from convnet.net.feeding import fed, spread
from convnet.shape import Shape

from .nets import graph_of

IMAGE = (3, 5, 4)
CASES = 6


def layer(keys, shapes=None):
    text = f"[x]\ntype=data\n{keys}[off]\ntype=cost.sum2\ninputs=x\n"
    return graph_of(text, shapes=shapes or [Shape.of_maps(*IMAGE), Shape(1), Shape(4)])["x"].layer


def minibatch():
    generator = np.random.default_rng(1)
    images = generator.standard_normal((CASES, 5, 4, 3)).astype(np.float32)
    return [images, np.array([[0], [3], [1], [-1], [4], [2]], np.float32)]


def in_rows(images):
    """cuda-convnet's matrix: a column for each case, its rows channel by channel."""
    return np.stack([images[:, y, x, c] for c in range(3) for y in range(5) for x in range(4)])


@pytest.mark.parametrize(("start", "end", "maps"), [
    (0, 60, IMAGE), (20, 60, (2, 5, 4)), (0, 20, (1, 5, 4)), (20, 40, (1, 5, 4)), (1, 60, None), (0, 59, None),
    (13, 14, None), (7, 27, None), (20, 50, None),
])  # fmt: skip
def test_rows_of_images(start, end, maps):
    found = layer(f"dataIdx=0\nstart={start}\nend={end}\n")
    assert (found.shape.maps, found.shape.features) == (maps, end - start)
    data = minibatch()
    rows = in_rows(data[0])[start:end]
    array = fed(found, data)
    expected = np.moveaxis(rows.reshape(maps[0], 5, 4, CASES), (3, 0), (0, 3)) if maps else rows.T
    np.testing.assert_array_equal(array, expected)
    whole = np.zeros((60, CASES), np.float32)
    whole[start:end] = rows
    back = spread(found, array, data[0])
    assert back.shape == data[0].shape
    np.testing.assert_array_equal(in_rows(back), whole)


def test_all_of_a_matrix_is_not_copied():
    data = minibatch()
    assert fed(layer("dataIdx=0\n"), data) is data[0]
    assert fed(layer("dataIdx=1\nend=1\n"), data) is data[1]
    assert np.shares_memory(fed(layer("dataIdx=0\nstart=20\n"), data), data[0])


def test_rows_of_plain_features():
    found, data = layer("dataIdx=0\nstart=2\n", [Shape(7), Shape(1)]), [np.arange(14.0).reshape(2, 7), np.zeros((2, 1))]
    assert found.shape == Shape(5)
    np.testing.assert_array_equal(fed(found, data), data[0][:, 2:])
    np.testing.assert_array_equal(spread(found, data[0][:, 2:], data[0]), data[0] * (np.arange(7) > 1))


def test_the_label_matrix_is_made_of_the_labels():
    """A label that is no class has none."""
    expected = np.array([[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]])
    np.testing.assert_array_equal(fed(layer("dataIdx=2\n"), minibatch()), expected)
    np.testing.assert_array_equal(fed(layer("dataIdx=2\nstart=1\nend=3\n"), minibatch()), expected[:, 1:3])


def test_a_label_matrix_of_the_data_itself_is_taken():
    matrix = np.random.default_rng(2).random((CASES, 4))
    assert fed(layer("dataIdx=2\n"), [*minibatch(), matrix]) is matrix


@pytest.mark.parametrize(("keys", "message"), [
    ("dataIdx=0\nend=61\n", r"\[x\] end: expected at most 60, the rows of the matrix, found 61"),
    ("dataIdx=0\nstart=60\n", r"\[x\] start: expected a row before 60, where the layer's rows end, found 60"),
    ("dataIdx=0\nstart=5\nend=5\n", r"\[x\] start: expected a row before 5, where the layer's rows end, found 5"),
    ("dataIdx=2\nend=5\n", r"\[x\] end: expected at most 4, the rows of the matrix, found 5"),
    ("dataIdx=3\n", r"\[x\] dataIdx: expected less than 3, the number of matrices the data has; found 3"),
])  # fmt: skip
def test_rows_that_are_not_there(keys, message):
    with pytest.raises(ConfigError, match=message):
        layer(keys)


def test_a_label_matrix_of_unknown_classes():
    message = r"dataIdx: expected less than 2, the number of matrices the data has, as long as .*--classes"
    with pytest.raises(ConfigError, match=message):
        layer("dataIdx=2\n", [Shape.of_maps(*IMAGE), Shape(1)])


def test_a_net_reads_the_rows(device):
    """The sum of squares of each channel is that of its layer."""
    text = "".join(
        f"[x{c}]\ntype=data\ndataIdx=0\nstart={20 * c}\nend={20 * c + 20}\n[off{c}]\ntype=cost.sum2\ninputs=x{c}\n"
        for c in range(3)
    )
    text += "[m]\ntype=data\ndataIdx=2\n[count]\ntype=cost.sum2\ninputs=m\n"
    data = minibatch()
    for cases in (6, 4):
        costs = ConvNet(graph_of(text, image=IMAGE), device, mini=6).test_minibatch([part[:cases] for part in data])
        for c in range(3):
            assert costs[f"off{c}"]["cost"] == pytest.approx((data[0][:cases, :, :, c] ** 2).sum(), rel=1e-5)
        assert costs["count"]["cost"] == {6: 4, 4: 3}[cases]
