"""What the layers that sample and resize images ask of their operations."""

import itertools
import math

import pytest

from convnet.ops.sample import SampleGeometry
from convnet.shape import Maps
from tests.layers.examples import RATES
from tests.net.nets import graph_of

NET = """[data]
type=data
dataIdx=0
[x]
type={section}
inputs=data
channels=2
[cost]
type=cost.sum2
inputs=x
"""


class Recorder:
    """An emitter that keeps what is emitted."""

    def __init__(self, node):
        self.node, self.emitted = node, []

    def input(self, index, maps):
        return f"input as {maps}"

    def output(self):
        return "output"

    def dropout_stream(self):
        return {"seed": 7}

    def emit(self, operation, *arguments, **parameters):
        self.emitted.append((operation, arguments, parameters))


def layer_of(section, y, x):
    return graph_of(NET.format(section=section), image=(2, y, x))["x"].layer


def emitted(layer, *, training):
    recorder = Recorder(layer)
    layer.fprop(recorder, training=training)
    return recorder.emitted


def test_nails_are_as_central_as_they_can_be():
    """As many samples as fit, with as many pixels before the first as behind the last, or one more."""
    for image, stride in itertools.product(range(1, 13), range(1, 6)):
        if stride > image + 1:
            continue
        g = layer_of(f"nailbed\nstride={stride}", image, image + 1).geometry
        assert g == SampleGeometry(Maps(2, image, image + 1), g.start_y, g.start_x, stride, stride,
                                   math.ceil(image / stride), math.ceil((image + 1) / stride))  # fmt: skip
        for side, start, outputs in ((image, g.start_y, g.outputs_y), (image + 1, g.start_x, g.outputs_x)):
            behind = side - 1 - (start + stride * (outputs - 1))
            assert start - behind in (0, 1)
            assert behind < stride


def test_a_crop_begins_in_column_startx_and_row_starty():
    maps = Maps(2, 9, 8)
    assert layer_of("crop\nstartX=1\nstartY=3\nsizeX=5", 9, 8).geometry == SampleGeometry(maps, 3, 1, 1, 1, 5, 5)
    assert layer_of("crop\nstartX=2\nsizeX=5", 9, 8).geometry == SampleGeometry(maps, 2, 2, 1, 1, 5, 5)


def test_href_mirrors_left_and_right():
    assert layer_of("href", 9, 8).geometry == SampleGeometry(Maps(2, 9, 8), 0, 7, 1, -1, 9, 8)


@pytest.mark.parametrize(("scale", "size"), [(0.5, (18, 14)), (1, (9, 7)), (1.3, (6, 5)), (2, (4, 3))])
def test_resize(scale, size):
    layer = layer_of(f"resize\nscale={scale}", 9, 7)
    assert layer.shape.maps == (2, *size)
    resized = [("resize.fprop", ("input as 2x9x7", "output"), {"scale": scale})]
    assert emitted(layer, training=True) == emitted(layer, training=False) == resized


@pytest.mark.parametrize(("size", "side"), [("", 5), ("\ntgtSize=6", 6), ("\ntgtSize=9", 9)])
def test_rscale_draws_in_training_and_resizes_in_testing(size, side):
    layer = layer_of(f"rscale\nmaxScale=1.7{size}", 9, 11)
    assert layer.shape.maps == (2, side, side)
    arguments = ("input as 2x9x11", "output")
    assert emitted(layer, training=True) == [("resize.random_crop", arguments, {"seed": 7})]
    assert emitted(layer, training=False) == [("resize.fprop", arguments, {"scale": 1.7})]


def test_windows_that_the_formula_of_the_originals_puts_beside_the_image_are_kept():
    """1x1 filters: with stride 2 on an even side the last window is outside, with padding the first ones are."""
    for lines, windows in (("stride=2", 5), ("stride=2\nmodulesX=5", 5), ("padding=1", 10), ("stride=8", 2)):
        section = f"conv\nfilters=1\nfilterSize=1\n{lines}"
        graph = graph_of(NET.format(section=section), f"[x]\n{RATES}", image=(2, 8, 8))
        assert graph["x"].layer.shape.maps == Maps(1, windows, windows)
