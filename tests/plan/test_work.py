"""What steps have to do, by count: loops over filters, and arrays whose bytes are added up by hand."""

import itertools
from collections import defaultdict

import numpy as np
import pytest

from convnet.ops.dropout import Counter
from convnet.plan.build import build_plan, layouts
from convnet.plan.work import Work, work_of
from convnet.tensor import NumberTypes
from tests.net.nets import DATA, graph_of

RATES = "epsW=0.1\nepsB=0.2\nmomW=0.9\nmomB=0.8\nwc=0.05\n"
END = "outputs=4\n[probs]\ntype=softmax\ninputs=fc\n[logprob]\ntype=cost.logreg\ninputs=labels,probs\n"
FILTERS = "channels=4\nfilters=3\nfilterSize=3\nstride=2\npadding=1\ngroups=2\n"
BASE = f"{DATA}[base]\ntype=conv\ninputs=data\nchannels=3\nfilters=4\nfilterSize=1\n"
BASE_PARAMS = f"[base]\n{RATES}[fc]\n{RATES}[logprob]\n"
MINI, Y, X = 6, 7, 5
FLOAT32, HALF = (NumberTypes(np.dtype(np.float32), np.dtype(kind)) for kind in (np.float32, np.float16))


def works(layers, params, types=FLOAT32, mini=MINI, cases=MINI):
    """The work of a training minibatch, by layer and operation."""
    graph = graph_of(layers, params, image=(3, Y, X))
    plan = build_plan(graph, layouts(graph), mini=mini, seed=0, counter=Counter(), types=types)
    found = defaultdict(list)
    for step in plan.train:
        found[step.layer, step.operation].append(work_of(step, plan, cases))
    return found


def windows(size, padding, filter_size, stride):
    """Where windows begin: until the last one reaches the end."""
    begins = [-padding]
    while begins[-1] + filter_size < size + padding:
        begins.append(begins[-1] + stride)
    return begins


@pytest.mark.parametrize("kind", ["conv", "local"])
def test_filters_are_counted_as_loops_count_them(kind):
    """The image is not square, windows reach beyond it, and groups see a part of the channels."""
    products = 0
    for _case, _y, _x in itertools.product(range(MINI), windows(Y, 1, 3, 2), windows(X, 1, 3, 2)):
        for group in range(2):
            for _filter, _i, _j, _channel in itertools.product(
                range(3), range(3), range(3), range(2 * group, 2 + 2 * group)
            ):
                products += 1
    layers = f"{BASE}[x]\ntype={kind}\ninputs=base\n{FILTERS}[fc]\ntype=fc\ninputs=x\n{END}"
    found = works(layers, f"{BASE_PARAMS}[x]\n{RATES}")
    for part in ("fprop", "bprop_weights", "bprop_acts"):
        assert found["x", f"{kind}.{part}"] == [Work(flops=2 * products)], part
    assert found["base", "conv.fprop"] == [Work(flops=2 * MINI * Y * X * 3 * 4)]
    assert ("base", "conv.bprop_acts") not in found, "nobody wants the gradient of the data"


def test_fully_connected_layers_with_inputs_of_their_own_sizes():
    layers = f"{BASE}[small]\ntype=fc\ninputs=base\noutputs=9\n[fc]\ntype=fc\ninputs=small,base\n{END}"
    params = f"{BASE_PARAMS}[small]\n{RATES}"
    found = works(layers, params)
    sizes = [2 * MINI * 9 * 4, 2 * MINI * (4 * Y * X) * 4]
    for part in ("fprop", "bprop_weights", "bprop_acts"):
        assert found["fc", f"matmul.{part}"] == [Work(flops=size) for size in sizes], part
    assert found["small", "matmul.fprop"] == [Work(flops=2 * MINI * 4 * Y * X * 9)]


