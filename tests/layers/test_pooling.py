"""What the layers of pooling give on images that are not square: whole maps, and as many windows as cover all maps."""

import numpy as np
import pytest

from convnet.net import ConvNet
from tests.net.nets import graph_of

COST = "[data]\ntype=data\ndataIdx=0\n[x]\n{}inputs=data\n[cost]\ntype=cost.sum2\ninputs=x\n"
IMAGE = (7, 6, 4)  # channels, y, x


def sum_of_squares(device, section, images):
    """Of all numbers that the layer gives."""
    net = ConvNet(graph_of(COST.format(section), image=IMAGE), device, mini=len(images), dtype=np.float64)
    return net.test_minibatch([images])["cost"]["cost"]


@pytest.fixture
def images():
    """Numbers whose mean is not 0."""
    return np.random.default_rng(3).uniform(-1, 3, (3, IMAGE[1], IMAGE[2], IMAGE[0]))


@pytest.mark.parametrize(("pool", "function"), [("max", np.max), ("avg", np.mean)])
def test_globalpool_sees_the_whole_image(device, images, pool, function):
    found = sum_of_squares(device, f"type=globalpool\npool={pool}\nchannels=7\n", images)
    assert found == pytest.approx((function(images, axis=(1, 2)) ** 2).sum(), rel=1e-12)


@pytest.mark.parametrize("outputs", ["", "outputs=0\n", "outputs=4\n"])
def test_cmpool_covers_all_channels(device, images, outputs):
    """Windows -1..1, 1..3, 3..5 and 5..7 of the channels 0..6."""
    section = f"type=cmpool\npool=max\nchannels=7\nsize=3\nstride=2\nstart=-1\n{outputs}"
    windows = [images[..., first:last].max(axis=3) for first, last in ((0, 2), (1, 4), (3, 6), (5, 7))]
    assert sum_of_squares(device, section, images) == pytest.approx((np.stack(windows) ** 2).sum(), rel=1e-12)


def test_sum_is_not_divided(device, images):
    section = "type=pool\nsizeX=4\nstride=4\nstart=-1\nchannels=7\npool=avg\nsum=1\n"
    padded = np.pad(images, ((0, 0), (1, 1), (1, 3), (0, 0)))  # 8 rows and columns: 4 whole windows
    sums = padded.reshape(3, 2, 4, 2, 4, 7).sum(axis=(2, 4))
    assert sum_of_squares(device, section, images) == pytest.approx((sums**2).sum(), rel=1e-12)
