"""What users meet when their files are wrong: one message with the right lines, exit code 2, nothing written.

The files are in broken/. A message that a line must cause stands behind it, after "; expect", without file and line;
one about another file, or a whole file, stands at the top, after "# expect". An ellipsis stands for any text. Commands
in parentheses are the only ones that must give the message; one that must give none must end well. The layer files in
layers/ go with params.cfg, the parameter files in params/ with layers.cfg; in both/ are pairs.
"""

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from click.testing import CliRunner
from convnet_cli import main

BROKEN = Path(__file__).parent / "broken"
DATA = ("--data-provider", "dummy-1x8x8-3")
NON_UTF8 = "[data]\ntype=data\ndataIdx=0\n# café\n".encode("latin-1")


def pairs():
    """Layer file and parameter file of every case, relative to BROKEN."""
    for path in sorted(BROKEN.glob("*/*.cfg")):
        if path.parent.name == "both" and path.name.startswith("layers"):
            files = path.name, path.name.replace("layers", "layer-params")
            yield tuple(f"both/{name}" for name in files)
        elif path.parent.name != "both":
            name = f"{path.parent.name}/{path.name}"
            yield (name, "params.cfg") if path.parent.name == "layers" else ("layers.cfg", name)


CASES = list(pairs())
IDS = [layers if params == "params.cfg" else params for layers, params in CASES]
# Commands that need no data.
INPUT = ("--input", "1x8x8")


def expected_messages(name, command="train"):
    for number, line in enumerate((BROKEN / name).read_text(encoding="utf-8").splitlines(), start=1):
        whole = line.startswith("# expect ")
        for text in [line.removeprefix("# expect ")] if whole else line.split("  ; expect ")[1:]:
            commands, message = re.fullmatch(r"(?:\(([^)]*)\) )?(.*)", text).groups()
            if commands is None or command in commands.split(", "):
                yield message if whole else f"{name}:{number}: {message}"


def matches(message, expected):
    return re.fullmatch(re.escape(expected).replace("…", ".*"), message) is not None


def check(output, expected):
    """The output is one message of exactly these lines, their number above them if they are several."""
    number = f"{len(expected)} errors\n" if len(expected) > 1 else ""
    assert output.startswith(f"convnet: {number}"), output
    messages = output.removeprefix(f"convnet: {number}").splitlines()
    assert len(messages) == len(expected), output
    for message, wanted in zip(messages, expected, strict=True):
        assert matches(message, wanted), f"\nexpected {wanted}\nfound    {message}"


def run(*arguments):
    """The output on stderr of a command that must end with exit code 2 and print nothing else."""
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 2, result.output + repr(result.exception)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.stdout == ""
    return result.stderr


@pytest.fixture
def here(monkeypatch):
    """Be in the folder of the broken files, so that messages name them as the cases do; leave nothing there."""
    monkeypatch.chdir(BROKEN)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = sorted(BROKEN.rglob("*"))
    yield
    assert sorted(BROKEN.rglob("*")) == before


@pytest.fixture
def runs(tmp_path):
    """A folder for runs that is not made."""
    yield tmp_path / "runs"
    assert not (tmp_path / "runs").exists()


def test_the_files_beside_the_broken_ones_are_whole(here):
    result = CliRunner().invoke(
        main, ["describe", "--layers", "layers.cfg", "--params", "params.cfg", "--input", "1x8x8"]
    )
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(("layers", "params"), CASES, ids=IDS)
def test_train(layers, params, here, runs):
    expected = [*expected_messages(layers), *expected_messages(params)]
    assert expected
    check(run("train", "--layers", layers, "--params", params, *DATA, "--save-path", str(runs)), expected)


