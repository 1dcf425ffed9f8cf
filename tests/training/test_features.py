"""What layers give for the test cases, and the files it is written to."""

import contextlib
import pickle

import numpy as np
import pytest

from convnet.backends import DeviceOptions
from convnet.data.pickle2 import pickle2
from convnet.data.unpickle import unpickle
from convnet.errors import ConvnetError
from convnet.net import ConvNet
from convnet.training import features
from convnet.training.checkpoint import newest
from convnet.training.features import output_node, write_features
from tests.net.nets import graph_of

from .small import LAYERS, Place
from .small import PARAMS as SMALL_PARAMS

CPU = DeviceOptions("cpu", threads=2)
CASES = 10


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A run that has ended, its trainer and its checkpoint."""
    return Place(tmp_path_factory.mktemp("ended")).uninterrupted(epochs=1)


def write(ended, layer, out, form="npz", progress=lambda *_: None, **given):
    return write_features(ended.run, layer, out, form, given, CPU, progress)


def convolved(images, weights, biases):
    """relu(conv1) in float64 loops: images (n, y, x, c), weights (c*3*3, filters); (n, filters, y, x)."""
    n, y, x, channels = images.shape
    padded = np.pad(images.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    kernels = weights.astype(np.float64).reshape(channels, 3, 3, -1)
    found = np.zeros((n, kernels.shape[3], y, x))
    for row, column in np.ndindex(3, 3):
        window = padded[:, row : row + y, column : column + x]
        found += np.einsum("nyxc,cf->nfyx", window, kernels[:, row, column])
    return np.maximum(0, found + biases.reshape(1, -1, 1, 1))


def expected_conv1(ended):
    (images, labels), state = ended.session.provider.get_batch(3, 1, train=False), ended.net.state()
    found = convolved(images * 0.01, state["conv1.weights.0"], state["conv1.biases"])
    return found.reshape(CASES, -1), labels


@pytest.mark.parametrize("mini", [3, 10])
def test_features_of_maps(ended, tmp_path, mini):
    """The neuron's output of a layer with neuron=, ordered by channel, y, x, whatever the size of minibatches."""
    told = []
    written = write(ended, "conv1", tmp_path / "out", progress=lambda *now: told.append(now), mini=mini)
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == "data_batch_3.npz"
    expected, labels = expected_conv1(ended)
    with np.load(file) as found:
        assert (found["data"].dtype, found["labels"].dtype) == (np.float32, np.int64)
        np.testing.assert_allclose(found["data"], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(found["labels"], labels[:, 0])
    assert (written.features, written.cases, written.batches, written.layer) == (384, CASES, [3], "conv1_neuron")
    assert (told[0], told[-1]) == ((0, CASES), (CASES, CASES))


def test_features_of_every_batch_of_the_range(ended, tmp_path):
    write(ended, "fc", tmp_path / "out", **{"test-range": [1, 3]})
    shapes = {}
    for file in (tmp_path / "out").iterdir():
        with np.load(file) as found:
            shapes[file.name] = found["data"].shape
    assert shapes == {"data_batch_1.npz": (20, 3), "data_batch_3.npz": (10, 3)}


def test_the_form_of_cuda_convnet2(ended, tmp_path):
    write(ended, "conv1", tmp_path / "out", "original")
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"data_batch_3", "batches.meta"}
    batch = pickle.loads((tmp_path / "out" / "data_batch_3").read_bytes(), encoding="latin1")
    expected, labels = expected_conv1(ended)
    np.testing.assert_allclose(batch["data"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(batch["labels"], labels.T)
    meta = pickle.loads((tmp_path / "out" / "batches.meta").read_bytes(), encoding="latin1")
    assert meta == {"source_model": str(newest(ended.run).resolve()), "num_vis": 384, "batch_size": 10}


def test_pickles_for_python_2():
    """Nothing is in them that Python 2 or a NumPy of its time does not know, and both unpicklers read them."""
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([[-1.5]], ">f8")}
    content = pickle2({**arrays, "text": "häß", "number": -70000})
    assert content.startswith(b"\x80\x02")
    assert b"numpy._core" not in content
    for found in (pickle.loads(content, encoding="latin1"), unpickle(content, "f")):
        for name, array in arrays.items():
            assert found[name].dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
            np.testing.assert_array_equal(found[name], array)
        assert found["number"] == -70000
    assert unpickle(content, "f")["text"] == "häß".encode()


def test_arrays_that_a_pickle_cannot_hold(ended, tmp_path, monkeypatch):
    monkeypatch.setattr("convnet.data.pickle2.LARGEST", 1000)
    with pytest.raises(ConvnetError, match=r"out: data_batch_3: an array of 15360 bytes; --form npz holds more"):
        write(ended, "conv1", tmp_path / "out", "original")
    assert not list(tmp_path.iterdir())


EXPLICIT = """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[fc1]
type=fc
inputs=data
outputs=8
initW=0.3
GPU1
[act]
type=neuron
neuron=tanh[1.2,0.5]
inputs=fc1
[fc2]
type=fc
inputs=act
outputs=3
initW=0.3
neuron=logistic
GPU2
[probs]
type=softmax
inputs=fc2
[logprob]
type=cost.logreg
inputs=labels,probs
GPU2
"""
RATES = "epsW=0\nepsB=0\nmomW=0\nmomB=0\n"
PARAMS = f"[fc1]\n{RATES}[fc2]\n{RATES}"


def outputs(layers, names, device, devices=1, cases=7):
    """The outputs of these layers of a net with random weights, for random images of 2x3x4."""
    drawn = np.random.default_rng(2)
    graph = graph_of(layers, PARAMS, image=(2, 3, 4))
    for name in names:
        graph[name].kept = True
    net = ConvNet(graph, [device] * devices, mini=8)
    for parameter in graph.parameters:
        net.store.set("weights", parameter, drawn.standard_normal(parameter.matrix.shape).astype(np.float32))
    images = drawn.standard_normal((cases, 3, 4, 2)).astype(np.float32)
    net.test_minibatch([images, np.zeros((cases, 1), np.float32)])
    return net, images, [net.output(name, cases) for name in names]


def test_layers_below_a_neuron_keep_their_own_output(device):
    """A neuron layer usually overwrites its input, and fc applies it in the same pass: not where that is wanted."""
    layers = EXPLICIT.replace("GPU1\n", "").replace("GPU2\n", "")
    net, images, (fc1, act, fc2, probs) = outputs(layers, ["fc1", "act", "fc2_neuron", "probs"], device)
    state = {name: array.astype(np.float64) for name, array in net.state().items()}
    plain = np.moveaxis(images, 3, 1).reshape(7, -1) @ state["fc1.weights.0"] + state["fc1.biases"]
    np.testing.assert_allclose(fc1, plain, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(act, 1.2 * np.tanh(0.5 * plain), rtol=1e-5, atol=1e-5)
    sums = 1.2 * np.tanh(0.5 * plain) @ state["fc2.weights.0"] + state["fc2.biases"]
    np.testing.assert_allclose(fc2, 1 / (1 + np.exp(-sums)), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("gpus", [("gpu=0,1\n", ""), ("gpu=0,1\n", "gpu=0\n"), ("gpu=1,0\n", "gpu=1\n")])
def test_replicas_and_several_passes(device, gpus):
    """Layers with fewer replicas have one part of the minibatch after the other: none is lost, the order stays."""
    alone = EXPLICIT.replace("GPU1\n", "").replace("GPU2\n", "")
    names = ["fc1", "act", "fc2_neuron"]
    _, _, expected = outputs(alone, names, device)
    _, _, found = outputs(EXPLICIT.replace("GPU1\n", gpus[0]).replace("GPU2\n", gpus[1]), names, device, devices=2)
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-6, atol=1e-6)


def test_tests_and_costs_are_the_same_whether_outputs_are_kept(device):
    layers = EXPLICIT.replace("GPU1\n", "").replace("GPU2\n", "")
    costs = []
    for names in ([], ["fc1"]):
        net, images, _ = outputs(layers, names, device)
        costs.append(net.test_minibatch([images, np.zeros((7, 1), np.float32)]))
    assert costs[0]["logprob"] == pytest.approx(costs[1]["logprob"], rel=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_features_on_cuda(cuda_device, device, precision):
    layers = EXPLICIT.replace("GPU1\n", "").replace("GPU2\n", "")
    _, _, expected = outputs(layers, ["fc1", "fc2_neuron"], device)
    _, _, found = outputs(layers, ["fc1", "fc2_neuron"], cuda_device(precision))
    for own, other in zip(found, expected, strict=True):
        assert own.dtype == np.float32
        limit = 1e-5 if precision == "fp32" else 4e-2  # bfloat16 has 8 bits
        np.testing.assert_allclose(own, other, rtol=limit, atol=limit)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conv2", "expected a layer that computes features, found 'conv2'; did you mean 'conv1'"),
        ("data", "found 'data'; the net's layers are scale, conv1, conv1_neuron, pool1, drop, fc, probs"),
        ("logprob", "expected a layer that computes features, found 'logprob'"),
    ],
)
def test_layers_that_give_nothing(name, message):
    graph = graph_of(LAYERS, SMALL_PARAMS, image=(3, 8, 8))
    with pytest.raises(ConvnetError, match=message):
        output_node(graph, name)


def test_nothing_is_overwritten(ended, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(ConvnetError, match="out: expected a folder that is not there yet"):
        write(ended, "fc", tmp_path / "out")


def test_what_fails_leaves_nothing_behind(ended, tmp_path, monkeypatch):
    (tmp_path / ".writing-out").mkdir()  # of a process that was killed
    (tmp_path / ".writing-out" / "data_batch_9.npz").touch()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(ConvnetError, match=r"out: the features cannot be written: .*No space left"):
            write(ended, "fc", tmp_path / "out")
    assert not list(tmp_path.iterdir())

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(features, "batches_to_test", interrupted)
        write(ended, "fc", tmp_path / "out")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(ConvnetError, match="the features cannot be written"):
        write(ended, "fc", tmp_path / "file" / "out")


def test_minibatches_may_be_written_over_and_all_is_closed(ended, tmp_path, monkeypatch):
    """As by a provider that decodes into the same memory again."""
    write(ended, "conv1", tmp_path / "whole", mini=3)
    provider, closed = type(ended.session.provider), []
    plain = provider.open_batch

    def open_batch(self, *arguments, **options):
        for minibatch in plain(self, *arguments, **options):
            held = [matrix.copy() for matrix in minibatch]
            yield held
            for matrix in held:
                matrix[:] = 1e9

    def close(self):
        closed.append(self)

    monkeypatch.setattr(provider, "open_batch", open_batch)
    monkeypatch.setattr(provider, "close", close)
    write(ended, "conv1", tmp_path / "out", mini=3)
    whole, out = (np.load(tmp_path / name / "data_batch_3.npz") for name in ("whole", "out"))
    with whole, out:
        assert all(np.array_equal(whole[name], out[name]) for name in ("data", "labels"))
    assert len(closed) == 1
