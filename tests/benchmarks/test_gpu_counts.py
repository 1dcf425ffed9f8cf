"""benchmarks/gpu_counts.py: what the operations' host code says it would launch, beside figures counted by hand.

The counting program puts stand-ins in PyCUDA's place, so it runs in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from convnet.backends.cuda import toolkit
from tests.conftest import ROOT

pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed (pip install -e .[cuda])")

CASES = 32

# conv: 2 groups of 8 filters of 2x3x3 over 4x12x10, 7x6 modules. pool: 16x3x3, 144 numbers, read by two fc layers.
LAYERS = """
[data]
type=data
dataIdx=0
[labels]
type=data
dataIdx=1
[conv]
type=conv
inputs=data
channels=4
groups=2
filters=8
filterSize=3
padding=1
stride=2
neuron=relu
[pool]
type=pool
inputs=conv
pool=max
channels=16
sizeX=3
stride=2
[one]
type=fc
inputs=pool
outputs=5
[two]
type=fc
inputs=pool
outputs=5
[both]
type=eltsum
inputs=one,two
[probs]
type=softmax
inputs=both
[logprob]
type=cost.logreg
inputs=labels,probs
"""
PARAMS = "[train]\ninput=4x12x10\n" + "".join(
    f"[{layer}]\nepsW=0.1\nepsB=0.1\nmomW=0.9\nmomB=0.9\nwc=0\n" for layer in ("conv", "one", "two")
)
PARAMS += "[logprob]\ncoeff=1\n"
WEIGHTS = 2 * 9 * 16 + 16 + 2 * 144 * 5 + 16 + 5  # 5 biases take 16 places: what follows begins at 64 bytes

COUNT = f"""
import json, sys
sys.path[:0] = [{str(ROOT / "benchmarks")!r}, {str(ROOT)!r}]
import gpu_counts
from gpu_estimate import Card, count
from gpu_recorder import Gemm, record
from gpu_resources import Resources, parse, resources

class Any64(dict):
    def __missing__(self, kernel):
        return Resources(64, 0, 0, 0)
"""


def own_process(code: str) -> Any:
    """What the code, behind COUNT, prints as JSON."""
    done = subprocess.run([sys.executable, "-c", COUNT + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By precision, and by phase, layer and operation: what was counted. Kernels are taken to need 64 registers."""
    folder = tmp_path_factory.mktemp("net")
    (folder / "net.cfg").write_text(LAYERS)
    (folder / "params.cfg").write_text(PARAMS)
    return own_process(f"""
from convnet.training.options import merged
from convnet.training.session import describe_shapes, read_files
files = read_files({str(folder / "net.cfg")!r}, {str(folder / "params.cfg")!r})
graph = files.graph(describe_shapes(merged(files.options)), None)
found = {{}}
for precision in ("fp32", "bf16"):
    steps = found[precision] = {{}}
    for recorded in record(graph, {CASES}, precision, 132, 90):
        told = count(recorded, Any64(), Card(), precision, {CASES})
        steps[" ".join((recorded.step.phase, recorded.step.layer, recorded.step.operation))] = {{
            "operations": told.operations, "size": recorded.size, "moved": told.moved, "bound": told.bound,
            "us": told.us, "launches": [
                {{"blocks": None, "m": [each.launch.m, each.launch.n, each.launch.k]}} if isinstance(each.launch, Gemm)
                else {{"kernel": str(each.launch.kernel), "blocks": each.launch.blocks, "useful": each.useful,
                       "waves": each.waves, "by": each.bound_by}} for each in told.launches],
        }}
print(json.dumps(found))
""")


