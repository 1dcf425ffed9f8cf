"""convnet describe, layers and check-grads."""

import json
import os
from pathlib import Path

import pytest
from convnet_cli import check_grads

from convnet.layers import layer_types
from tests.conftest import ROOT

from .conftest import LAYERS, NET, convnet

LAYER_KEYS = ["name", "type", "inputs", "outputs", "maps", "weights", "biases", "gpu", "replicas"]


def described(*arguments):
    return json.loads(convnet("describe", *arguments, "--json").stdout)


def test_json(small):
    found = described(*NET, "--input", "3x8x8")
    assert list(found) == ["parameters", "layers"]
    assert all(list(layer) == LAYER_KEYS for layer in found["layers"])
    assert [layer["name"] for layer in found["layers"]] == [
        "data", "labels", "scale", "conv", "conv_neuron", "drop", "fc", "probs", "logprob",
    ]  # fmt: skip
    layers = {layer["name"]: layer for layer in found["layers"]}
    assert layers["data"] == {
        "name": "data", "type": "data", "inputs": [], "outputs": 192, "maps": [3, 8, 8], "weights": [], "biases": None,
        "gpu": [], "replicas": 1,
    }  # fmt: skip
    assert layers["conv"] == {
        "name": "conv", "type": "conv", "inputs": ["scale"], "outputs": 144, "maps": [4, 6, 6], "weights": [[27, 4]],
        "biases": [4, 1], "gpu": [0], "replicas": 1,
    }  # fmt: skip
    assert layers["fc"] == {
        "name": "fc", "type": "fc", "inputs": ["drop"], "outputs": 3, "maps": None, "weights": [[144, 3]],
        "biases": [1, 3], "gpu": [0], "replicas": 1,
    }  # fmt: skip
    assert found["parameters"] == 27 * 4 + 4 + 144 * 3 + 3


def test_input_and_classes_change_the_net(small):
    found = described(*NET, "--input", "3x9x7", "--classes", "11")
    layers = {layer["name"]: layer for layer in found["layers"]}
    assert (layers["conv"]["maps"], layers["fc"]["weights"]) == ([4, 7, 5], [[140, 11]])


def test_replicas(small):
    text = Path("small.cfg").read_text()
    Path("small.cfg").write_text(text.replace("type=neuron", "type=neuron\ngpu=0,1"))
    layers = {layer["name"]: layer for layer in described(*NET, "--input", "3x8x8")["layers"]}
    assert (layers["fc"]["gpu"], layers["fc"]["replicas"]) == ([0, 1], 2)


def test_table(small):
    lines = convnet("describe", *NET, "--input", "3x8x8").stdout.splitlines()
    assert lines[0].split() == ["layer", "type", "inputs", "outputs", "maps", "weights", "biases", "gpu"]
    rows = {line.split()[0]: line.split() for line in lines[1:-1]}
    assert rows["conv"] == ["conv", "conv", "scale", "144", "4x6x6", "27x4", "4x1", "0"]
    assert rows["logprob"] == ["logprob", "cost.logreg", "labels,probs", "0", "0"]
    assert len(rows) == 9
    assert lines[-1] == "parameters: 547"
    for column in ("type", "outputs"):
        cells = {line[lines[0].index(column) :].split()[0] for line in lines[1:-1]}
        assert cells <= {cell for row in rows.values() for cell in row}, f"cells do not stand below '{column}'"


