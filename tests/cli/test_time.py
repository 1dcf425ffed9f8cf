"""convnet time: the figures it gives and where they come from. Speeds are never asserted."""

import itertools
import json
import re
from pathlib import Path

import pytest
from convnet_cli.time import rounded

from .conftest import NET, PARAMS, convnet
from .test_devices import on_virtual_gpus
from .test_several_devices import placed

TIME = ("time", *NET, "--input", "3x8x8", "--device", "cpu", "--threads", "2")
FIGURES = ["ms", "gflops", "gbs", "share"]


@pytest.fixture(autouse=True)
def _soon_over(monkeypatch):
    """No more measurements than must be."""
    for module in ("timing", "machine"):
        monkeypatch.setattr(f"convnet.net.{module}._SECONDS", 0)


def timed(*arguments):
    """What the command gives as JSON, which is strict and without NaN."""

    def refused(constant):
        pytest.fail(f"{constant} is no number of JSON")

    return json.loads(convnet(*TIME, *arguments, "--json").stdout, parse_constant=refused)


def check_figures(part, found):
    """The figures of a layer, or of the update, are those of its steps together."""
    products = [step for step in part["steps"] if step["flops"]]
    others = [step for step in part["steps"] if not step["flops"]]
    assert part["ms"] == pytest.approx(sum(step["ms"] for step in part["steps"]))
    assert (part["gflops"] is None, part["gbs"] is None) == (not products, not others)
    ideal = 0.0
    if products:
        flops = sum(step["flops"] for step in products)
        assert part["gflops"] == pytest.approx(1e-6 * flops / sum(step["ms"] for step in products))
        ideal += 1e-6 * flops / found["gemm_gflops"]
    if others:
        moved = sum(step["bytes"] for step in others)
        assert part["gbs"] == pytest.approx(1e-6 * moved / sum(step["ms"] for step in others))
        ideal += 1e-6 * moved / found["copy_gbs"]
    assert part["share"] == (pytest.approx(ideal / part["ms"]) if part["steps"] else None)


def test_json(small):
    before = {path: path.read_bytes() for path in small.rglob("*")}
    found = timed()
    assert list(found) == [
        "mini", "device", "precision", "step_ms", "fprop_ms", "bprop_ms", "update_ms", "repeats", "gemm_gflops",
        "copy_gbs", "layers", "update",
    ]  # fmt: skip
    assert (found["mini"], found["device"], found["precision"]) == (8, "cpu:0", "fp32")
    assert all(found[key] > 0 for key in ("step_ms", "fprop_ms", "bprop_ms", "update_ms", "gemm_gflops", "copy_gbs"))
    assert [layer["name"] for layer in found["layers"]] == [
        "data", "labels", "scale", "conv", "conv_neuron", "drop", "fc", "probs", "logprob",
    ]  # fmt: skip
    for layer in found["layers"]:
        assert list(layer) == ["name", "type", "fprop_ms", "bprop_ms", *FIGURES, "steps"]
        assert layer["ms"] == pytest.approx(layer["fprop_ms"] + layer["bprop_ms"])
        check_figures(layer, found)
        for step in layer["steps"]:
            check_figures({**step, "steps": [step]}, found)
    check_figures(found["update"], found)
    assert {path: path.read_bytes() for path in small.rglob("*")} == before, "a file was written"


def test_work(small):
    """Counted by loops, and array by array."""
    found = timed("--mini", "5")
    steps = {(layer["name"], step["operation"]): step for layer in found["layers"] for step in layer["steps"]}
    products = sum(1 for _ in itertools.product(range(5), range(6), range(6), range(4), range(3), range(3), range(3)))
    for part in ("fprop", "bprop_weights"):
        assert steps["conv", f"conv.{part}"]["flops"] == 2 * products
    for part in ("fprop", "bprop_weights", "bprop_acts"):
        assert steps["fc", f"matmul.{part}"]["flops"] == 2 * 5 * 144 * 3
    assert steps["scale", "neuron.fprop"]["bytes"] == 4 * 5 * (192 + 192)
    assert steps["conv", "bias.bprop"]["bytes"] == 4 * (5 * 144 + 4)
    (update,) = found["update"]["steps"]
    # Weights and biases of both layers: each begins at a multiple of 16 numbers, and the last one ends early.
    assert update["bytes"] == 4 * 5 * (112 + 16 + 432 + 3)
    assert [update["phase"], update["operation"], update["flops"]] == ["update", "update.momentum", 0]


