"""Keys of the originals that are not supported stop nothing: a note says whether results differ."""

import pytest

from convnet.config.reader import parse
from convnet.config.report import Report
from convnet.graph.build import build_graph
from convnet.shape import Shape
from tests.net.nets import DATA

RATES = "epsW=0.1\nepsB=0.2\nmomW=0.9\nmomB=0.9\n"
LAYERS = DATA + """
[conv]
type=conv
inputs=data
channels=3
filters=4
filterSize=3
[pool]
type=pool
inputs=conv
pool=avg
channels=4
sizeX=2
stride=2
[fc]
type=fc
inputs=pool
outputs=3
[probs]
type=softmax
inputs=fc
[cost]
type=cost.logreg
inputs=labels,probs
"""
PARAMS = f"[conv]\n{RATES}[pool]\n[fc]\n{RATES}[cost]\n[labels]\n"
# Layer, key, values that ask for nothing, values that make the original another net.
LAYER_KEYS = [
    ("labels", "quantF", ["default"], ["half"]),
    ("pool", "QuantB", ["default"], ["half"]),
    ("conv", "partialSum", ["4", "0"], []),
    ("data", "gpu", ["0", "0,1"], []),
]
PARAMETER_KEYS = [
    ("pool", "doMax", ["true", "no"], []),
    ("pool", "quantF", ["default"], ["half", "default,half"]),
    ("fc", "sched", ["exp[1000]"], []),
    ("conv", "wcnorm", ["0.00", "1"], []),
    ("fc", "superEps", ["0", "1"], []),
]


def cases():
    for in_params, keys in ((False, LAYER_KEYS), (True, PARAMETER_KEYS)):
        for layer, key, harmless, harmful in keys:
            yield from (pytest.param(in_params, layer, key, v, "has no effect here: ") for v in harmless)
            yield from (pytest.param(in_params, layer, key, v, "is not supported: ") for v in harmful)


@pytest.mark.parametrize(("in_params", "layer", "key", "value", "begin"), list(cases()))
def test_note(in_params, layer, key, value, begin):
    texts = [LAYERS, PARAMS]
    texts[in_params] = texts[in_params].replace(f"[{layer}]\n", f"[{layer}]\n{key}={value}\n")
    report = Report()
    layers, params = parse(texts[0], "layers.cfg", report), parse(texts[1], "params.cfg", report)
    build_graph(layers, params, [Shape.of_maps(3, 9, 7), Shape(1)], report)
    (note,) = report.notes
    assert (note.section, note.key) == (layer, key)
    assert note.text.startswith(begin)
    assert note.text.endswith("; the net differs from the original's") == (begin == "is not supported: ")
