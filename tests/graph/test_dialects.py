"""What the versions of cuda-convnet, a fork of it and the code of 2012 write differently is read as the same net."""

import pytest

from convnet.config.reader import parse
from convnet.config.report import ConfigError, Report
from convnet.graph.build import build_graph
from convnet.graph.describe import describe
from convnet.graph.write import layer_file, parameter_file
from convnet.shape import Shape

NOW = (
    """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[conv1a]
type=conv
inputs=data
channels=3
filters=4
filterSize=3
initW=0.02
sharedBiases=false
[conv1b]
type=conv
inputs=data
channels=3
filters=4
filterSize=3
initW=0.02
sharedBiases=false
[norm1a]
type=rnorm
inputs=conv1a
channels=4
size=3
[conv2]
type=conv
inputs=norm1a,conv1b
channels=4
filters=2
filterSize=3
padding=1
initW=0.03
groups=2
neuron=relu
[drop]
type=dropout2
inputs=conv2
[sum]
type=eltsum
inputs=drop,conv2
[fc]
type=fc
inputs=sum
outputs=5
[probs]
type=softmax
inputs=fc
[logprob]
type=cost.logreg
inputs=labels,probs
[logistic]
type=fc
inputs=fc
outputs=1
neuron=logistic
[yes]
type=cost.bce
inputs=labels,logistic
""",
    """
[conv1a]
epsW=dexp[base=0.01;tgtFactor=250;numSteps=4]
epsB=0.02
momW=0.9
momB=0.9
[conv1b]
epsW=0.01
epsB=exp[base=0.02;tgtFactor=10]
momW=0.9
momB=0.9
[norm1a]
scale=0.0001
pow=0.75
[conv2]
epsW=0.01
epsB=0.02
momW=0.9
momB=0.9
wc=0.0005,0.001
[drop]
keep=0.7
[sum]
coeffs=1,0.5
[fc]
epsW=0.01
epsB=0.02
momW=0.9
momB=0.9
[logprob]
coeff=1
[logistic]
epsW=0.01
epsB=0.02
momW=0.9
momB=0.9
""",
)
# Of each dialect, what is written otherwise, in either file, and the notes: key and how it goes on.
DIALECTS = {
    "v1: partialSum, whole lists, sizeX, scale and pow in the layer file, coeffs too": (
        [
            ("filterSize=3\ninitW=0.02", "filterSize=3\npartialSum=4\ninitW=0.02"),
            ("channels=4\nsize=3", "channels=4\nsizeX=3\nscale=.0001\npow=.75"),
            (
                "channels=4\nfilters=2\nfilterSize=3\npadding=1\ninitW=0.03\ngroups=2",
                "channels=4,4\nfilters=2, 2\nfilterSize=3,3\npadding=1,1\ninitW=0.03,3e-2\ngroups=2,2\nrandSparse=0,0",
            ),
            ("inputs=drop,conv2", "inputs=drop,conv2\ncoeffs=1,.5"),
            ("sharedBiases=false", "SHAREDBIASES: No"),
        ],
        [
            ("[norm1a]\nscale=0.0001\npow=0.75\n", ""),
            ("[sum]\ncoeffs=1,0.5\n", "[sum]\n"),
            ("momW=0.9\nmomB=0.9\nwc=", "momW=0.9,0.9\nmomB=0.9\nwc="),
        ],
        [("partialSum", "has no effect here")],
    ),
    "v2: sumWidth, gpu, mandatory sections, superEps": (
        [
            ("sharedBiases=false", "sharedBiases=0\nsumWidth=2\ngpu=0"),
            ("inputs=labels,probs", "inputs=labels,probs\ngpu=0"),
        ],
        [
            ("[norm1a]\n", "[norm1a]\nminDiv=1\n"),
            ("keep=0.7", "keep=0.7\nenable=true"),
            ("wc=0.0005", "superEps=0\nwball=0,0\nwc=0.0005"),
        ],
        [("sumWidth", "has no effect here"), ("superEps", "has no effect here")],
    ),
    "2012: hs with keep, schedW, gpu=i, quantF, wcnorm, crossent2": (
        [
            ("type=dropout2\ninputs=conv2", "type=hs\nkeep=0.7\ninputs=conv2"),
            ("type=cost.bce", "type=cost.crossent2"),
            ("sharedBiases=false", "sharedBiases=0\npartialSum=4\ngpu=0"),
        ],
        [
            (
                "epsW=dexp[base=0.01;tgtFactor=250;numSteps=4]",
                "epsW=0.01\nschedW=dexp[tgtFactor=250,noiseStdev=0,numSteps=4]",
            ),
            ("epsB=exp[base=0.02;tgtFactor=10]", "epsB=0.02\nschedB=EXP[ tgtFactor = 10, noiseStdev = 0 ]"),
            ("keep=0.7", "enable=true"),
            ("[fc]\n", "[fc]\nschedW=default\nquantF=default\nwcnorm=0\nsched=exp[1]\n"),
            ("[logistic]", "[yes]\ncoeff=1\ntopk=5\n[logistic]"),
        ],
        [
            ("partialSum", "has no effect here"),
            ("schedW", "noiseStdev=0 has no effect"),
            ("schedB", "noiseStdev=0 has no effect"),
            ("quantF", "has no effect here"),
            ("wcnorm", "has no effect here: the code of 2012 does not read it"),
            ("sched", "has no effect here: the code of 2012 does not read it"),
            ("topk", "has no effect here"),
        ],
    ),
}


