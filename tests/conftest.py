"""What all tests share."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def device():
    """A CPU device with two threads, as the smallest machines have."""
    from convnet.backends import open_device

    return open_device("cpu", threads=2)


@pytest.fixture(scope="session")
def reference_files():
    """The folder of published cfg files and what their parsers made of them; not part of the project."""
    folder = SHARED / "reference"
    if not folder.is_dir():
        pytest.skip("the originals' cfg files are not here (../shared/reference)")
    return folder


@pytest.fixture(scope="session")
def torch():
    """PyTorch, which some results are compared with; it is no dependency."""
    return pytest.importorskip("torch", reason="PyTorch is not installed (pip install -e .[peer])")