def test_parts_of_a_layer_see_parts_of_its_input():
    layers = f"{BASE}[x]\ntype=sfc\ninputs=base\nparts=2\noutputs=5\n[fc]\ntype=fc\ninputs=x\n{END}"
    found = works(layers, f"{BASE_PARAMS}[x]\n{RATES}")
    assert found["x", "local.fprop"] == [Work(flops=2 * MINI * 2 * (4 * Y * X // 2) * 5)]


@pytest.mark.parametrize(("types", "size"), [(FLOAT32, 4), (HALF, 2)], ids=["float32", "16 bits"])
def test_bytes_of_maps(types, size):
    """A gradient that is added to is read and written; costs and labels are not rounded."""
    pool = "[pool]\ntype=pool\npool=max\ninputs=base\nchannels=4\nsizeX=3\nstride=2\n"
    both = "[both]\ntype=fc\ninputs=pool,act\noutputs=3\n"
    act = "[act]\ntype=neuron\ninputs=base\nneuron=abs\n"
    layers = f"{BASE}{pool}{act}{both}[fc]\ntype=fc\ninputs=both\n{END}"
    found = works(layers, f"{BASE_PARAMS}[both]\n{RATES}", types)
    whole, pooled = size * MINI * 4 * Y * X, size * MINI * 4 * 3 * 2
    assert found["pool", "pool.fprop_max"] == [Work(traffic=whole + pooled)]
    assert found["act", "neuron.fprop"] == [Work(traffic=2 * whole)]
    assert found["act", "neuron.bprop"] == [Work(traffic=3 * whole)], "dy and x are read, dx is written"
    assert found["pool", "pool.bprop_max"] == [Work(traffic=2 * pooled + 3 * whole)], "dx is added to"
    assert found["both", "layout.convert"] == [
        Work(traffic=2 * pooled), Work(traffic=2 * whole), Work(traffic=2 * pooled), Work(traffic=2 * whole),
    ]  # fmt: skip
    assert found["logprob", "logreg.fprop"] == [Work(traffic=MINI * (4 + size * 4 + 3 * 4))]


def test_a_neuron_in_place_reads_and_writes():
    layers = f"{BASE}neuron=relu\n[fc]\ntype=fc\ninputs=base\n{END}"
    assert works(layers, BASE_PARAMS)["base_neuron", "neuron.bprop"] == [Work(traffic=3 * 4 * MINI * 4 * Y * X)]


def test_a_part_of_an_array_is_not_all_of_it():
    joined = "[left]\ntype=conv\ninputs=base\nchannels=4\nfilters=2\nfilterSize=1\n[x]\ntype=concat\ninputs=base,left\n"
    layers = f"{BASE}{joined}[fc]\ntype=fc\ninputs=x\n{END}"
    found = works(layers, f"{BASE_PARAMS}[left]\n{RATES}")
    four, two = (4 * MINI * channels * Y * X for channels in (4, 2))
    assert found["x", "concat.fprop"] == [Work(traffic=2 * four), Work(traffic=2 * two)]
    assert found["x", "concat.bprop"] == [Work(traffic=2 * four), Work(traffic=2 * two)]
    crop = f"{BASE}[x]\ntype=crop\ninputs=base\nchannels=4\nsizeX=3\nstartX=1\nstartY=1\n[fc]\ntype=fc\ninputs=x\n{END}"
    found = works(crop, BASE_PARAMS)
    small, whole = 4 * MINI * 4 * 3 * 3, 4 * MINI * 4 * Y * X
    assert found["x", "sample.fprop"] == [Work(traffic=2 * small)]
    assert found["x", "sample.bprop"] == [Work(traffic=small + whole)], "0 is written elsewhere"


@pytest.mark.parametrize(("types", "each"), [(FLOAT32, 5 * 4), (HALF, 5 * 4 + 2)], ids=["float32", "16 bits"])
def test_the_update_reads_and_writes_weights_and_increments(types, each):
    """It also writes the rounded weights, where there are any."""
    found = works(f"{BASE}[fc]\ntype=fc\ninputs=base\n{END}", BASE_PARAMS.replace("wc=0.05", "wc=0.05\nwball=2"), types)
    held = 16 + 16 + 4 * Y * X * 4 + 4  # weights and biases begin at multiples of 16 numbers; the last ones end early
    assert found["", "update.momentum"] == [Work(traffic=each * held)]
    assert found["base", "update.wball"] == [Work(traffic=(each - 3 * 4) * 12)]


def test_several_devices_have_parts_of_the_minibatch_and_copy():
    """Five cases: three for the first replica, two for the second."""
    layers = f"{BASE}gpu=0,1\n[fc]\ntype=fc\ninputs=base\ngpu=0\n{END}"
    found = works(layers, BASE_PARAMS, cases=5)
    first, second = (cases * Y * X * 3 * 4 for cases in (3, 2))
    assert found["base", "conv.fprop"][:2] == [Work(flops=2 * first), Work(flops=2 * second)]
    assert Work(traffic=2 * 4 * 2 * 4 * Y * X) in found["base", "copy"]
    pieces = [work.traffic for work in found["", "flat.add"]]
    assert pieces == [3 * 4 * (16 + 4)]
