"""No kernel of the product has a data race: every operation's call of tests/ops runs while they are looked for."""

import inspect

import numpy as np
import pytest

from convnet.backends import DeviceOptions, open_device
from convnet.backends.cuda import toolkit
from convnet.ops.conv import ConvGeometry
from convnet.ops.rnorm import Normalization
from convnet.shape import Maps
from tests.ops.conftest import Run
from tests.ops.test_contracts import CALLS, FUNCTIONS, X, call
from tests.virtual_gpu import controls

pytestmark = pytest.mark.virtual_gpu

# Parameters that are float32 in every precision.
FLOAT32 = {
    "bias", "db", "dw", "labels", "values", "inc", "g", "scale", "shift", "mean", "variance", "batch", "sums", "dscale",
    "dshift", "shifts",
}  # fmt: skip
# Operations whose kernels for tf32 are not those for fp32: they compute products of matrices.
PRODUCTS = ("conv.", "local.", "matmul.")
NO_KERNEL = ("matmul.", "flat.clear")  # of ours: cuBLAS and the driver do these
WIDE = ConvGeometry(Maps(32, 9, 7), 48, 3, 1, 2, 2, 5, 4)
BLOCKED = Normalization(4, 0.9, 0.75, 1.5, blocked=True)
# Calls that take other kernels than those of CALLS: with 16-byte copies, with any window.
MORE = {
    "conv.fprop wide": lambda r: call(
        r(5, 9, 7, 32), r(144, 48), r(48), r(5, 5, 4, 48), WIDE, accumulate=True, neuron=None
    ),
    "conv.bprop_acts wide": lambda r: call(r(5, 5, 4, 48), r(144, 48), r(5, 9, 7, 32), WIDE, accumulate=True),
    "conv.bprop_weights wide": lambda r: call(r(5, 9, 7, 32), r(5, 5, 4, 48), r(144, 48), WIDE, accumulate=True),
    "cmrnorm.fprop blocked": lambda r: call(r(*X), r(*X), BLOCKED),
    "cmrnorm.bprop blocked": lambda r: call(r(*X), r(*X), r(*X), BLOCKED, accumulate=True),
}
VARIANTS = [
    (name, precision)
    for name in (*CALLS, *MORE)
    for precision in ("fp32", "tf32", "bf16")
    if precision != "tf32" or name.startswith(PRODUCTS)
]


@pytest.fixture(scope="module")
def devices(drv):
    """CUDA devices of each precision, with kernels in which races are looked for."""
    with controls.races():
        toolkit.version.cache_clear()  # it is part of the names by which kernels are kept on disk
        yield {
            precision: open_device(DeviceOptions("cuda", precision=precision, tune=False))
            for precision in ("fp32", "tf32", "bf16")
        }
    toolkit.version.cache_clear()


@pytest.mark.parametrize(("name", "precision"), VARIANTS, ids=[f"{name}-{precision}" for name, precision in VARIANTS])
def test_no_races(devices, name, precision):
    device = devices[precision]
    generator = np.random.default_rng(21)
    arguments, keywords = {**CALLS, **MORE}[name](lambda *shape: generator.normal(size=shape).astype(np.float32))
    name = name.split()[0]
    names = list(inspect.signature(FUNCTIONS[name]).parameters)[1:]
    fitting = [
        argument if parameter in FLOAT32 or name.startswith(("flat.", "update.")) else as_activations(argument, device)
        for parameter, argument in zip(names, arguments, strict=False)
    ]
    before = controls.launches()
    Run(device, device.activations, precision)(name, *fitting, **keywords)
    assert controls.launches() > before or name.startswith(NO_KERNEL)


def as_activations(argument, device):
    """Arrays in the device's type of activations; anything else as it is."""
    if isinstance(argument, list):
        return [as_activations(item, device) for item in argument]
    return argument.astype(device.activations) if isinstance(argument, np.ndarray) else argument
