"""What the CUDA backend keeps on disk, and the compiler whose work it keeps; neither needs a GPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convnet.backends.cuda import cache, compiler
from convnet.errors import ConvnetError

# A compiler that notes that it was started, waits as long as it is told, and gives its options for machine code.
NVCC = """#!{python}
import os, sys, time
from pathlib import Path
if "--version" in sys.argv:
    sys.exit(print("release 0"))
if "--list-gpu-code" in sys.argv:
    sys.exit(print("sm_75 sm_80"))
Path("{folder}/started").touch()
time.sleep({seconds})
if "-DWRONG=1" in sys.argv:
    sys.exit("line 7: no")
Path(sys.argv[sys.argv.index("-o") + 1]).write_text(" ".join(sys.argv[1:3]))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source" / "kernel.cu"
    file.parent.mkdir()
    file.write_text("a kernel")
    return file


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's folder."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(cache, "folder", lambda: folder)
    return folder


def install(folder: Path, seconds: float = 0) -> str:
    """A PATH that begins with the compiler above."""
    script = folder / "bin" / "nvcc"
    script.parent.mkdir(exist_ok=True)
    script.write_text(NVCC.format(python=sys.executable, folder=folder, seconds=seconds))
    script.chmod(0o755)
    return f"{script.parent}:{os.environ['PATH']}"


@pytest.fixture
def nvcc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there once the compiler has been started to compile."""
    monkeypatch.setenv("PATH", install(tmp_path))
    return tmp_path / "started"


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets the folder be decided in a test, for this test alone."""
    cache.folder.cache_clear()
    yield
    cache.folder.cache_clear()


def test_a_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "made" / "file"
    with cache.written_aside(target) as aside:
        aside.write_text("half")
        assert not target.exists()
    assert target.read_text() == "half"
    assert list(target.parent.iterdir()) == [target]


def interrupted_while_writing(target: Path) -> None:
    with cache.written_aside(target) as aside:
        aside.write_text("half")
        raise KeyboardInterrupt


def test_what_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        interrupted_while_writing(target)
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_digests_differ_by_text_and_by_content(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a")
    first = cache.digest("text", [file])
    assert first == cache.digest("text", [file])
    assert first != cache.digest("other", [file])
    file.write_text("b")
    assert first != cache.digest("text", [file])


@pytest.mark.usefixtures("decided")
def test_the_folder_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "convnet" / "cuda"
    assert cache.folder().is_dir()


@pytest.mark.parametrize("how", ["a file in its place", "no rights"])
@pytest.mark.usefixtures("decided")
def test_without_a_place_there_is_one_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "no rights":
        monkeypatch.setattr(os, "access", lambda *_: False)  # chmod does not keep root out
    else:
        (tmp_path / "convnet").write_text("")
    made = tmp_path / "made"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(tempfile, "mkdtemp", lambda prefix: made.mkdir() or str(made))
    assert cache.folder() == made
    assert cache.folder() == made, "mkdir raises the second time"


def test_the_temporary_folder_goes_away_with_the_process(tmp_path: Path) -> None:
    (tmp_path / "convnet").write_text("")
    code = "from convnet.backends.cuda import cache; print(cache.folder()); assert cache.folder().is_dir()"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).parent == tmp_path
    assert not Path(done.stdout.strip()).exists()


def test_kernels_are_compiled_once(nvcc: Path, source: Path, kept: Path) -> None:
    code = compiler.compile_kernels(source, {"TILE": 3}, 80)
    assert code == b"-cubin -arch=sm_80"
    nvcc.unlink()
    assert compiler.compile_kernels(source, {"TILE": 3}, 80) == code
    assert not nvcc.exists()
    source.write_text("another")
    compiler.compile_kernels(source, {"TILE": 3}, 80)
    assert nvcc.exists()
    assert len(list(kept.iterdir())) == 2


def test_wrong_sources_are_told_and_leave_nothing(nvcc: Path, source: Path, kept: Path) -> None:
    with pytest.raises(ConvnetError, match=r"kernel\.cu: nvcc .*-DWRONG=1 failed:\nline 7: no"):
        compiler.compile_kernels(source, {"WRONG": 1}, 80)
    assert not list(kept.iterdir())


def test_an_interrupted_compiler_leaves_nothing(
    nvcc: Path, source: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler.compile_kernels(source, {}, 80)  # from now on the compiler's version is known
    before = set(kept.iterdir())

    def interrupted(*_arguments: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(compiler.subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compiler.compile_kernels(source, {"OTHER": 1}, 80)
    assert set(kept.iterdir()) == before


def test_a_cache_that_fills_up_is_told(nvcc: Path, source: Path, kept: Path) -> None:
    kept.write_text("a file where the folder was")
    with pytest.raises(ConvnetError, match=r"kernel\.cu: its machine code cannot be kept: .*cache"):
        compiler.compile_kernels(source, {}, 80)


def test_ctrl_c_does_not_reach_the_compiler(source: Path, tmp_path: Path) -> None:
    """A terminal sends it to all of a program's process group; the program may want to end in good order."""
    code = f"""
import signal, sys
from pathlib import Path
from convnet.backends.cuda.compiler import compile_kernels
signal.signal(signal.SIGINT, lambda *_: print("asked to end"))
print(compile_kernels(Path({str(source)!r}), {{}}, 80).decode())
"""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PATH": install(tmp_path, seconds=0.5)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, process_group=0
    )
    while not (tmp_path / "started").exists():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    told, _ = process.communicate(timeout=30)
    assert told == "asked to end\n-cubin -arch=sm_80\n"
