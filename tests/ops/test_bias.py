"""Sums over cases and positions against NumPy in float64: few and many of both, columns cut into blocks and not."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.backends.cpu.device import CpuDevice
from convnet.ops.bias import cpu
from convnet.ops.neuron import IDENT, NeuronFunction

from .conftest import Run

SHAPES = [
    (1, 1, 1), (7, 1, 5), (512, 1, 1500), (27, 19, 11), (50, 100, 3), (13, 100, 2 * cpu.COLUMNS + 7), (300, 10, 16),
    (6, 1, 1032), (5000, 1, 3), (1, 3000, 7),
]  # fmt: skip


def spoil_sums(run: Run) -> None:
    """Leave NaN where parts are summed, as another operation might."""
    memory = run.device.sums if run.device.backend == "cpu" else run.device.workspace
    room = memory.reserve((1 << 17,), run.weights)()
    run.device.upload(np.full(room.shape, np.nan), room)


@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_bprop_sums_cases_and_positions(run: Run, shape: tuple[int, int, int], accumulate: bool) -> None:
    """Sums are float32 at least, so that the type of dy makes no difference."""
    tolerance = 1e-12 if run.dtype == np.float64 else 1e-5
    dy = np.random.default_rng(1).uniform(0.5, 1.5, shape).astype(run.dtype)
    db = np.arange(shape[2]).astype(run.weights) if accumulate else np.full(shape[2], np.nan, run.weights)
    expected = dy.astype(np.float64).sum(axis=(0, 1)) + (db if accumulate else 0)
    spoil_sums(run)
    run("bias.bprop", dy, db, accumulate=accumulate)
    np.testing.assert_allclose(db, expected, rtol=tolerance)


def test_a_launch_repeats() -> None:
    dy, db = np.ones((100, 10, 3)), np.zeros(3)
    launch = cpu.bprop(CpuDevice(threads=2), dy, db, accumulate=True)
    launch()
    dy *= 2
    launch()
    assert db.tolist() == [3000, 3000, 3000]


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize("shape", SHAPES)
def test_threads_do_not_change_a_bit(shape: tuple[int, int, int], threads: int) -> None:
    dy = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    one, many = (np.empty(shape[2], np.float32) for _ in range(2))
    cpu.bprop(CpuDevice(threads=1), dy, one, accumulate=False)()
    cpu.bprop(CpuDevice(threads=threads), dy, many, accumulate=False)()
    np.testing.assert_array_equal(many, one)


def test_shapes_must_fit(run: Run) -> None:
    with pytest.raises(ValueError, match="bias"):
        run("bias.bprop", np.zeros((4, 1, 3), run.dtype), np.zeros(4, run.weights), accumulate=False)


@pytest.fixture(params=["fp32", "bf16"])
def cuda(request: pytest.FixtureRequest) -> Run:
    device = request.getfixturevalue("cuda_device")(request.param)
    return Run(device, device.activations, request.param)


# Rows, columns, biases: whole packs and not, a bias for each position, more columns than threads.
BIASED = [(7, 24, 24), (5, 13, 13), (12, 8, 32), (6, 5, 15), (3, 2103, 2103), (400, 1, 4)]


@pytest.mark.gpu
@pytest.mark.parametrize("neuron", [IDENT, NeuronFunction("tanh", 1.3, 0.4)])
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize(("rows", "columns", "biases"), BIASED)
def test_bias_and_neuron_in_one_pass(
    cuda: Run, rows: int, columns: int, biases: int, with_bias: bool, neuron: NeuronFunction
) -> None:
    from convnet.ops.bias.cuda_neuron import add_bias_apply_neuron

    generator = np.random.default_rng(3)
    y, bias = generator.normal(size=(rows, columns)).astype(cuda.dtype), generator.normal(size=biases).astype("f4")
    total = y.reshape(-1, biases).astype(np.float64) + bias * with_bias
    expected = total if neuron == IDENT else 1.3 * np.tanh(0.4 * total)
    on_device = [on(cuda, y), on(cuda, bias) if with_bias else None]
    add_bias_apply_neuron(cuda.device, *on_device, neuron)()
    found = cuda.device.download(on_device[0]).astype(np.float64)
    tolerance = 1e-6 if cuda.dtype == np.float32 else 2.0**-8
    np.testing.assert_allclose(found.reshape(-1, biases), expected, rtol=tolerance, atol=1e-6)


@pytest.mark.gpu
def test_biases_must_fit(cuda: Run) -> None:
    from convnet.ops.bias.cuda_neuron import add_bias_apply_neuron

    y = on(cuda, np.zeros((4, 6), cuda.dtype))
    for biases in (3, 9, 48):
        with pytest.raises(ValueError, match=rf"{biases} biases for an array of shape \(4, 6\)"):
            add_bias_apply_neuron(cuda.device, y, on(cuda, np.zeros(biases, np.float32)), IDENT)


def on(run: Run, values: np.ndarray) -> object:
    """A copy of an array on the device."""
    copy = run.device.array(run.device.allocate(values.nbytes), 0, values.shape, values.dtype)
    run.device.upload(values, copy)
    return copy
