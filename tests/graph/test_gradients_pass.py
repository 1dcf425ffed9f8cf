"""Layers that pass no gradient: nothing that learns may lie below them, by whatever way."""

import pytest

from convnet.config.reader import parse
from convnet.config.report import ConfigError, Report
from convnet.graph.build import build_graph
from convnet.shape import Shape

LAYERS = """[data]
type=data
dataIdx=0
[conv]
type=conv
inputs=data
channels=3
filters=3
filterSize=1
neuron=relu
[both]
type=eltmax
inputs=data,conv
[x]
{layer}
[fc]
type=fc
inputs=x
outputs=2
[cost]
type=cost.sum2
inputs=fc
[cost2]
type=cost.sum2
inputs=both
"""
RATES = "momW=0\nmomB=0\n"
LEARNS, RESTS = (f"[conv]\n{eps}{RATES}" for eps in ("epsW=0\nepsB=0.1\n", "epsW=0\nepsB=0\n"))
ABOVE = f"[fc]\nepsW=1\nepsB=1\n{RATES}"
WITHOUT = {
    "resize": "type=resize\nchannels=3\nscale=1.5",
    "rscale": "type=rscale\nchannels=3\nmaxScale=1.5",
    "rgb2yuv": "type=rgb2yuv",
    "rgb2lab": "type=rgb2lab",
}


def errors(layer, inputs, params):
    report = Report()
    text = LAYERS.format(layer=f"{layer}\ninputs={inputs}")
    files = parse(text, "layers.cfg", report), params and parse(params, "params.cfg", report)
    try:
        build_graph(*files, [Shape.of_maps(3, 6, 7)], report)
    except ConfigError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize("kind", WITHOUT)
@pytest.mark.parametrize("inputs", ["conv", "both"])
def test_above_weights_that_learn(kind, inputs):
    line = LAYERS.splitlines().index("[x]") + 2 + len(WITHOUT[kind].splitlines())
    assert errors(WITHOUT[kind], inputs, LEARNS + ABOVE) == [
        f"layers.cfg:{line}: [x] inputs: a layer of type '{kind}' passes no gradient, "
        "but below it 'conv' has weights that learn"
    ]


@pytest.mark.parametrize("kind", WITHOUT)
def test_above_weights_that_rest_or_none(kind):
    """What learns above, or beside, does no harm; without a parameter file nothing learns."""
    assert errors(WITHOUT[kind], "conv", RESTS + ABOVE) == []
    assert errors(WITHOUT[kind], "conv", None) == []
    assert errors(WITHOUT[kind], "data", LEARNS + ABOVE) == []


@pytest.mark.parametrize("layer", [
    "type=nailbed\nchannels=3\nstride=2", "type=crop\nchannels=3\nstartX=1\nsizeX=2", "type=href\nchannels=3",
    "type=blur\nchannels=3\nfilterSize=3\nstdev=1",
])  # fmt: skip
def test_layers_with_a_gradient(layer):
    assert errors(layer, "both", LEARNS + ABOVE) == []