def test_the_memory_of_a_device(small):
    """The CPU does not tell what is free; tests/cli/test_devices.py has GPUs, tests/training/test_memory.py figures."""
    found = described(*NET, "--input", "3x8x8", "--device", "cpu", "--mini", "7", "--plan")
    assert list(found) == ["parameters", "layers", "plan", "memory"]
    (memory,) = found["memory"]
    need = memory.pop("needed")
    assert memory == {"device": "cpu:0", "mini": 7, "free": None, "largest_mini": None}
    assert sum(found["plan"]["bytes"].values()) < need < 2 * sum(found["plan"]["bytes"].values())
    without = described(*NET, "--input", "3x8x8", "--mini", "7", "--plan")
    assert without == {name: found[name] for name in ("parameters", "layers", "plan")}
    lines = convnet("describe", *NET, "--input", "3x8x8", "--device", "cpu", "--mini", "7").stdout.splitlines()
    assert lines[-2:] == ["parameters: 547", f"on cpu:0: {need / 1e6:.1f} MB needed with --mini 7"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "bf16"], "--precision: expected a --device too"),
        (["--precision", "bf16", "--device", "cpu"], "--precision: the CPU computes in fp32, found 'bf16'"),
        (["--device", "gpu"], "--device: expected auto, cpu, cuda or a GPU by its number"),
        (["--gpu", "0"], "--gpu: expected a --device too"),
        (["--gpu", "0;1", "--device", "cpu"], "expected numbers of GPUs separated by commas, such as 0,1; found '0;1'"),
        (["--gpu", "0,1", "--device", "cuda:1"], "--device cuda:1 names one GPU; several are named by --device cuda"),
    ],
)
def test_devices_that_cannot_be(small, arguments, message):
    assert message in convnet("describe", *NET, "--input", "3x8x8", *arguments, code=2).stderr


def test_a_net_for_two_devices_does_not_run_on_one(small):
    text = Path("small.cfg").read_text()
    Path("small.cfg").write_text(text.replace("type=neuron", "type=neuron\ngpu=0,1"))
    result = convnet("describe", *NET, "--input", "3x8x8", "--device", "cpu", "--gpu", "0", code=2)
    assert result.stderr.startswith("convnet: small.cfg:10: [scale] gpu: ")


def two_towers():
    """Make the fully-connected layer of the small net run on another device; 144 numbers and their gradients cross."""
    text = Path("small.cfg").read_text()
    Path("small.cfg").write_text(text.replace("type=fc", "type=fc\ngpu=1"))


def test_what_lies_where_and_what_crosses(small):
    two_towers()
    first, second = described(*NET, "--input", "3x8x8", "--mini", "10")["devices"]
    assert first["layers"] == ["scale", "conv", "conv_neuron", "drop"]
    assert second["layers"] == ["fc", "probs", "logprob"]
    assert second["parameters"] == ["fc.weights.0", "fc.biases"]
    assert second["bytes"]["weights"] == 4 * 3 * (144 * 3 + 16)  # each array begins at a multiple of 16 numbers
    assert second["received"] == [{"from": 0, "bytes": {"drop": 4 * 10 * 144}}]
    assert first["received"] == [{"from": 1, "bytes": {"drop.grad": 4 * 10 * 144}}]
    lines = convnet("describe", *NET, "--input", "3x8x8", "--mini", "10").stdout.splitlines()
    assert "training on 2 devices with --mini 10:" in lines
    assert "  from device 0: 0.01 MB (drop 0.01)" in lines


def test_memory_on_two_devices(small):
    two_towers()
    found = described(*NET, "--input", "3x8x8", "--device", "cpu")
    assert [memory["device"] for memory in found["memory"]] == ["cpu:0", "cpu:1"]
    assert all(m["needed"] > sum(d["bytes"].values()) for m, d in zip(found["memory"], found["devices"], strict=True))


def test_the_parameter_file_is_not_needed(small):
    (small / "alone").mkdir()
    (small / "alone" / "net.cfg").write_text(Path("small.cfg").read_text())
    assert described("--layers", "alone/net.cfg", "--input", "3x8x8") == described(*NET, "--input", "3x8x8")


def test_nothing_is_planned_without_the_parameter_file(small):
    """Normalizations have their constants there; a net on several devices can be described nevertheless."""
    text = LAYERS.replace("[drop]\ntype=dropout\n", "[drop]\ntype=cmrnorm\nsize=3\nchannels=4\n")
    Path("alone.cfg").write_text(text.replace("type=fc\n", "type=fc\ngpu=1\n"))
    net = ("--layers", "alone.cfg", "--input", "3x8x8")
    assert list(described(*net)) == ["parameters", "layers"]
    for option in (["--plan"], ["--device", "cpu"]):
        message = "--plan and --device: expected a parameter file; --params names one"
        assert message in convnet("describe", *net, *option, code=2).stderr


