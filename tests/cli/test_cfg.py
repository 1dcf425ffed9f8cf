"""Nets in several files, and `convnet describe --cfg`, which prints a net back as one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT

from .conftest import NET, PARAMS, convnet

INPUT = ("--input", "3x8x8")
FILES = ("--layers", "net.cfg", "--params", "rates.cfg", *INPUT)


@pytest.fixture
def family(small: Path) -> Path:
    """The small net as one that includes its body, and rates that include their own."""
    body = Path("small.cfg").read_text().replace("filters=4", "filters=${filters}").replace("=relu", "=${neuron}")
    Path("bodies").mkdir()
    Path("bodies/body.cfg").write_text(f"filters=3\nneuron=tanh[1,1]\n{body}")
    Path("net.cfg").write_text("filters=4\nneuron=relu\ninclude=bodies/body\n")
    Path("params-cfg").mkdir()
    Path("params-cfg/learning.cfg").write_text("w=1\n" + PARAMS.replace("epsW=0.05", "epsW=${w}"))
    Path("rates.cfg").write_text("include=learning\nw=0.05\n")
    return small


def test_a_family_describes_as_the_net_it_stands_for(family: Path) -> None:
    Path("own.cfg").write_text(PARAMS)
    one = json.loads(convnet("describe", "--layers", "small.cfg", "--params", "own.cfg", *INPUT, "--json").stdout)
    assert json.loads(convnet("describe", *FILES, "--json").stdout) == one
    Path("net.cfg").write_text("include=bodies/body\n")
    assert json.loads(convnet("describe", *FILES, "--json").stdout)["parameters"] < one["parameters"]


def test_what_is_printed_stands_alone_and_prints_as_itself(family: Path) -> None:
    layers, params = (convnet("describe", *FILES, *cfg).stdout for cfg in (["--cfg"], ["--cfg", "params"]))
    assert "include" not in layers + params
    assert "${" not in layers + params
    assert params.startswith("[train]\nbatch-size=20\nmini=8\nepochs=2\n\n[conv]\nepsW=0.05\n")
    before = convnet("describe", *FILES, "--json").stdout
    Path("alone").mkdir()
    Path("alone/l.cfg").write_text(layers)
    Path("alone/p.cfg").write_text(params)
    alone = ("--layers", "alone/l.cfg", "--params", "alone/p.cfg", *INPUT)
    assert convnet("describe", *alone, "--json").stdout == before
    assert convnet("describe", *alone, "--cfg", "layers").stdout == layers
    assert convnet("describe", *alone, "--cfg", "params").stdout == params


def test_classes_and_options_are_printed_too(small: Path) -> None:
    printed = convnet("describe", *NET, *INPUT, "--classes", "2", "--cfg").stdout
    assert "outputs=2\n" in printed
    assert convnet("describe", *NET, *INPUT, "--classes", "1", "--cfg", "params").stdout.endswith("wc=0.01\n")


@pytest.mark.parametrize(("more", "message"), [
    (["--cfg", "--json"], "--cfg: expected no --json, --plan or --device"),
    (["--cfg", "params", "--plan"], "--cfg: expected no --json, --plan or --device"),
    (["--cfg", "both"], "'both' is not one of 'layers', 'params'"),
])  # fmt: skip
def test_options_that_do_not_go_together(small: Path, more: list[str], message: str) -> None:
    assert message in convnet("describe", *NET, *INPUT, *more, code=2).stderr


def test_without_a_parameter_file_there_is_none_to_print(small: Path) -> None:
    (small / "alone").mkdir()
    (small / "alone" / "net.cfg").write_text(Path("small.cfg").read_text())
    arguments = ("describe", "--layers", "alone/net.cfg", *INPUT, "--cfg")
    assert "expected a parameter file" in convnet(*arguments, "params", code=2).stderr
    assert convnet(*arguments).stdout.startswith("[data]\ntype=data\n")


def test_files_are_included_by_the_names_of_nets_that_come_with_convnet(folder: Path) -> None:
    Path("mine.cfg").write_text("include=digits\n[more]\ntype=cost.sum2\ninputs=probs\n")
    found = convnet("describe", "--layers", "mine.cfg", "--input", "1x8x8", "--json").stdout
    whole = convnet("describe", "--layers", ROOT / "layers-cfg" / "digits.cfg", "--json").stdout
    assert json.loads(found)["layers"][:-1] == json.loads(whole)["layers"]


def test_a_run_keeps_what_it_was_made_of(family: Path) -> None:
    convnet("train", *FILES[:4], "--data-provider", "dummy-3x8x8-3", "--save-path", "runs", "--epochs", "1")
    (run,) = Path("runs").iterdir()
    for path in ("bodies/body.cfg", "params-cfg/learning.cfg", "net.cfg", "rates.cfg"):
        Path(path).unlink()
    assert "cases" in convnet("test", "-f", run).stdout


def test_layers_names_what_other_dialects_call_a_type() -> None:
    text = convnet("layers", "hs").stdout
    assert text == convnet("layers", "dropout2").stdout
    assert text.startswith("type=dropout2    inputs: 1    also called hs\n")
    assert "also called" not in convnet("layers", "cost.dce").stdout
    assert "may stand in the layer file, too" in text
    assert "side of the window; also called sizeX" in convnet("layers", "rnorm").stdout


def test_layers_shows_a_types_own_keys_before_those_of_many_types() -> None:
    lines = convnet("layers", "pool").stdout.splitlines()
    keys = [line.split(":")[0].strip() for line in lines if line.startswith("  ") and not line.startswith("   ")]
    assert keys[:10] == [
        "pool", "channels", "sizeX", "stride", "start", "outputsX", "sum", "inputs", "gpu", "neuron",
    ]  # fmt: skip


def test_train_says_which_parameter_file_it_took_and_counts_one_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for kind, name in (("layers-cfg", "layers-my.cfg"), ("params-cfg", "layer-params-my.cfg")):
        Path(name).write_text((ROOT / kind / "digits.cfg").read_text())
    data = ("--data-provider", "dummy-1x8x8-10", "--train-range", "1", "--epochs", "1")
    lines = convnet("train", "--layers", "layers-my.cfg", *data).stdout.splitlines()
    assert any(line.startswith("net:  layers-my.cfg with layer-params-my.cfg, ") for line in lines)
    assert any(line.startswith("run:  ") and line.endswith(", 1 epoch of 1 data batch") for line in lines)