def test_options(small):
    Path("rates.cfg").write_text(PARAMS.replace("[train]\n", "[train]\ninput=3x9x7\n"))
    found = json.loads(convnet("time", *NET, "--device", "cpu", "--classes", "7", "--mini", "3", "--json").stdout)
    assert found["mini"] == 3
    (fc,) = [layer for layer in found["layers"] if layer["name"] == "fc"]
    assert {step["flops"] for step in fc["steps"]} == {0, 2 * 3 * (4 * 7 * 5) * 7}


def test_table(small):
    lines = convnet(*TIME).stdout.splitlines()
    assert lines[0].split("  ")[0] == "layer"
    assert re.split(r"  +", lines[0]) == ["layer", "type", "fprop ms", "bprop ms", "ms", "GFLOP/s", "GB/s", "share"]
    names = [line.split()[0] for line in lines[1:-2]]
    assert names == ["scale", "conv", "conv_neuron", "drop", "fc", "probs", "logprob", "update"]
    assert all(re.search(r" \d+ %$", line) and len(line) == len(lines[0]) for line in lines[1:-2])
    number = r"[\d,]+(\.\d+)?"
    assert re.fullmatch(
        rf"a training step of 8 cases on cpu:0: {number} ms \(fprop {number}, bprop {number}, update {number}\)",
        lines[-2],
    )
    assert re.fullmatch(rf"it can do {number} GFLOP/s in products of matrices, {number} GB/s in copies", lines[-1])
    cells = {line.split()[0]: re.split(r" {2,}", line) for line in lines[1:-2]}
    assert len(cells["scale"]) == 6, "no backward pass, no product"
    assert len(cells["fc"]) == 8


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.001234, "0.00123"), (0.5, "0.500"), (1.0, "1.00"), (99.94, "99.9"), (99.96, "100"), (1234.5, "1,234")],
)
def test_numbers_have_three_digits(value, text):
    assert rounded(value) == text


@pytest.mark.parametrize("places", [{"scale": "0,1"}, {"scale": "0,1,2,3", "fc": "2"}, {"conv": "1", "fc": "2"}])
def test_several_devices_that_the_cpu_stands_for(small, places):
    placed(**places)
    found = timed()
    devices = {step["device"] for layer in found["layers"] for step in layer["steps"]}
    assert found["device"] == ", ".join(f"cpu:{device}" for device in range(1 + max(devices)))
    assert len(devices) > 1
    for layer in found["layers"]:
        check_figures(layer, found)
    lines = convnet(*TIME).stdout.splitlines()
    assert lines[-2].startswith("each can do ")
    assert lines[-1].startswith("layers are timed one at a time")


def test_a_net_that_learns_nothing(small):
    Path("rates.cfg").write_text(re.sub("eps([WB])=.*", r"eps\1=0", PARAMS))
    found = timed()
    assert found["update"] == {"ms": 0, "gflops": None, "gbs": None, "share": None, "steps": []}
    assert convnet(*TIME).stdout.splitlines()[-3].startswith("logprob")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (NET, "--input: expected the net's input, such as 3x32x32; no [train] section tells it"),
        (("--layers", "small.cfg", "--input", "3x8x8"), "small.cfg: its parameter file "),
        (("--layers", "lenet"), "lenet: the layer file does not exist; did you mean 'lenet5'?"),
        ((*NET, "--input", "3x8x8", "--device", "gpu"), "--device: expected auto, cpu, cuda or a GPU by its number"),
        (
            (*NET, "--input", "3x8x8", "--device", "cpu", "--precision", "bf16"),
            "--precision: the CPU computes in fp32, found 'bf16'",
        ),
        ((*NET, "--input", "5x8x8", "--device", "cpu"), "small.cfg:15: [conv] channels: expected 5"),
        (
            (*NET, "--input", "3x8x8", "--device", "cpu", "--mini", str(10**15)),
            "the net or its data does not fit into memory: ",
        ),
    ],
)
def test_wrong_arguments(arguments, message, small):
    before = sorted(small.rglob("*"))
    result = convnet("time", *arguments, code=2)
    assert result.stderr.startswith(f"convnet: {message}"), result.stderr
    assert (len(result.stderr.splitlines()), result.stdout) == (1, "")
    assert sorted(small.rglob("*")) == before


def test_too_few_devices(small):
    placed(fc="1")
    result = convnet(*TIME, "--gpu", "0", code=2)
    assert result.stderr.startswith("convnet: small.cfg:24: [fc] gpu: expected devices that a run has (0), found 1")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_on_a_gpu(precision):
    arguments = ("--layers", "digits", "--mini", 4, "--device", "cuda", "--no-tune", "--precision", precision)
    found = json.loads(on_virtual_gpus("time", *arguments, "--json").stdout)
    assert (found["device"], found["precision"]) == ("cuda:0", precision)
    assert found["step_ms"] > 0
    for part in (*found["layers"], found["update"]):
        check_figures(part, found)
