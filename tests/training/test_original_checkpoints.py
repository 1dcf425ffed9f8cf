"""Checkpoints of cuda-convnet and cuda-convnet2: read without running anything, and made ours."""

import gzip
import io
import pickle
import zipfile

import numpy as np
import pytest

from convnet.backends import DeviceOptions
from convnet.errors import ConvnetError
from convnet.graph.describe import describe
from convnet.training.checkpoint import Checkpoint, checkpoints
from convnet.training.original_checkpoints import load_original
from convnet.training.original_import import import_original, save_import
from convnet.training.original_layers import cfg_files
from convnet.training.runs import continued_run, new_run
from convnet.training.testing import test_checkpoint as run_test
from tests.net.nets import graph_of

from .originals import (
    FIRST_PARAMS,
    LAYERS,
    PARAMS,
    Global,
    Net,
    checkpoint,
    dumps,
    imported,
    layers_of,
    loaded,
    original,
    random_arrays,
    the_options,
    the_outputs,
)

CPU = DeviceOptions("cpu", threads=2)
PARAMS_OF = {1: FIRST_PARAMS, 2: PARAMS}


@pytest.fixture(params=[1, 2])
def version(request):
    return request.param


@pytest.fixture
def file(tmp_path, version):
    """A file of each version."""
    path = tmp_path / "2.2"
    path.write_bytes(dumps(original(version)))
    return path


