"""Writes what cuda-convnet and cuda-convnet2 saved: their layers as their parsers left them, in pickles of Python 2."""

import math
import struct

import numpy as np

from convnet.training.original_checkpoints import load_original
from convnet.training.original_import import import_original
from tests.net.nets import graph_of


class Python2Pickler:
    """Protocol 2 as cPickle wrote it: byte strings, old-style instances, containers met twice written once."""

    def __init__(self):
        self.memo, self.kept = {}, []

    def dumps(self, value):
        return b"\x80\x02" + self.write(value) + b"."

    def write(self, value):
        if id(value) in self.memo:
            return b"j" + struct.pack("<I", self.memo[id(value)])
        for kinds, method in (
            (bool, lambda v: b"\x88" if v else b"\x89"), (int, lambda v: b"J" + struct.pack("<i", v)),
            (float, lambda v: b"G" + struct.pack(">d", v)), (str, lambda v: self.write(v.encode("latin1"))),
            (bytes, lambda v: b"T" + struct.pack("<i", len(v)) + v), (type(None), lambda v: b"N"),
            (tuple, lambda v: b"(" + b"".join(map(self.write, v)) + b"t"), (list, self.sequence), (dict, self.mapping),
            (np.ndarray, self.array), (object, lambda v: v.write(self)),
        ):  # fmt: skip
            if isinstance(value, kinds):
                return method(value)
        raise AssertionError

    def put(self, value):
        self.kept.append(value)
        self.memo[id(value)] = len(self.memo)
        return b"r" + struct.pack("<I", self.memo[id(value)])

    def sequence(self, value):
        return b"]" + self.put(value) + b"(" + b"".join(map(self.write, value)) + b"e"

    def mapping(self, value):
        begun = b"}" + self.put(value) + b"("
        return begun + b"".join(self.write(key) + self.write(item) for key, item in value.items()) + b"u"

    def array(self, value):
        kind = value.dtype
        dtype = b"cnumpy\ndtype\n" + self.write((kind.str[1:], 0, 1)) + b"R"
        dtype += self.write((3, kind.str[:1], None, None, None, -1, -1, 0)) + b"b"
        by_columns = value.flags.f_contiguous and not value.flags.c_contiguous
        begun = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + self.write((0,)) + self.write("b") + b"tR"
        begun += self.put(value)
        content = value.tobytes(order="F" if by_columns else "C")
        state = self.write(1) + self.write(value.shape) + dtype + self.write(by_columns) + self.write(content)
        return begun + b"(" + state + b"tb"


