"""CUDA's own compiler takes every kernel that the tests on the virtual GPU used, for every kind of card.

    python -m pytest            # notes which kernels there are, with which macros
    python -m pytest -m nvcc
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from convnet.backends.cuda import toolkit
from convnet.backends.cuda.compiler import FLAGS, INCLUDE
from tests.conftest import KERNELS, ROOT

REPORTED = 90  # the variants of each kernel are compiled for this card, and their spills are looked at
SMALLEST = 64  # tiles of this height are compiled with all ways to copy, others with the widest one
OTHERS = (80, 86, 100, 120)  # one variant of each kind for these, from one pass of the front end
OLDEST = 75  # and for this one, where it knows what they need
KINDS = ("ACT_BF16", "TENSOR_CORES")  # macros that choose other code; the others are sizes

pytestmark = pytest.mark.nvcc
Kernel = tuple[str, tuple[str, ...], tuple[int, ...]]  # source, macros, cards


def noted(config: pytest.Config) -> tuple[bool, list[Kernel]]:
    """Whether all tests ran, and what is to be compiled."""
    found = config.cache.get(KERNELS, {"whole": True, "kernels": []}) if config.option.markexpr == "nvcc" else {}
    jobs: list[Kernel] = []
    kinds: set[object] = set()
    for source, defines in reversed(found.get("kernels", [])):  # the smallest tiles, which compile fastest, come last
        macros = tuple(f"-D{name}={value}" for name, value in defines)
        if looked_at(dict(defines)):
            jobs.append((source, macros, (REPORTED,)))
        kind = (source, *(value for name, value in defines if name in KINDS))
        if kind not in kinds:
            kinds.add(kind)
            plain = not any(value for name, value in defines if name in KINDS)
            jobs.append((source, macros, (OLDEST, *OTHERS) if plain else OTHERS))
    return found.get("whole", True), jobs


def looked_at(macros: dict[str, int]) -> bool:
    """Whether a variant is worth its seconds: the larger tiles of convolution differ in many ways that are alike."""
    if macros.get("TILE_M", SMALLEST) == SMALLEST:
        return True
    pack = 8 if macros["ACT_BF16"] else 4
    return macros["VEC_B"] == pack and (macros["VEC_A"] == pack or bool(macros["LINES"]))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "job" in metafunc.fixturenames:
        jobs = noted(metafunc.config)[1]
        metafunc.parametrize("job", jobs or [None], ids=[*map(name_of, jobs)] or ["none"])


def name_of(job: Kernel) -> str:
    source, macros, cards = job
    return " ".join([Path(source).stem, *(macro[2:] for macro in macros), *map(str, cards)])


@pytest.fixture(scope="module")
def reports(request: pytest.FixtureRequest) -> Iterator[dict[Kernel, Future[subprocess.CompletedProcess[str]]]]:
    """What the compiler said of each, as many at a time as there are cores."""
    nvcc = toolkit.find_nvcc()
    if nvcc is None:
        pytest.skip(f"no nvcc ({toolkit.MEND_NVCC})")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {job: pool.submit(compiled, nvcc, job) for job in noted(request.config)[1]}
        pool.shutdown(cancel_futures=True)


def compiled(nvcc: Path, job: Kernel) -> subprocess.CompletedProcess[str]:
    source, macros, cards = job
    with tempfile.NamedTemporaryFile() as out:
        command = [nvcc, *targets(cards), *FLAGS, "-Werror", "all-warnings", "-Xptxas", "-v", *macros,
                   f"-I{INCLUDE}", "-o", out.name, ROOT / source]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=False)


def targets(cards: tuple[int, ...]) -> list[str]:
    """What to make: machine code for these cards. The kernels have nothing for cards newer than OTHERS[0] alone."""
    if len(cards) == 1:
        return ["-cubin", f"-arch=sm_{cards[0]}"]
    codes = ",".join(f"sm_{card}" for card in OTHERS)
    oldest = [f"-gencode=arch=compute_{OLDEST},code=sm_{OLDEST}"] if OLDEST in cards else []
    return ["-fatbin", *oldest, f"-gencode=arch=compute_{OTHERS[0]},code=[{codes}]"]


def test_compiles_and_spills_nothing(
    job: Kernel | None, reports: dict[Kernel, Future[subprocess.CompletedProcess[str]]]
) -> None:
    if job is None:
        pytest.skip("no kernels were noted: run the tests marked gpu first, then -m nvcc")
    done = reports[job].result()
    assert done.returncode == 0, done.stderr
    if job[2] == (REPORTED,):
        spills = [int(number) for number in re.findall(r"(\d+) bytes spill", done.stderr)]
        assert spills, done.stderr
        assert not any(spills), done.stderr


def test_all_kernels_were_noted(request: pytest.FixtureRequest) -> None:
    whole, jobs = noted(request.config)
    if not jobs:
        pytest.skip("no kernels were noted")
    assert whole, "only some tests marked gpu were run before -m nvcc: their kernels are not all there are"