def test_every_step_of_the_minibatch_is_there(counts: dict[str, dict[str, Any]]) -> None:
    expected = [
        "fprop conv conv.fprop", "fprop pool pool.fprop_max", "fprop one layout.convert", "fprop one matmul.fprop",
        "fprop two matmul.fprop", "fprop both eltwise.fprop_sum", "fprop probs softmax.fprop",
        "fprop logprob logreg.fprop", "bprop logprob logreg.bprop_softmax",
    ]  # fmt: skip
    assert list(counts["fp32"])[: len(expected)] == expected
    assert list(counts["fp32"])[-1] == "update  update.momentum"
    assert list(counts["bf16"]) == list(counts["fp32"])
    assert all(step["launches"] for step in counts["fp32"].values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_operations(counts: dict[str, dict[str, Any]], precision: str) -> None:
    found = {name: step["operations"] for name, step in counts[precision].items() if step["operations"]}
    conv, fc = 2 * CASES * (7 * 6) * 16 * (2 * 3 * 3), 2 * CASES * 144 * 5
    assert found == {
        "fprop conv conv.fprop": conv, "bprop conv conv.bprop_weights": conv,
        **{f"{way.partition('_')[0]} {layer} matmul.{way}": fc
           for layer in ("one", "two") for way in ("fprop", "bprop_weights", "bprop_acts")},
    }  # fmt: skip


def test_bytes(counts: dict[str, dict[str, Any]]) -> None:
    """Each tensor once; what is added to, or updated, twice. bf16: 2 bytes, but 4 of weights and gradients of them."""
    images, maps, pooled = CASES * 4 * 12 * 10, CASES * 16 * 7 * 6, CASES * 144
    for precision, act in (("fp32", 4), ("bf16", 2)):
        sizes = {name: step["size"] for name, step in counts[precision].items()}
        assert sizes["fprop conv conv.fprop"] == act * (images + maps + 288) + 4 * 16
        assert sizes["bprop conv conv.bprop_weights"] == act * (images + maps) + 4 * 288
        assert sizes["bprop pool pool.bprop_max"] == act * 2 * (pooled + maps)
        assert sizes["bprop two matmul.bprop_acts"] == act * (CASES * 5 + 144 * 5 + pooled)
        assert sizes["bprop two layout.convert"] == act * 2 * pooled
        assert sizes["bprop one layout.convert"] == act * 3 * pooled
        operands = 0 if precision == "fp32" else 2
        assert sizes["update  update.momentum"] == (5 * 4 + operands) * WEIGHTS


def test_launches_move_what_the_step_needs_and_second_passes(counts: dict[str, dict[str, Any]]) -> None:
    steps = counts["fp32"]
    for name in ("bprop pool pool.bprop_max", "bprop two matmul.bprop_acts", "bprop one layout.convert"):
        assert steps[name]["moved"] == steps[name]["size"]
    # The product's result is read and written again to add the bias.
    assert steps["fprop one matmul.fprop"]["moved"] == steps["fprop one matmul.fprop"]["size"] + 2 * 4 * CASES * 5
    blocks_of_weights = 3 * 8 * 6  # a table of (segment, start, stop), for weights and biases of three layers
    assert steps["update  update.momentum"]["moved"] == steps["update  update.momentum"]["size"] + blocks_of_weights


def test_launches_are_those_of_the_host_code(counts: dict[str, dict[str, Any]]) -> None:
    (fprop,) = counts["fp32"]["fprop conv conv.fprop"]["launches"]
    # Tiles of 64x64, the smallest: 21 for 32 * 42 modules, in 2 groups; K is 18, in 2 steps of 64 bytes.
    assert (fprop["kernel"], fprop["blocks"]) == ("fprop", 42)
    assert fprop["useful"] == pytest.approx(2 * 32 * 42 * 16 * 18 / (42 * 2 * 16 * 2 * 64 * 64))
    # 4 stages of 64 rows of 80 bytes and 16 of 288, and 64 spots of 16: 39 KB, and one of the system, 5 times in 228.
    assert fprop["waves"] == pytest.approx(42 / (132 * 5))
    product, rest = counts["fp32"]["fprop one matmul.fprop"]["launches"]
    assert product["m"] == [CASES, 5, 144]
    assert rest["kernel"] == "bias_neuron.singles"


def test_times_follow_from_the_ceilings(counts: dict[str, dict[str, Any]]) -> None:
    step = counts["bf16"]["bprop pool pool.bprop_max"]
    assert step["bound"] == pytest.approx(step["size"] / 3.35e6)
    assert (step["us"], step["launches"][0]["by"]) == (2.0, "launch")  # so little takes as long as a launch


def test_blocks_of_a_multiprocessor() -> None:
    cases = {
        (128, 256, 0): 2,  # registers: 4096 to a warp, 16 warps
        (255, 128, 0): 2,  # 8192 to a warp
        (168, 128, 0): 3,  # 5376 to a warp: 3 warps in each quarter
        (40, 96, 0): 16,  # 1280: 12 warps in each quarter, 48
        (32, 1024, 0): 2,  # warps
        (16, 32, 0): 32,  # blocks
        (32, 128, 69632): 3,  # shared memory: 68 KB and one of the system
        (32, 128, 232448): 1,
    }  # fmt: skip
    found = own_process(f"print(json.dumps([Resources(r, 0, 0, 0).resident(t, s) for r, t, s in {list(cases)}]))")
    assert found == list(cases.values())


def test_what_ptxas_prints_is_understood() -> None:
    report = """
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'second' for 'sm_90'
ptxas info    : Function properties for second
    48 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 48 bytes cumulative stack size, 4096 bytes smem
ptxas info    : Compiling entry function 'first' for 'sm_90'
ptxas info    : Function properties for first
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 32 registers, used 0 barriers
"""
    found = own_process(f"print(json.dumps({{name: vars(own) for name, own in parse({report!r}).items()}}))")
    assert found == {
        "second": {"registers": 255, "static_shared": 4096, "stack": 48, "spilled": 16},
        "first": {"registers": 32, "static_shared": 0, "stack": 0, "spilled": 0},
    }


def test_nvcc_reports_a_kernel() -> None:
    nvcc = toolkit.find_nvcc()
    if nvcc is None or "virtual GPU" in toolkit.version(nvcc):
        pytest.skip(f"no nvcc, or the virtual GPU's look-alike of it ({toolkit.MEND_NVCC}; run this file by itself)")
    found = own_process(f"""
from pathlib import Path
from gpu_recorder import KernelSource
kernel = KernelSource(Path({str(ROOT)!r}) / "convnet/ops/softmax/softmax.cu", "fprop", (("ACT_BF16", 0),))
print(json.dumps(vars(resources([kernel], 90)[kernel])))
""")
    assert 8 <= found["registers"] <= 64
    assert found["static_shared"] > 0  # it reduces over a block
    assert found["spilled"] == 0