def test_ignored_keys_are_noted_apart_from_the_output(small):
    text = Path("small.cfg").read_text()
    Path("small.cfg").write_text(text.replace("type=conv", "type=conv\npartialSum=4"))
    result = convnet("describe", *NET, "--input", "3x8x8", "--json")
    assert result.stderr.startswith("note: small.cfg:14: [conv] partialSum: has no effect here: ")
    assert json.loads(result.stdout)["parameters"] == 547


def test_nets_are_found_by_name_from_anywhere(folder):
    by_path = described("--layers", ROOT / "layers-cfg" / "digits.cfg")
    for name in ("digits", "digits.cfg", "layers-cfg/digits.cfg"):
        assert described("--layers", name) == by_path
        assert described("--layers", name, "--params", name.replace("layers-cfg", "params-cfg")) == by_path
    assert by_path["parameters"] == 21386


def test_a_file_of_ones_own_comes_before_a_net_of_that_name(small):
    Path("small.cfg").rename("digits")
    assert described("--layers", "digits", "--params", "rates.cfg", "--input", "3x8x8")["parameters"] == 547


@pytest.mark.parametrize(
    ("layers", "params"),
    [("mine/layers-cfg/net.cfg", "mine/params-cfg/net.cfg"), ("old/layers-net.cfg", "old/layer-params-net.cfg")],
)
@pytest.mark.parametrize("absolute", [False, True])
def test_the_parameter_file_is_found_beside_the_layer_file(small, layers, params, absolute):
    for name, source in ((layers, "small.cfg"), (params, "rates.cfg")):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(Path(source).read_text())
    Path(params).write_text(Path(params).read_text().replace("[train]\n", "[train]\ninput=3x8x8\n"))
    assert described("--layers", small / layers if absolute else layers)["parameters"] == 547
    os.chdir(Path(layers).parent)
    assert described("--layers", Path(layers).name)["parameters"] == 547


def test_layers_lists_every_type_in_one_line():
    lines = convnet("layers").stdout.splitlines()
    for name, cls in layer_types().items():
        (line,) = (line for line in lines if line.split()[:1] == [name])
        assert line.endswith(cls.__doc__.splitlines()[0])


@pytest.mark.parametrize("name", layer_types())
def test_layers_shows_every_key_of_a_type(name):
    output, cls = convnet("layers", name).stdout, layer_types()[name]
    assert f"type={name}" in output
    layer_file, _, params_file = output.partition("Keys in the parameter file")
    for key in cls.keys:
        assert f"  {key.name}: {key.kind.expected}" in layer_file
    for key in cls.params:
        assert f"  {key.name}: {key.kind.expected}" in params_file
        assert " ".join(key.doc.split()) in " ".join(params_file.split())
    for key in cls.ignored:
        assert f"  {key.name}: {key.why}" in output
    assert ("  gpu: a list" in layer_file) == ("inputs" in layer_file.replace("inputs: none", ""))


def test_check_grads(small):
    output = convnet("check-grads", *NET, "--input", "3x8x8", "--seed", "3", "--mini", "3", "--threads", "1").stdout
    *lines, last = output.splitlines()
    assert [line.split()[0] for line in lines] == ["conv.weights.0", "conv.biases", "fc.weights.0", "fc.biases", "data"]
    assert all(line.split()[1::2][:3] == ["analytic", "numeric", "difference"] for line in lines)
    assert last == "all 5 gradients agree"


def test_check_grads_fails_where_gradients_differ(small, monkeypatch):
    monkeypatch.setattr(check_grads, "_LIMIT", -1.0)
    result = convnet("check-grads", *NET, "--input", "3x8x8", code=1)
    assert result.stdout.count("  FAILED\n") == 5
    assert "\n5 of 5 gradients differ; " in result.stdout
