"""CUDA's own compiler takes every kernel that the tests on the virtual GPU used, for every kind of card.

    python -m pytest            # notes which kernels there are, with which macros
    python -m pytest -m nvcc
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from convnet.backends.cuda import toolkit
from convnet.backends.cuda.compiler import FLAGS, INCLUDE
from tests.conftest import KERNELS, ROOT

CARDS = (75, 80, 86, 90, 100, 120)
REPORTED = 90  # the card whose registers and spills are looked at
TENSOR_CORES = 80  # of the kinds that tf32 and bf16 need

pytestmark = pytest.mark.nvcc


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    noted = metafunc.config.cache.get(KERNELS, []) if metafunc.config.option.markexpr == "nvcc" else []
    kernels = [(source, tuple(f"-D{name}={value}" for name, value in defines)) for source, defines in noted]
    ids = [" ".join([Path(source).stem, *(define[2:] for define in defines)]) for source, defines in kernels]
    metafunc.parametrize("kernel", kernels or [None], ids=ids or ["none"])


@pytest.fixture(scope="session")
def nvcc() -> Path:
    found = toolkit.find_nvcc()
    if found is None:
        pytest.skip(f"no nvcc ({toolkit.MEND_NVCC})")
    return found


def test_compiles_for_every_card_and_spills_nothing(
    kernel: tuple[str, tuple[str, ...]] | None, nvcc: Path, tmp_path: Path
) -> None:
    if kernel is None:
        pytest.skip("no kernels were noted: run the tests marked gpu first, then -m nvcc")
    source, defines = kernel
    for card in CARDS:
        command = [nvcc, "-cubin", f"-arch=sm_{card}", *FLAGS, "-Werror", "all-warnings", "-Xptxas", "-v", *defines,
                   f"-I{INCLUDE}", "-o", tmp_path / "out", ROOT / source]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        if card == REPORTED:
            spills = [int(number) for number in re.findall(r"(\d+) bytes spill", done.stderr)]
            assert spills, done.stderr
            assert not any(spills), done.stderr