@pytest.mark.parametrize("command", ["describe", "check-grads"])
@pytest.mark.parametrize(("layers", "params"), CASES, ids=IDS)
def test_commands_without_data(layers, params, command, here):
    expected = [*expected_messages(layers, command), *expected_messages(params, command)]
    arguments = (command, "--layers", layers, "--params", params, *INPUT)
    if expected:
        check(run(*arguments), expected)
    else:
        result = CliRunner().invoke(main, list(arguments))
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("case", [
    "layers/key-unknown", "params/schedule-steps", "layers/init-func-several", "layers/classes",
    "both/layer-params-run",
])  # fmt: skip
def test_through_the_installed_command(case, runs):
    layers, params = CASES[IDS.index(f"{case}.cfg")]
    program = Path(sysconfig.get_path("scripts")) / "convnet"
    command = [program, "train", "--layers", layers, "--params", params, *DATA, "--save-path", runs]
    environment = {"PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=BROKEN, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    check(done.stderr, [*expected_messages(layers), *expected_messages(params)])


def test_both_files_of_original_names_are_found_together(here):
    """Without --params; the messages of both files are in one report."""
    output = run("describe", "--layers", "both/layers-everything.cfg", *INPUT)
    names = ("both/layers-everything.cfg", "both/layer-params-everything.cfg")
    check(output, [message for name in names for message in expected_messages(name)])
    assert output.startswith("convnet: 10 errors\n")


def test_a_broken_option_is_not_called_missing(here):
    """describe and check-grads need [train] input: what is wrong with it is said, not that it is not there."""
    for command in ("describe", "check-grads"):
        output = run(command, "--layers", "layers.cfg", "--params", "params/train-input.cfg")
        check(output, list(expected_messages("params/train-input.cfg")))


def test_mistakes_are_reported_before_data_is_looked_for(here, runs):
    for data in ("nowhere", "."):
        output = run("train", "--layers", "layers/outputs-missing.cfg", "--params", "params.cfg", "--data", data)
        check(output, list(expected_messages("layers/outputs-missing.cfg")))


def test_a_misspelt_train_section_is_noted(here, tmp_path):
    (tmp_path / "p.cfg").write_text((BROKEN / "params.cfg").read_text() + "[trian]\nepochs=3\n")
    result = CliRunner().invoke(
        main, ["describe", "--layers", "layers.cfg", "--params", str(tmp_path / "p.cfg"), "--input", "1x8x8"]
    )
    assert result.exit_code == 0
    assert f"note: {tmp_path}/p.cfg:34: [trian] the net has no layer 'trian'; did you mean [train]?" in result.stderr


WHOLE_LAYERS, WHOLE_PARAMS = ((BROKEN / name).read_bytes() for name in ("layers.cfg", "params.cfg"))
# Contents of l.cfg and p.cfg (None: there is no such file; "": a folder), the arguments, the messages.
FILES = {
    "layer file that is not there": (
        None, WHOLE_PARAMS, "--layers l.cfg --params p.cfg",
        ["l.cfg: the layer file does not exist; nets that come with convnet: alexnet, …"],
    ),
    "misspelt net": (
        None, None, "--layers alexnett", ["alexnett: the layer file does not exist; did you mean 'alexnet'?"],
    ),
    "misspelt net in its folder": (
        None, None, "--layers layers-cfg/digit.cfg",
        ["layers-cfg/digit.cfg: the layer file does not exist; did you mean 'digits'?"],
    ),
    "parameter file that is not there": (
        WHOLE_LAYERS, None, "--layers l.cfg --params p.cfg",
        ["p.cfg: the parameter file does not exist; nets that come with convnet: alexnet, …"],
    ),
    "parameter file that is not found": (
        WHOLE_LAYERS, WHOLE_PARAMS, "--layers l.cfg",
        ["l.cfg: its parameter file ../params-cfg/l.cfg does not exist; --params names one"],
    ),
    "layer file that is a folder": (
        "", WHOLE_PARAMS, "--layers l.cfg --params p.cfg", ["l.cfg: expected a layer file, found a directory"],
    ),
    "parameter file that is a folder": (
        WHOLE_LAYERS, "", "--layers l.cfg --params p.cfg", ["p.cfg: expected a parameter file, found a directory"],
    ),
    "layer file that is not UTF-8": (
        NON_UTF8, WHOLE_PARAMS, "--layers l.cfg --params p.cfg", ["l.cfg:4: expected UTF-8 text, found the byte 0xe9"],
    ),
    "parameter file that is not UTF-8": (
        WHOLE_LAYERS, NON_UTF8, "--layers l.cfg --params p.cfg", ["p.cfg:4: expected UTF-8 text, found the byte 0xe9"],
    ),
    "parameter file that is not UTF-8 and a wrong layer": (
        WHOLE_LAYERS.replace(b"outputs=3", b"outputs=0"), NON_UTF8, "--layers l.cfg --params p.cfg",
        ["l.cfg:13: [fc] outputs: expected an integer of at least 1, found '0'",
         "p.cfg:4: expected UTF-8 text, found the byte 0xe9"],
    ),
    "empty layer file": (
        b"", WHOLE_PARAMS, "--layers l.cfg --params p.cfg", ["l.cfg: expected at least one [layer], found none"],
    ),
    "empty parameter file": (
        WHOLE_LAYERS, b"", "--layers l.cfg --params p.cfg",
        ["l.cfg:10: [fc] a layer of type 'fc' needs a section [fc] with epsW, epsB, momW, momB in p.cfg"],
    ),
    "the files swapped": (
        WHOLE_PARAMS.partition(b"[conv2]")[0], WHOLE_LAYERS, "--layers l.cfg --params p.cfg",
        ["l.cfg:1: [conv] type: expected a layer type, but the key is missing",
         "p.cfg: expected a parameter file; this looks like a layer file: [data] has type=data"],
    ),
    "the layer file twice": (
        WHOLE_LAYERS, WHOLE_LAYERS, "--layers l.cfg --params p.cfg",
        ["p.cfg: expected a parameter file; this looks like a layer file: [data] has type=data"],
    ),
    "bytes of an image": (
        b"\x89PNG\r\n\x1a\n\0\0\0", WHOLE_PARAMS, "--layers l.cfg --params p.cfg",
        ["l.cfg:1: expected UTF-8 text, found the byte 0x89"],
    ),
    "letters that steer a terminal": (
        b"[data]\ntype=\x1b[31mdata\n", WHOLE_PARAMS, "--layers l.cfg --params p.cfg",
        ["l.cfg:2: [data] type: unknown layer type '\\x1b[31mdata'…"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_files(name, tmp_path, monkeypatch, runs):
    *contents, arguments, expected = FILES[name]
    monkeypatch.chdir(tmp_path)
    for path, content in zip(("l.cfg", "p.cfg"), contents, strict=True):
        if content == "":
            Path(path).mkdir()
        elif content is not None:
            Path(path).write_bytes(content)
    check(run("train", *arguments.split(), *DATA, "--save-path", str(runs)), expected)
