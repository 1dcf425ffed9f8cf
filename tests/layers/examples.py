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
SPARSE = (  # each of 6 channels three times
    "channels=6\nfilters=2\nfilterSize=3\ngroups=9\nrandSparse=true\nfilterChannels=2\ninitW=0.4\n"
)
MATRIX = "[matrix]\ntype=data\ndataIdx=2\n"
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
    "conv with random sparse connectivity": ("conv", f"inputs=base,other\n{SPARSE}neuron=tanh[1,1]\n", RATES),
    "conv sharing its own random sparse matrix": (
        "conv", f"inputs=base,base\n{SPARSE}weightSource=,x\n", RATES),
    "local with random sparse connectivity": ("local", f"inputs=base\n{SPARSE}", RATES),
    "local with groups in another order": ("local", f"inputs=other,base\n{FILTERS}randSparse=no,yes\n", RATES),
    "sfc": ("sfc", "inputs=base,other\nparts=3\noutputs=5\ninitW=0.3\ninitB=0.2\nneuron=tanh[1,1]\n", RATES),
    "sfc of one part": ("sfc", "inputs=base\nparts=1\noutputs=4\ninitW=0.3\n", RATES),
    "sfc sharing its own matrix": (
        "sfc", "inputs=base,other\nparts=7\noutputs=2\ninitW=0.3\nweightSource=,x\n", RATES),
    "local": ("local", f"inputs=base\n{FILTERS}", RATES),
    "local of two inputs": ("local", f"inputs=base,other\n{FILTERS}neuron=softrelu\n", RATES),
    "pool max": ("pool", "inputs=base\npool=max\nchannels=6\nsizeX=3\nstride=2\nneuron=relu\n", ""),
    "pool max from outside": ("pool", "inputs=base\npool=max\nchannels=6\nsizeX=4\nstride=3\nstart=-2\n", ""),
    "pool avg": ("pool", "inputs=base\npool=avg\nchannels=6\nsizeX=3\nstride=2\nneuron=tanh[1,2]\n", ""),
    "pool avg of some outputs": (
        "pool", "inputs=base\npool=avg\nchannels=6\nsizeX=4\nstride=3\nstart=1\noutputsX=2\n", ""),
    "pool maxabs": ("pool", "inputs=base\npool=maxabs\nchannels=6\nsizeX=3\nstride=2\nneuron=tanh[1,2]\n", ""),
    "pool sum": ("pool", "inputs=base\npool=avg\nsum=true\nchannels=6\nsizeX=4\nstride=3\nstart=-1\n", ""),
    "cmpool": ("cmpool", "inputs=base\npool=max\nchannels=6\nsize=3\nstride=2\nneuron=relu\n", ""),
    "cmpool of forced size": (
        "cmpool", "inputs=base\npool=max\nchannels=6\nsize=4\nstride=3\nstart=-2\noutputs=3\n", ""),
    "globalpool max": ("globalpool", "inputs=base\npool=max\nchannels=6\n", ""),
    "globalpool avg": ("globalpool", "inputs=base\npool=avg\nchannels=6\nneuron=relu\n", ""),
    "rnorm": ("rnorm", "inputs=base\nchannels=6\nsize=3\n", NORM),
    "cnorm": ("cnorm", "inputs=base\nchannels=6\nsize=4\n", NORM),
    "cmrnorm": ("cmrnorm", "inputs=base\nchannels=6\nsize=5\n", NORM),
    "cmrnorm of even size": ("cmrnorm", "inputs=base\nchannels=6\nsize=4\n", NORM),
    "cmrnorm in blocks": ("cmrnorm", "inputs=base\nchannels=6\nsize=4\nblocked=true\n", NORM),
    "nailbed": ("nailbed", "inputs=base\nchannels=6\nstride=3\nneuron=relu\n", ""),
    "crop": ("crop", "inputs=base\nchannels=6\nstartX=1\nstartY=2\nsizeX=4\n", ""),
    "crop by one start": ("crop", "inputs=base\nchannels=6\nstartX=2\nsizeX=3\n", ""),
    "href": ("href", "inputs=base\nchannels=6\n", ""),
    "blur": ("blur", "inputs=base\nchannels=6\nfilterSize=5\nstdev=1.3\nneuron=tanh[1,2]\n", ""),
    "resize": ("resize", "inputs=data\nchannels=3\nscale=1.3\n", ""),
    "rscale": ("rscale", "inputs=data\nchannels=3\nmaxScale=1.7\ntgtSize=3\n", ""),
    "rscale to the smallest size": ("rscale", "inputs=data\nchannels=3\nmaxScale=1.2\nneuron=relu\n", ""),
    "rgb2yuv": ("rgb2yuv", "inputs=data\nchannels=3\n", ""),
    "rgb2lab": ("rgb2lab", "inputs=data\ncenter=true\nneuron=linear[0.01,0]\n", ""),
    "bnorm": ("bnorm", "inputs=base\neps=0.2\nmomentum=0.7\nneuron=tanh[1.2,0.8]\n", RATES),
    "bnorm of features": ("bnorm", "inputs=tail\neps=0.5\nneuron=abs\n", RATES),
    "bnorm of square maps": ("bnorm", "inputs=tail\nchannels=3\n", RATES),
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
    "cost.logreg smoothed": ("cost.logreg", "inputs=labels,probs\n", "coeff=0.7\nsmoothing=0.3\n"),
    "cost.logreg smoothed, with a child": (
        "cost.logreg", "inputs=labels,guesses\nchildren=child\n", "coeff=0.7\nsmoothing=0.3\n"),
    "cost.crossent": ("cost.crossent", "inputs=matrix,guesses\n", "coeff=0.7\n"),
    "cost.crossent beside a cost": ("cost.crossent", "inputs=matrix,guesses\n", "coeff=0.7\n"),
    "cost.cauchy": ("cost.cauchy", "inputs=matrix,chances\n", "coeff=0.7\n"),
    "cost.bce": ("cost.bce", "inputs=matrix,chances\n", "coeff=0.7\nposWeight=2.5\n"),
    "cost.bce of a layer": ("cost.bce", "inputs=matrix,chances\n", "coeff=0.7\nposWeight=2.5\n"),
    "cost.bce beside a cost": ("cost.bce", "inputs=matrix,chances\n", "coeff=0.7\nposWeight=2.5\n"),
    "cost.dce": ("cost.dce", "inputs=matrix,chances\n", "coeff=0.7\nposWeight=0.4\n"),
    "cost.dce beside a cost": ("cost.dce", "inputs=matrix,chances\n", "coeff=0.7\nposWeight=0.4\n"),
    "data": ("data", "dataIdx=0\n", ""),
    "data of whole channels": ("data", "dataIdx=0\nstart=35\nend=105\n", ""),
    "data of rows": ("data", "dataIdx=0\nstart=10\nend=60\n", ""),
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
    "conv with random sparse connectivity": (18, 5, 3), "conv sharing its own random sparse matrix": (18, 5, 3),
    "local with random sparse connectivity": (18, 5, 3), "local with groups in another order": (8, 4, 3),
    "sfc": 15, "sfc of one part": 4, "sfc sharing its own matrix": 14,
    "pool max": (6, 3, 2), "pool max from outside": (6, 3, 2), "pool avg": (6, 3, 2),
    "pool maxabs": (6, 3, 2), "pool sum": (6, 3, 2), "cmpool": (3, 7, 5), "cmpool of forced size": (3, 7, 5),
    "bnorm": (6, 7, 5), "bnorm of features": 9, "bnorm of square maps": (3, 2, 2),
    "globalpool max": (6, 1, 1), "globalpool avg": (6, 1, 1),
    "pool avg of some outputs": (6, 2, 2), "softmax": 210, "concat": (18, 7, 5), "concat of features": 213,
    "nailbed": (6, 3, 2), "crop": (6, 4, 4), "crop by one start": (6, 3, 3), "resize": (3, 5, 3),
    "rscale": (3, 3, 3), "rscale to the smallest size": (3, 4, 4), "rgb2yuv": (3, 7, 5), "rgb2lab": (3, 7, 5),
    "pass": (12, 7, 5), "data": (3, 7, 5), "data of whole channels": (2, 7, 5), "data of rows": 50,
    **{name: 0 for name, (kind, _, _) in EXAMPLES.items() if kind.startswith("cost")},
}  # fmt: skip
GUESS = "[guess]\ntype=fc\ninputs=base\noutputs=4\ninitW=0.1\n"
GUESSES = f"{MATRIX}{GUESS}[guesses]\ntype=softmax\ninputs=guess\n"
CHANCES = f"{MATRIX}{GUESS}neuron=logistic\n".replace("[guess]", "[chances]")
BESIDE = "[beside]\ntype=cost.sum2\ninputs="
RATES_OF_GUESS, RATES_OF_CHANCES = f"[guess]\n{RATES}", f"[chances]\n{RATES}"
EXTRA = {
    "bnorm of features": ("[tail]\ntype=fc\ninputs=base\noutputs=9\ninitW=0.3\nneuron=abs\n", f"[tail]\n{RATES}"),
    "bnorm of square maps": ("[tail]\ntype=fc\ninputs=base\noutputs=12\ninitW=0.3\n", f"[tail]\n{RATES}"),
    "cost.logreg smoothed, with a child": (
        f"{GUESSES}[child]\ntype=cost.logreg\ninputs=labels,guesses\n[dull]\ntype=cost.crossent\ninputs=matrix,guesses\n",
        f"{RATES_OF_GUESS}[child]\nsmoothing=0.1\n",
    ),
    "cost.crossent": (GUESSES, RATES_OF_GUESS),
    "cost.crossent beside a cost": (f"{GUESSES}{BESIDE}guesses\n", RATES_OF_GUESS),
    "cost.cauchy": (CHANCES, RATES_OF_CHANCES),
    "cost.bce": (CHANCES, RATES_OF_CHANCES),
    "cost.bce of a layer": (
        f"{MATRIX}{GUESS}[chances]\ntype=neuron\nneuron=logistic\ninputs=guess\n{BESIDE}guess\n", RATES_OF_GUESS),
    "cost.bce beside a cost": (f"{CHANCES}{BESIDE}chances\n", RATES_OF_CHANCES),
    "cost.dce": (CHANCES, RATES_OF_CHANCES),
    "cost.dce beside a cost": (f"{CHANCES}{BESIDE}chances\n", RATES_OF_CHANCES),
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
    if "probs" in inputs:
        above = above.replace("[logprob]\ntype=cost.logreg\ninputs=labels,probs\n", "")
        text = below + collected + above + own
    else:
        text = below + own + collected + above
    return text, BELOW_PARAMS + extra_params + f"[last]\n{RATES}" + (f"[x]\n{params}" if params else "")
