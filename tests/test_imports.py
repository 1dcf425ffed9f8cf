"""Imports point down only, and light commands load nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From the top: a package may import those below it, and its own.
LAYERS = [
    {"cli"},
    {"convnet.training"},
    {"convnet.data", "convnet.net"},
    {"convnet.plan"},
    {"convnet.graph"},
    {"convnet.layers"},
    {"convnet.weights"},
    {"convnet.config"},
    {"convnet.ops"},
    {"convnet.backends"},
    {"convnet.tensor"},
    {"convnet.lock"},
    {"convnet.shape", "convnet.pixels", "convnet.errors", "convnet.philox"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# Opening a device is the one thing that the top asks of the bottom by name; the rest of `convnet` is its version.
SOURCES = sorted([*ROOT.glob("convnet/**/*.py"), *ROOT.glob("cli/**/*.py")])


def package_of(module: str) -> str | None:
    parts = module.split(".")
    for name in (".".join(parts[:2]), parts[0]):
        if name in RANK:
            return name
    return None


def imports_of(source: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(source):
    own = package_of(".".join(source.relative_to(ROOT).with_suffix("").parts))
    for module in imports_of(source):
        below = package_of(module)
        if below is None or own is None or below == own:
            continue
        assert RANK[own] < RANK[below], f"{source.relative_to(ROOT)} imports {module}, which lies above it or beside it"


def test_every_package_has_its_place():
    packages = {f"convnet.{path.stem}" for path in ROOT.glob("convnet/*") if path.suffix in ("", ".py")}
    packages -= {"convnet.__init__", "convnet.__pycache__"}
    assert packages <= set(RANK), packages - set(RANK)


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(run.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import convnet",
        "from convnet_cli import main; main(['--help'], standalone_mode=False)",
        "from convnet_cli import main; main(['layers'], standalone_mode=False)",
        "from convnet_cli import main; main(['describe', '--layers', 'alexnet'], standalone_mode=False)",
        "from convnet_cli import main; main(['train', '--help'], standalone_mode=False)",
    ],
)
def test_light_commands_load_no_backend(code):
    loaded = loaded_by(code)
    assert not loaded & {"numba", "pycuda", "scipy", "sklearn", "skimage", "torch"}


def test_importing_convnet_is_quick():
    """Under 0.2 s of processor time beyond Python and NumPy, the issue of slow start-up never coming back."""
    script = "import time, numpy; began = time.process_time(); import convnet; print(time.process_time() - began)"
    runs = [subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
            for _ in range(3)]  # fmt: skip
    assert min(float(run.stdout) for run in runs) < 0.2