def built(layers, params):
    report = Report()
    shapes = [Shape.of_maps(3, 9, 9), Shape(1)]
    files = parse(layers, "layers.cfg", report), parse(params, "params.cfg", report)
    return build_graph(*files, shapes, report), report.notes


def changed(text, changes):
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def printed(graph):
    return layer_file(graph, alone=False).replace("gpu=0\n", ""), parameter_file(graph)


@pytest.mark.parametrize("name", DIALECTS)
def test_the_same_net(name):
    layers, params, notes = DIALECTS[name]
    now, silence = built(*NOW)
    then, told = built(changed(NOW[0], layers), changed(NOW[1], params))
    assert silence == []
    assert describe(then) == describe(now)
    assert printed(then) == printed(now)
    for old, new in zip(now.nodes, then.nodes, strict=True):
        learning = {key: value for key, value in old.layer.learning.items() if not key.startswith(("eps", "sched"))}
        assert learning.items() <= new.layer.learning.items()
        assert [str(p.eps) for p in new.parameters.values()] == [str(p.eps) for p in old.parameters.values()]
    assert sorted(note.key for note in told) == sorted(key for key, _ in notes)
    assert all((note.key, True) in {(key, note.text.startswith(text)) for key, text in notes} for note in told)


@pytest.mark.parametrize(("old", "new", "problem"), [
    ("type=softmax", "type=treefc", "layers of type 'treefc' are not supported: their weights follow a tree"),
    ("type=cost.bce", "type=cost.msm", "layers of type 'cost.msm' are not supported: "),
    ("type=cost.bce", "type=cost.gsum2", "layers of type 'cost.gsum2' are not supported: "),
    ("type=cost.bce", "type=cost.tica", "layers of type 'cost.tica' are not supported: "),
    ("type=eltsum", "type=sum", "layers of type 'sum' are not supported: "),
    ("initW=0.02", "gpu=-1", "[conv1a] gpu: expected an integer from 0 to 63, found '-1'"),
])  # fmt: skip
def test_what_cannot_be_had_is_told(old, new, problem):
    with pytest.raises(ConfigError) as caught:
        built(NOW[0].replace(old, new), NOW[1])
    assert problem in str(caught.value)


@pytest.mark.parametrize("key", ["quantF", "quantB"])
def test_quantization_is_not_passed_over(key):
    _, (note,) = built(NOW[0], NOW[1].replace("[drop]\n", f"[drop]\n{key}=half\n"))
    assert (note.section, note.key) == ("drop", key)
    wanted = "is not supported: --precision says what all layers compute with; the net differs from the original's"
    assert note.text == wanted


def test_a_key_of_the_layer_file_that_neither_file_has_is_missed_in_the_parameter_file():
    with pytest.raises(ConfigError) as caught:
        built(NOW[0].replace("size=3\n", "size=3\nscale=1\n"), NOW[1].replace("scale=0.0001\npow=0.75\n", ""))
    assert str(caught.value) == "params.cfg:12: [norm1a] pow: expected a number, but the key is missing"
    with pytest.raises(ConfigError) as caught:
        built(NOW[0].replace("size=3\n", "size=3\nscale=1\n"), NOW[1].replace("[norm1a]\nscale=0.0001\npow=0.75\n", ""))
    text = "a layer of type 'rnorm' needs a section [norm1a] with scale, pow in params.cfg"
    assert str(caught.value) == f"layers.cfg:24: [norm1a] {text}"


def test_the_parameter_file_wins():
    graph, _ = built(NOW[0].replace("size=3\n", "size=3\nscale=1\npow=1\nminDiv=3\n"), NOW[1])
    assert graph["norm1a"].layer.learning == {"scale": 0.0001, "pow": 0.75, "minDiv": 3.0, "dropout": 0.0}


def test_wrong_values_of_such_keys_are_found_in_either_file():
    with pytest.raises(ConfigError) as caught:
        built(NOW[0].replace("type=dropout2\n", "type=hs\nkeep=2\n"), NOW[1].replace("keep=0.7", "keep=0"))
    wanted = "expected a number above 0 and of at most 1"
    assert str(caught.value).splitlines() == [
        f"layers.cfg:41: [drop] keep: {wanted}, found '2'", f"params.cfg:22: [drop] keep: {wanted}, found '0'",
    ]  # fmt: skip