def test_the_writer_is_right(version):
    """Python's own unpickler, with classes of its own, reads what the tests write."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            return type(name, (), {}) if "options" in module else super().find_class(module, name)

    value = original(version)
    found = Unpickler(io.BytesIO(dumps(value)), encoding="latin1").load()
    layers = found["model_state"]["layers"]
    conv = layers[2] if version == 1 else layers["conv1"]
    np.testing.assert_array_equal(conv["weights"][0], random_arrays(version)["conv1.weights.0"])
    assert conv["inputLayers"][0] is (layers[0] if version == 1 else layers["data"])
    assert vars(vars(found["op"])["options"]["minibatch_size"])["value"] == 8


def test_what_a_checkpoint_holds(file, version):
    found = load_original(file)
    assert (found.version, found.epoch, found.batchnum) == (version, 2, 2)
    assert list(found.layers)[:6] == ["data", "labels", "conv1", *(["conv1_neuron"] if version == 1 else []),
                                      "norm1", "pool1", "local1"][:6]  # fmt: skip
    assert found.layers["norm1"]["inputs"] == ["conv1_neuron"]
    assert found.layers["fc"]["inputs"] == ["local1_neuron", "sum"]
    assert found.layers["fcb"]["weightSourceLayers"] == ["fca"]
    assert found.layers["pool1"]["pool"] == "max"
    arrays = random_arrays(version)
    for name in ("conv1", "local1", "fc"):
        layer = found.layers[name]
        for key, held in (("weights", layer["weights"]), ("weightsInc", layer["weightsInc"])):
            for index, array in enumerate(held):
                expected = arrays[f"{name}.weights.{index}{'.inc' if key == 'weightsInc' else ''}"]
                np.testing.assert_array_equal(array, expected)
        np.testing.assert_array_equal(layer["biases"], arrays[f"{name}.biases"])
        np.testing.assert_array_equal(layer["biasesInc"], arrays[f"{name}.biases.inc"])
    assert found.options["train_batch_range"] == [1, 2]
    assert found.options["dp_type"] == "cifar"
    assert "minibatch_size" in found.given
    assert "dp_type" not in found.given
    assert found.test_outputs[1][1] == 10


def test_the_files_describe_the_same_net(file, version):
    found = import_original(file).checkpoint
    layers, params = found.layers, found.params
    assert describe(graph_of(layers, params, image=(3, 12, 12))) == describe(
        graph_of(LAYERS, PARAMS_OF[version], image=(3, 12, 12))
    )
    both = (layers, params), (LAYERS, PARAMS_OF[version])
    rebuilt, before = (graph_of(*texts, image=(3, 12, 12)) for texts in both)
    assert [str(p) for p in rebuilt.parameters] == [str(p) for p in before.parameters]
    for node in before.nodes:
        own = rebuilt[node.name].layer
        # Sizes that the original computes aside, and initial weights.
        aside = {"modulesX", "outputsX", "initW"}
        assert {k: v for k, v in own.values.items() if k not in aside} == {
            k: v for k, v in node.layer.values.items() if k not in aside
        }
        assert {k: v for k, v in own.learning.items() if k not in aside} == {
            k: v for k, v in node.layer.learning.items() if k not in aside
        }


@pytest.fixture
def data(tmp_path):
    path, drawn = tmp_path / "data.npz", np.random.default_rng(4)
    parts = {}
    for part, cases in (("train", 36), ("test", 10)):
        parts[f"{part}_images"] = drawn.integers(0, 256, (cases, 12, 12, 3), np.uint8)
        parts[f"{part}_labels"] = np.arange(cases) % 3
    np.savez(path, **parts)
    return str(path)


def test_a_net_saved_as_theirs_tests_as_ours(tmp_path, version, data):
    """Trained here, written as the originals do, read again: the same costs and the same training from there."""
    (tmp_path / "net.cfg").write_text(LAYERS)
    slow = PARAMS_OF[version].replace("0.02", "0.00002").replace("0.04", "0.00004")  # so that no relu dies
    (tmp_path / "params.cfg").write_text(slow)
    trainer = new_run(str(tmp_path / "net.cfg"), str(tmp_path / "params.cfg"),
                      {"data": data, "epochs": 2, "scalar-mean": 100.0}, tmp_path / "runs", CPU)  # fmt: skip
    list(trainer.run_training())
    ours = run_test(trainer.run, {}, CPU, lambda *_: None)
    state = trainer.net.state()
    assert all(np.any(state[name]) for name in state)  # increments too
    value = original(version, state, scalar_mean=100.0, num_epochs=4)
    (tmp_path / "2.2").write_bytes(dumps(value))
    run = tmp_path / "imported"
    save_import(import_original(tmp_path / "2.2"), run)
    given = {"data": data, "batch-size": 20}
    theirs = run_test(run, given, CPU, lambda *_: None)
    assert theirs.costs["logprob"] == ours.costs["logprob"]
    goes_on = continued_run(run, str(tmp_path / "params.cfg"), given, CPU)
    for name, array in goes_on.net.state().items():
        np.testing.assert_array_equal(array, state[name])
    assert (goes_on.batches.epoch, goes_on.batches.batchnum) == (3, 1)
    list(goes_on.run_training())
    assert len(checkpoints(run)) > 1


def test_a_net_with_update_periods_goes_on(tmp_path, data):
    value = original(2)
    layers_of(value)["fc"]["updatePeriod"] = 3
    save_import(imported(tmp_path, value), tmp_path / "run")
    trainer = continued_run(tmp_path / "run", None, {"data": data, "batch-size": 20}, CPU)
    assert trainer.net.parameter("fc.weights.1").update_period == 3
    assert not any(np.any(array) for name, array in trainer.net.state().items() if ".grad." in name)


def test_where_training_stood(tmp_path, file, version):
    found = Checkpoint.load(save_import(import_original(file), tmp_path / "run"))
    state = found.state
    assert (state.epoch, state.batch_idx, state.batch_range) == (3, 0, [1, 2])
    assert state.minibatches_done == 3 + 2 + 3 + 2
    assert [(e["epoch"], e["batchnum"], e["cases"]) for e in state.train_history] == [
        (1, 1, 20), (1, 2, 16), (2, 1, 20), (2, 2, 16),
    ]  # fmt: skip
    assert [(e["epoch"], e["batchnum"]) for e in state.test_history] == [(1, 2), (2, 2)]
    third = {"topk_error": 0.1875} if version == 2 else {}
    assert state.train_history[2]["costs"] == {"logprob": {"cost": 1.5, "error": 0.375, **third}}
    assert state.best == {"error": 0.125, "checkpoint": state.name}
    assert state.tests_done == 2
    options = found.options
    assert (options["mini"], options["epochs"], options["test-freq"], options["input"]) == (8, 6, 2, "3x12x12")
    assert (options["train-range"], options["test-range"], options["test-one"]) == ([1, 2], [3], False)
    assert (options["data"], options["data-provider"], options["crop"]) == ("/not/here", "cifar", 0)
    assert options["crop-border"] == 0
    assert options["scalar-mean"] is None


def test_options_are_taken_over_or_named(tmp_path, version):
    value = original(version, dp_type="cifar-cropped", crop_border=2, multiview_test=1, gpu=[3])
    found = imported(tmp_path, value)
    assert found.checkpoint.options["crop-border"] == 2
    assert found.checkpoint.options["data-provider"] == "cifar-cropped"
    assert found.notes == ["the option 'multiview_test' has no counterpart here"]
    found = imported(tmp_path, original(version, dp_type="holiday-pictures"))
    assert found.checkpoint.options["data-provider"] is None
    assert found.notes == ["the data provider 'holiday-pictures' is not known here: the data is recognized by its form"]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("minibatch_size", 0, "minibatch_size: expected an integer of at least 1, found '0'"),
        ("train_batch_range", [[1]], "train_batch_range: expected a number or a range .* found 'list'"),
        ("num_epochs", Global("options", "Option"), "num_epochs: expected an integer of at least 1, found 'type'"),
    ],
)
def test_options_that_cannot_be(tmp_path, option, value, message):
    with pytest.raises(ConvnetError, match=rf"9.9: option {message}"):
        imported(tmp_path, original(1, **{option: value}))


def test_costs_that_are_not_as_expected_are_left_out(tmp_path):
    value = original(2)
    value["model_state"]["test_outputs"][0] = ({"logprob": ["a"]}, 4)
    found = imported(tmp_path, value)
    assert (found.checkpoint.state.train_history, found.checkpoint.state.best) == ([], {})
    assert found.notes == ["the costs of training and tests are not as cuda-convnet writes them, and left out"]


def test_functions_of_a_checkpoint_are_not_named(tmp_path, version):
    value = original(version)
    layers_of(value)["fc"]["initWFunc"] = "os.system(touch made)"
    found = imported(tmp_path, value)
    assert "os" not in found.checkpoint.layers.replace("cost", "")
    assert found.notes == ["[fc] initWFunc: the checkpoint has what the function gave, and the files do not name it"]


def sections_of(text):
    """{layer: {key: value}} of a layer file."""
    parts = [part.partition("]") for part in f"\n{text}".split("\n[") if part]
    return {name: dict(line.split("=", 1) for line in body.split()) for name, _, body in parts}


def test_keys_that_only_some_nets_have(tmp_path):
    """gpu=, a part of a matrix, and what parsers compute of a key of other types."""
    value = original(2)
    layers = layers_of(value)
    layers["data"] |= {"start": 1, "end": 433}
    layers["labels"] |= {"dataIdx": 0, "start": 0, "end": 1}
    for name, layer in layers.items():
        layer["gpu"] = [-1] if layer["type"] == "data" else [1] if name in ("fca", "fc") else [0, 1]
    layers["fcb"] |= {"type": "sfc", "parts": 2, "outputs": 4}
    layers["norm1"] |= {"type": "cnorm", "scale": 0.009 / 9}
    layers["pool1"] |= {"type": "cmpool", "pool": "max", "size": 4, "stride": 4, "outputChannels": 2, "outputs": 98}
    layer_file, params = map(sections_of, cfg_files(loaded(tmp_path, value)))
    assert (layer_file["data"]["start"], layer_file["labels"]["end"]) == ("1", "1")
    assert "end" not in layer_file["data"]  # it reaches to the end of its matrix
    assert (layer_file["fca"]["gpu"], layer_file["conv1"]["gpu"]) == ("1", "0,1")
    assert "gpu" not in layer_file["data"]
    assert layer_file["fcb"]["outputs"] == "2"
    assert layer_file["fcb"]["weightSource"] == "fca[0]"
    assert params["norm1"]["scale"] == "0.009"
    assert layer_file["pool1"]["outputs"] == "2"


SPARSE = """
[data]
type=data
dataIdx=0
[conv1]
type=conv
inputs=data
channels=6
filters=2
groups=4
randSparse=true
filterChannels=3
filterSize=3
[cost]
type=cost.sum2
inputs=conv1
"""


def test_sparse_connections_come_along(tmp_path):
    params = "[conv1]\nepsW=1\nepsB=1\nmomW=0\nmomB=0\n[cost]\ncoeff=1\n"
    graph = graph_of(SPARSE, params, image=(6, 5, 5))
    arrays = {p.name + end: np.ones(p.matrix.shape, np.float32) for p in graph.parameters for end in ("", ".inc")}
    net = Net(1, arrays)
    net.add("data", "data", outputs=150, dataIdx=0)
    net.filters("conv1", "conv", ["data"], [6], 2, 3, 0, 1, 4)
    connections = [5, 3, 1, 0, 2, 4, 1, 2, 3, 4, 5, 0]
    net.layers["conv1"] |= {"randSparse": [True], "filterChannels": [3], "filterConns": [connections]}
    net.weights("conv1")
    net.add("cost", "cost.sum2", ["conv1"], coeff=1.0)
    value = checkpoint(net.detached(), the_options(1), train=the_outputs(1)[0])
    found = imported(tmp_path, value).checkpoint
    np.testing.assert_array_equal(found.weights["conv1.connections.0"], np.reshape(connections, (4, 3)))
    assert found.weights["conv1.weights.0"].shape == (27, 8)
    assert found.options["input"] == "6x5x5"
    layers_of(value)["conv1"]["filterConns"] = [[0] * 12]
    with pytest.raises(ConvnetError, match=r"9\.9: filterConns: 'conv1\.connections\.0': expected a permutation"):
        imported(tmp_path, value)
    layers_of(value)["conv1"]["filterConns"] = ["a"]
    with pytest.raises(ConvnetError, match=r"9\.9: layer 'conv1': expected filterConns"):
        imported(tmp_path, value)


def test_the_newest_file_of_a_folder(tmp_path):
    value = original(2)
    for name in ("2.2", "10.1", "9.57", "10.12", "10.12.bak", "notes.txt"):
        value["model_state"]["batchnum"] = 1 + (name == "10.12")
        (tmp_path / name).write_bytes(dumps(value) if "." in name and name[0].isdigit() else b"")
    assert load_original(tmp_path).file == tmp_path / "10.12"
    assert load_original(tmp_path / "9.57").batchnum == 1
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConvnetError, match=r"empty: expected a checkpoint of cuda-convnet, a file such as 12\.5"):
        load_original(empty)
    with pytest.raises(ConvnetError, match=r"nothing: the checkpoint cannot be read: No such file"):
        load_original(tmp_path / "nothing")


def test_compressed_files(tmp_path):
    content = dumps(original(1))
    with zipfile.ZipFile(tmp_path / "1.1", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", content)
    (tmp_path / "1.2").write_bytes(gzip.compress(content))
    assert load_original(tmp_path / "1.1").layers.keys() == load_original(tmp_path / "1.2").layers.keys()
    with zipfile.ZipFile(tmp_path / "1.3", "w") as archive:
        archive.writestr("other", content)
    whole = (tmp_path / "1.1").read_bytes()
    (tmp_path / "1.4").write_bytes(whole[:-30])
    (tmp_path / "1.5").write_bytes((tmp_path / "1.2").read_bytes()[:-30])
    (tmp_path / "1.6").write_bytes(whole[:300] + bytes(200) + whole[500:])
    for name in ("1.3", "1.4", "1.5", "1.6"):
        with pytest.raises(ConvnetError, match=rf"{name}: expected a compressed checkpoint of cuda-convnet"):
            load_original(tmp_path / name)


def test_an_import_overwrites_nothing(tmp_path, file):
    (tmp_path / "run").mkdir()
    with pytest.raises(ConvnetError, match="run: expected a folder that is not there yet"):
        save_import(import_original(file), tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())