class Global:
    """A class or a function by its name."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def write(self, pickler):
        return f"c{self.module}\n{self.name}\n".encode()


class Instance:
    """An instance of an old-style class: its class, no arguments, its attributes."""

    def __init__(self, module, name, /, **state):
        self.cls, self.state = Global(module, name), state

    def write(self, pickler):
        return b"(" + self.cls.write(pickler) + b"o" + pickler.write(self.state) + b"b"


def options_parser(module, **values):
    """An OptionsParser: each option with a value was given, those with a tuple hold a default."""

    def option(name, value):
        given, value = not isinstance(value, tuple), value[0] if isinstance(value, tuple) else value
        kind = {int: "IntegerOptionParser", float: "FloatOptionParser", list: "RangeOptionParser"}.get(type(value))
        parser = Global(module, kind or "StringOptionParser")
        if name == "gpu":
            parser = Instance(module, "ListOptionParser", parsers=Global(module, "IntegerOptionParser"), sepchar=",")
        default = Instance(module, "OptionExpression", expr="[-1] * num_gpus") if name == "gpu" else None
        return Instance(
            module, "Option", letter=name.replace("_", "-"), name=name, desc="", parser=parser, set_once=False,
            default=default, excuses=[], requires=[], save=True, value=value, value_given=given,
            prefixed_letter=f"--{name}",
        )  # fmt: skip

    return Instance(module, "OptionsParser", options={name: option(name, value) for name, value in values.items()})


def checkpoint(layers, op, epoch=3, batchnum=2, train=(), test=()):
    """The dict that is pickled."""
    state = {"train_outputs": list(train), "test_outputs": list(test), "epoch": epoch, "batchnum": batchnum,
             "layers": layers}  # fmt: skip
    return {"model_state": state, "op": op}


def dumps(value):
    return Python2Pickler().dumps(value)


# What parsers put into every layer besides what it says of itself.
_COMMON = {"requiresParams": False, "usesActs": True, "usesInputs": True, "forceOwnActs": True, "gradConsumer": False,
           "actsTarget": -1, "actsGradTarget": -1}  # fmt: skip


def _img(layers, inputs, channels):
    pixels = [layers[name]["outputs"] // count for name, count in zip(inputs, channels, strict=True)]
    return pixels, [math.isqrt(count) for count in pixels]


class Net:
    """Layers as the parsers make them; `version` 1 or 2. `arrays`: the weights by name, as in our nets."""

    def __init__(self, version, arrays):
        self.version, self.arrays, self.layers = version, arrays, {}
        self.neurons = {}

    def add(self, name, kind, inputs=(), outputs=0, **values):
        layer = {**_COMMON, "name": name, "type": kind, "outputs": outputs, "id": len(self.layers)}
        if inputs:
            layer |= {"inputs": list(inputs), "numInputs": [self.layers[below]["outputs"] for below in inputs],
                      "neuron": ""}  # fmt: skip
        if self.version == 2:
            layer |= {"gpu": [0] if inputs else [-1]}
        self.layers[name] = {**layer, **values}
        return self.layers[name]

    def weights(self, name, sources=None, **rates):
        layer = self.layers[name]
        count = len(layer["inputs"])
        sources = sources or [("", -1)] * count
        owners = [(source or name, index if source else i) for i, (source, index) in enumerate(sources)]
        order = np.asfortranarray if layer["type"] in ("fc", "sfc") else np.ascontiguousarray
        layer["weights"] = [order(self.arrays[f"{owner}.weights.{i}"]) for owner, i in owners]
        layer["weightsInc"] = [order(self.arrays[f"{owner}.weights.{i}.inc"]) for owner, i in owners]
        layer["biases"], layer["biasesInc"] = (order(self.arrays[f"{name}.biases{end}"]) for end in ("", ".inc"))
        layer |= {"initW": [0.01] * count, "initB": 0, "initWFunc": "", "initBFunc": "",
                  "weightSource": [""] * count, "weightSourceLayers": [source for source, _ in sources],
                  "weightSourceMatrixIndices": [index for _, index in sources], "requiresParams": True}  # fmt: skip
        rate = {"epsW": [0.02] * count, "epsB": 0.04, "momW": [0.9] * count, "momB": 0.8, "wc": [0.03] * count, **rates}
        if self.version == 2:
            rate["epsW"], rate["epsB"] = [_schedule(eps) for eps in rate["epsW"]], _schedule(rate["epsB"])
            rate |= {"wball": [0.0] * count, "wballNormed": [0.0] * count, "updatePeriod": 0, "superEps": 0.0,
                     "superMom": 0.0}  # fmt: skip
        layer |= rate

    def filters(self, name, kind, inputs, channels, filters, size, padding, stride, groups, **more):
        count = len(inputs)
        pixels, side = _img(self.layers, inputs, channels)
        modules = 1 + math.ceil((2 * padding + side[0] - size) / stride)
        self.add(name, kind, inputs, modules**2 * filters * groups, channels=channels, filters=filters * groups,
                 filterSize=[size] * count, padding=[-padding] * count, stride=[stride] * count,
                 groups=[groups] * count, modulesX=modules, modules=modules**2, imgPixels=pixels, imgSize=side,
                 filterPixels=[size**2] * count, filterChannels=[c // groups for c in channels], initCFunc="",
                 **more)  # fmt: skip
        if self.version == 1:
            self.layers[name] |= {"randSparse": [False] * count, "filterConns": [[]] * count, "overSample": [1] * count}
        if kind == "conv":
            extra = {"partialSum": 1} if self.version == 1 else {"sumWidth": 3, "wcNormMax": [0.0], "wcNormMin": [0.0]}
            self.layers[name] |= {"sharedBiases": True, **extra, **more}

    def neuron(self, name, function, **params):
        """neuron= of a layer: its parser notes the text; the layer of its own comes later."""
        text = f"{function}[{','.join(str(params[key]) for key in sorted(params))}]" if params else function
        self.layers[name]["neuron"] = text
        self.neurons[name] = {"type": function, "params": params, "usesActs": True, "usesInputs": False}

    def detached(self):
        """The layers after the parsers detached the neurons: a list for version 1, a dict for version 2."""
        order = []
        for name in list(self.layers):
            order.append(name)
            if name in self.neurons:
                order.append(self._detach(name, f"{name}_neuron"))
        for layer in self.layers.values():
            if "inputs" in layer:
                layer["inputLayers"] = [self.layers[below] for below in layer["inputs"]]
        return self.layers if self.version == 2 else [self._by_number(self.layers[name], order) for name in order]

    def _detach(self, source, name):
        for layer in self.layers.values():
            if "inputs" in layer:
                layer["inputs"] = [name if below == source else below for below in layer["inputs"]]
        self.add(name, "neuron", [source], self.layers[source]["outputs"], neuron=self.neurons[source])
        return name

    def _by_number(self, layer, order):
        if "inputs" in layer:
            layer["inputs"] = [order.index(below) for below in layer["inputs"]]
        if "weightSourceLayers" in layer:
            named = layer.pop("weightSourceLayers")
            layer["weightSourceLayerIndices"] = [order.index(source) if source else -1 for source in named]
        del layer["id"]
        layer |= {"dropout": 0.0, "conserveMem": 0}
        return layer


def _schedule(eps):
    return eps if isinstance(eps, dict) else {"type": "const", "params": {"base": eps}}


LAYERS = """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[conv1]
type=conv
inputs=data
channels=3
filters=8
filterSize=5
padding=2
stride=2
initW=0.01
neuron=relu
[norm1]
type=cmrnorm
inputs=conv1
channels=8
size=3
[pool1]
type=pool
pool=max
inputs=norm1
channels=8
sizeX=3
stride=2
[local1]
type=local
inputs=pool1
channels=8
filters=3
groups=2
filterSize=3
padding=1
initW=0.1
neuron=tanh[1.5,0.7]
[fca]
type=fc
inputs=pool1
outputs=4
initW=0.1
[fcb]
type=fc
inputs=pool1
outputs=4
weightSource=fca
[sum]
type=eltsum
inputs=fca,fcb
coeffs=0.5,2
[fc]
type=fc
inputs=local1,sum
outputs=3
initW=0.1
[probs]
type=softmax
inputs=fc
[logprob]
type=cost.logreg
inputs=labels,probs
"""
RATES = "epsW=0.02\nepsB=0.04\nmomW=0.9\nmomB=0.8\nwc=0.03\n"
SCHEDULE = {"type": "dexp", "params": {"base": 0.02, "tgtFactor": 250.0, "numSteps": 4}}
PARAMS = f"""
[train]
batch-size=20
mini=8
[conv1]
{RATES.replace("0.02", "dexp[base=0.02;tgtFactor=250;numSteps=4]")}
[local1]
{RATES}
[fca]
{RATES}
[fcb]
{RATES}
[fc]
{RATES.replace("wc=0.03", "wc=0.03,0.05")}
[norm1]
scale=0.006
pow=0.75
minDiv=2
[logprob]
topk=2
coeff=1.5
"""
FIRST_PARAMS = PARAMS.replace("dexp[base=0.02;tgtFactor=250;numSteps=4]", "0.02").replace("minDiv=2\n", "")
FIRST_PARAMS = FIRST_PARAMS.replace("topk=2\n", "")  # of cuda-convnet, which has neither


def the_net(version, arrays):
    """The layers of the net of LAYERS and PARAMS for images of 3x12x12."""
    net, second = Net(version, arrays), version == 2
    dims = {"start": 0, "end": 432} if second else {}
    net.add("data", "data", outputs=432, dataIdx=0, **dims)
    net.add("labels", "data", outputs=1, dataIdx=1, **({"start": 0, "end": 1} if second else {}))
    net.filters("conv1", "conv", ["data"], [3], 8, 5, 2, 2, 1)
    net.weights("conv1", epsW=[SCHEDULE if second else 0.02])
    net.neuron("conv1", "relu")
    net.add("norm1", "cmrnorm", ["conv1"], 392, channels=8, size=3, scale=0.006 / 3, pow=0.75, imgSize=7, imgPixels=49,
            blocked=False, requiresParams=True, **({"minDiv": 2.0} if second else {}))  # fmt: skip
    net.add("pool1", "pool", ["norm1"], 72, channels=8, sizeX=3, stride=2, start=0, outputsX=3, pool="max", imgSize=7,
            imgPixels=49)  # fmt: skip
    net.filters("local1", "local", ["pool1"], [8], 3, 3, 1, 1, 2)
    net.weights("local1")
    net.neuron("local1", "tanh", a=1.5, b=0.7)
    net.add("fca", "fc", ["pool1"], 4)
    net.weights("fca")
    net.add("fcb", "fc", ["pool1"], 4)
    net.weights("fcb", [("fca", 0)])
    net.add("sum", "eltsum", ["fca", "fcb"], 4, coeffs=[0.5, 2.0])
    net.add("fc", "fc", ["local1", "sum"], 3)
    net.weights("fc", wc=[0.03, 0.05])
    net.add("probs", "softmax", ["fc"], 3)
    cost = net.add("logprob", "cost.logreg", ["labels", "probs"], coeff=1.5, **({"topk": 2} if second else {}))
    del cost["neuron"]
    if second:
        cost |= {"children": [], "aggregated": False, "outputFilter": "lambda costs,num_cases: []"}
    return net.detached()


def the_options(version, **more):
    """Options as both versions have them."""
    values = {"train_batch_range": [1, 2], "test_batch_range": [3], "minibatch_size": 8, "num_epochs": 6,
              "testing_freq": 2, "test_one": 0, "data_path": "/not/here", "layer_def": "net.cfg", "gpu": [0],
              "dp_type": ("cifar",), "multiview_test": (0,), "save_path": ("x",)}  # fmt: skip
    own = {"crop_border": (4,), "zip_save": (0,)} if version == 1 else {"inner_size": (0,), "scalar_mean": (-1.0,)}
    return options_parser("options" if version == 1 else "python_util.options", **{**values, **own, **more})


def the_outputs(version):
    """Four batches trained (two epochs) and two tests: of each the cost and the error, or their sums for version 2."""
    def output(cost, cases):
        numbers = [cost, cost / 4, *([cost / 8] if version == 2 else [])]
        return {"logprob": [number * (cases if version == 2 else 1) for number in numbers]}, cases

    return [output(2.0, 20), output(1.75, 16), output(1.5, 20), output(1.25, 16)], [output(1.0, 10), output(0.5, 10)]


def random_arrays(version):
    """Weights and increments for the net, by name."""
    drawn = np.random.default_rng(version)
    graph = graph_of(LAYERS, PARAMS, image=(3, 12, 12))
    names = [(p.name + end, p.matrix.shape) for p in graph.parameters for end in ("", ".inc")]
    return {name: drawn.standard_normal(shape).astype(np.float32) * 0.1 for name, shape in names}


def original(version, arrays=None, **options):
    train, test = the_outputs(version)
    layers = the_net(version, arrays or random_arrays(version))
    return checkpoint(layers, the_options(version, **options), epoch=2, batchnum=2, train=train, test=test)


def imported(tmp_path, value):
    path = tmp_path / "9.9"
    path.write_bytes(dumps(value))
    return import_original(path)


def layers_of(value):
    layers = value["model_state"]["layers"]
    return layers if isinstance(layers, dict) else {layer["name"]: layer for layer in layers}


def loaded(tmp_path, value):
    path = tmp_path / "9.9"
    path.write_bytes(dumps(value))
    return load_original(path)
