"""An example of every layer type, with parameters under which a wrong gradient shows.

The layer under test is called `x`; `base` (6 maps of 7x5) and `other` (6 maps of 7x5) lie below it.
"""

from tests.net.nets import DATA

RATES = "epsW=0.1\nepsB=0.2\nmomW=0.9\nmomB=0.8\nwc=0.01\n"
BELOW = (
    DATA
    + """
[base]
type=conv
inputs=data
channels=3
filters=6
filterSize=3
padding=1
initW=0.5
neuron=tanh[1.5,0.7]
[other]
type=conv
inputs=data
channels=3
filters=6
filterSize=1
initW=0.5
initB=0.1
"""
)
ABOVE = """
[last]
type=fc
inputs={top}
outputs=4
initW=0.3
[probs]
type=softmax
inputs=last
[logprob]
type=cost.logreg
inputs=labels,probs
"""
BELOW_PARAMS = f"[base]\n{RATES}[other]\n{RATES}"
FILTERS = "channels=6\nfilters=4\nfilterSize=3\nstride=2\npadding=1\ngroups=2\ninitW=0.4\ninitB=0.3\n"
NORM = "scale=2\npow=0.75\nminDiv=1.5\n"

# id: (type, section of the layer file, section of the parameter file)
EXAMPLES = {
    "fc": ("fc", "inputs=base\noutputs=5\ninitW=0.3\n", RATES),
    "fc of two inputs": ("fc", "inputs=base,other\noutputs=5\ninitW=0.3,0.2\nneuron=logistic\n", RATES),
    "fc sharing its own matrix": ("fc", "inputs=base,other\noutputs=5\ninitW=0.3\nweightSource=,x[0]\n", RATES),
    "conv": ("conv", f"inputs=base\n{FILTERS}", RATES),
    "conv of two inputs": ("conv", f"inputs=base,other\n{FILTERS}neuron=tanh[1,1]\n", RATES),
    "conv with biases of its own": ("conv", f"inputs=base\n{FILTERS}sharedBiases=false\n", RATES),
    "conv of forced size": ("conv", "inputs=base\nchannels=6\nfilters=3\nfilterSize=4\nmodulesX=5\ninitW=0.4\n", RATES),
    "conv sharing": (
        "conv", "inputs=base,other\nchannels=6\nfilters=3\nfilterSize=3\ninitW=0.4\nweightSource=,x\n", RATES),
    "local": ("local", f"inputs=base\n{FILTERS}", RATES),
    "local of two inputs": ("local", f"inputs=base,other\n{FILTERS}neuron=softrelu\n", RATES),
    "pool max": ("pool", "inputs=base\npool=max\nchannels=6\nsizeX=3\nstride=2\nneuron=relu\n", ""),
    "pool max from outside": ("pool", "inputs=base\npool=max\nchannels=6\nsizeX=4\nstride=3\nstart=-2\n", ""),
    "pool avg": ("pool", "inputs=base\npool=avg\nchannels=6\nsizeX=3\nstride=2\nneuron=tanh[1,2]\n", ""),
    "pool avg of some outputs": (
        "pool", "inputs=base\npool=avg\nchannels=6\nsizeX=4\nstride=3\nstart=1\noutputsX=2\n", ""),
    "rnorm": ("rnorm", "inputs=base\nchannels=6\nsize=3\n", NORM),
    "cnorm": ("cnorm", "inputs=base\nchannels=6\nsize=4\n", NORM),
    "cmrnorm": ("cmrnorm", "inputs=base\nchannels=6\nsize=5\n", NORM),
    "cmrnorm of even size": ("cmrnorm", "inputs=base\nchannels=6\nsize=4\n", NORM),
    "cmrnorm in blocks": ("cmrnorm", "inputs=base\nchannels=6\nsize=4\nblocked=true\n", NORM),
    "softmax": ("softmax", "inputs=base\n", ""),
    "eltsum": ("eltsum", "inputs=base,other,base\ncoeffs=1,-2,0.5\n", ""),
    "eltmax": ("eltmax", "inputs=base,other\n", ""),
    "concat": ("concat", "inputs=base,other,base\n", ""),
    "concat of features": ("concat", "inputs=base,tail\n", ""),
    "pass": ("pass", "inputs=base,other\n", ""),
    "dropout": ("dropout", "inputs=base\n", "keep=0.6\n"),
    "dropout2": ("dropout2", "inputs=base\n", "keep=0.6\n"),
    "dropout2 switched off": ("dropout2", "inputs=base\n", "keep=0.6\nenable=false\n"),
    "cost.sum2": ("cost.sum2", "inputs=base\n", "coeff=0.3\n"),
    "cost.logreg": ("cost.logreg", "inputs=labels,probs\n", "coeff=0.7\ntopk=2\n"),
    "data": ("data", "dataIdx=0\n", ""),
    **{
        f"neuron {name}": ("neuron", f"inputs=base\nneuron={name}\n", "")
        for name in ("ident", "logistic", "relu", "brelu[0.8]", "softrelu", "abs", "square", "tanh[1.7,0.6]",
                     "linear[3,-2.2]", "drelu[0.7]")
    },
    "neuron sqrt": ("neuron", "inputs=positive\nneuron=sqrt\n", ""),
    "neuron log": ("neuron", "inputs=positive\nneuron=log[0.5]\n", ""),
}  # fmt: skip
# What each example gives for images of 3x7x5, worked out by hand: maps, or the number of features.
BASE = (6, 7, 5)
OUTPUTS = {
    "fc": 5, "fc of two inputs": 5, "fc sharing its own matrix": 5,
    "conv": (8, 4, 3), "conv of two inputs": (8, 4, 3), "conv with biases of its own": (8, 4, 3),
    "conv of forced size": (3, 4, 5), "conv sharing": (3, 5, 3), "local": (8, 4, 3), "local of two inputs": (8, 4, 3),
    "pool max": (6, 3, 2), "pool max from outside": (6, 3, 2), "pool avg": (6, 3, 2),
    "pool avg of some outputs": (6, 2, 2), "softmax": 210, "concat": (18, 7, 5), "concat of features": 213,
    "pass": (12, 7, 5), "cost.sum2": 0, "cost.logreg": 0, "data": (3, 7, 5),
}  # fmt: skip
EXTRA = {
    "concat of features": ("[tail]\ntype=fc\ninputs=base\noutputs=3\ninitW=0.3\n", f"[tail]\n{RATES}"),
    "neuron sqrt": ("[positive]\ntype=neuron\ninputs=base\nneuron=linear[0.5,2]\n", ""),
    "neuron log": ("[positive]\ntype=neuron\ninputs=base\nneuron=linear[0.5,2]\n", ""),
}


def example(name):
    """The two texts of a net with the example in it, and the line of the layer's section in each."""
    kind, section, params = EXAMPLES[name]
    extra_layers, extra_params = EXTRA.get(name, ("", ""))
    below, above = BELOW + extra_layers, ABOVE.format(top="used")
    used = [line.partition("=")[2] for line in section.splitlines() if line.startswith("inputs=")]
    inputs = {item for item in ",".join(used).split(",") if item}
    tops = [] if kind.startswith("cost") or kind == "data" else ["x"]
    tops += [layer for layer in ("base", "other") if layer not in inputs] + (["x"] if kind == "data" else [])
    collected = f"[used]\ntype=concat\ninputs={','.join(tops)}\n"
    own = f"[x]\ntype={kind}\n{section}"
    if kind == "cost.logreg":
        above = above.replace("[logprob]\ntype=cost.logreg\ninputs=labels,probs\n", "")
        text = below + collected + above + own
    else:
        text = below + own + collected + above
    return text, BELOW_PARAMS + extra_params + f"[last]\n{RATES}" + (f"[x]\n{params}" if params else "")
