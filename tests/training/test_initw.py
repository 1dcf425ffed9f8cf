"""The functions of cuda-convnet2's initw.py: weights and biases of another net's checkpoint."""

import numpy as np
import pytest

from convnet.config.report import ConfigError
from convnet.training.checkpoint import Checkpoint, newest
from tests.net.nets import DATA

from .originals import checkpoint, dumps, options_parser
from .small import LAYERS, PARAMS, Place

RATES = "epsW=0\nepsB=0\nmomW=0.9\nmomB=0.9\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of one epoch, and its newest checkpoint."""
    place = Place(tmp_path_factory.mktemp("source"))
    second = "[fc2]\ntype=fc\ninputs=drop,drop\noutputs=4\ninitW=0.1\ninitB=0.3\nweightSource=,fc2\n"
    last = "[last]\ntype=fc\ninputs=fc,fc2\noutputs=3\n"
    text = LAYERS.replace("[fc]", f"{second}[fc]").replace("inputs=fc\n", "inputs=last\n")
    text = text.replace("[probs]", f"{last}[probs]")
    place.layers.write_text(text)
    place.params.write_text(PARAMS + "".join(f"[{name}]\n{RATES}" for name in ("fc2", "last")))
    return place, newest(place.uninterrupted(epochs=1).run)


def started(place, layers, **rates):
    """The initial state of a net with these layers behind `drop`, whose outputs `last` reads."""
    head = LAYERS.partition("[fc]")[0].removeprefix(DATA)
    names = [line[1:-1] for line in layers.splitlines() if line.startswith("[")]
    tail = LAYERS.partition("[probs]")[2].replace("inputs=fc", "inputs=last")
    text = f"{DATA}{head}{layers}[last]\ntype=fc\ninputs={','.join(names)}\noutputs=3\n[probs]{tail}"
    place.layers.write_text(text)
    place.params.write_text(PARAMS.partition("[fc]")[0] + "[drop]\nkeep=0.5\n"
                            + "".join(f"[{name}]\n{RATES}" for name in (*names, "last")))  # fmt: skip
    return place.start(seed=99).net.state()


@pytest.mark.parametrize("spelling", ["", "initw."])
@pytest.mark.parametrize("whole_run", [False, True])
def test_makew_and_makeb(run, tmp_path, spelling, whole_run):
    newest_one = run[1]
    path, held = newest_one.parent if whole_run else newest_one, Checkpoint.load(newest_one).weights
    functions = f"initWFunc={spelling}makew({path})\ninitBFunc={spelling}makeb({path})\n"
    state = started(Place(tmp_path), f"[fc]\ntype=fc\ninputs=drop\noutputs=3\n{functions}"
                    f"[fc2]\ntype=fc\ninputs=drop,drop\noutputs=4\n{functions}")  # fmt: skip
    for name in ("fc.weights.0", "fc.biases", "fc2.weights.0", "fc2.biases"):
        assert held[name].any()
        assert np.array_equal(state[name], held[name]), name
    assert np.array_equal(state["fc2.weights.1"], held["fc2.weights.0"])  # a shared matrix


def test_concatenated(run, tmp_path):
    held = Checkpoint.load(run[1]).weights
    functions = f"initWFunc=makewcat({run[1]}, fc2,fc,fc)\ninitBFunc=initw.makebcat({run[1]},fc2,fc,fc)\n"
    state = started(Place(tmp_path), f"[both]\ntype=fc\ninputs=drop\noutputs=10\n{functions}")
    wanted = [held["fc2.weights.0"], held["fc.weights.0"], held["fc.weights.0"]]
    assert np.array_equal(state["both.weights.0"], np.concatenate(wanted, axis=1))
    wanted = [held["fc2.biases"], held["fc.biases"], held["fc.biases"]]
    assert np.array_equal(state["both.biases"], np.concatenate(wanted, axis=1))


def test_concatenated_filters_and_given_biases(run, tmp_path):
    """Biases of filters lie in a column."""
    held = Checkpoint.load(run[1]).weights
    place = Place(tmp_path)
    text = LAYERS.replace("filters=6\n", f"filters=12\ninitWFunc=makewcat({run[1]},conv1,conv1)\n"
        f"initBFunc=makebcat({run[1]},conv1,conv1)\n").replace("channels=6", "channels=12")  # fmt: skip
    place.layers.write_text(text.replace("outputs=3", "outputs=3\ninitBFunc=makeb_vec(1, -2.5,3e-1)"))
    state = place.start().net.state()
    assert np.array_equal(state["conv1.weights.0"], np.tile(held["conv1.weights.0"], (1, 2)))
    assert np.array_equal(state["conv1.biases"], np.tile(held["conv1.biases"], (2, 1)))
    assert state["fc.biases"].tolist() == [[1, -2.5, np.float32(0.3)]]


def test_from_a_checkpoint_of_cuda_convnet(tmp_path):
    """Its shared matrices are there under every name."""
    random = np.random.default_rng(3)
    matrices = [random.standard_normal((96, 3)).astype(np.float32) for _ in range(2)]
    biases = random.standard_normal((1, 3)).astype(np.float32)
    data, fc = ({"name": name, "type": name, "outputs": 3, "id": number} for number, name in enumerate(("data", "fc")))
    fc |= {"inputs": ["data", "data"], "weights": matrices, "biases": biases}
    file = tmp_path / "3.2"
    file.write_bytes(dumps(checkpoint({"data": data, "fc": fc}, options_parser("python_util.options"))))
    layer = f"[fc]\ntype=fc\ninputs=drop,drop\noutputs=3\ninitWFunc=makew({file})\ninitBFunc=makeb({file})\n"
    state = started(Place(tmp_path / "net"), layer)
    for index, matrix in enumerate(matrices):
        assert np.array_equal(state[f"fc.weights.{index}"], matrix)
    assert np.array_equal(state["fc.biases"], biases)


@pytest.mark.parametrize(("functions", "message"), [
    ("initWFunc=makew({0})\n", "'makew': .*expected 'fc3.weights.0', found nothing"),
    ("initBFunc=makeb({0})\n", "'makeb': .*expected 'fc3.biases', found nothing"),
    ("initWFunc=makewcat({0},fc,conv1)\n", "'makewcat': expected matrices of 96 rows, found 27 and 96"),
    ("initWFunc=makewcat({0},fc,fc)\n", r"expected an array of shape \(96, 5\), found \(96, 6\)"),
    ("initBFunc=makebcat({0},fc,fc2)\n", "'makebcat': expected 5 biases, found 7"),
    ("initWFunc=makewcat({0}/layers.cfg,fc,fc)\n", "'makewcat': .*layers.cfg: "),
])  # fmt: skip
def test_what_is_not_there_is_told(run, tmp_path, functions, message):
    with pytest.raises(ConfigError, match=rf"\[fc3\] init[WB]Func: {message}"):
        started(Place(tmp_path), f"[fc3]\ntype=fc\ninputs=drop\noutputs=5\n{functions.format(run[1])}")
