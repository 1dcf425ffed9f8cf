"""Help, version, and what is said to those who mistype a command or an option."""

import importlib
import re

import click
import pytest
from convnet_cli.main import COMMANDS

import convnet as package
from convnet.data import provider_names

from .conftest import NET, convnet, program

COMMAND = {name: importlib.import_module(f"convnet_cli.{name.replace('-', '_')}").command for name in COMMANDS}
# What users are promised, the originals' names among them.
OPTIONS = {
    "train": "--layers --layer-def --params --layer-params --checkpoint -f --load-file --data --data-path "
    "--data-provider --save-path --epochs --mini --test-freq --testing-freq --test-range --train-range "
    "--crop --inner-size --noise --color-noise --seed --shuffle --keep --classes --test-share --threads --device "
    "--precision --tune --no-tune --exact --conv-to-local --unshare-weights",
    "test": "--checkpoint -f --load-file --data --data-path --test-range --mini --json --threads --device "
    "--precision --tune --no-tune --exact",
    "describe": "--layers --layer-def --params --layer-params --input --plan --device --precision --json",
    "data": "make info get sample",
    "devices": "--json",
    "layers": "",
    "features": "--checkpoint -f --load-file --layer --write-features --out --feature-path --form --data --data-path "
    "--test-range --mini --threads --device --precision --tune --no-tune --exact",
    "import-original": "ORIGINAL RUN",
    "check-grads": "--layers --layer-def --params --layer-params --input --seed",
    "time": "--layers --layer-def --params --layer-params --input --classes --mini --device --gpu --threads "
    "--precision --tune --no-tune --exact --json",
}  # fmt: skip


def test_every_command_is_listed():
    for help_option in ("--help", "-h"):
        output = convnet(help_option).output
        for name, text in COMMANDS.items():
            assert re.search(rf"^  {name} +{re.escape(text)}$", output, re.MULTILINE), output
        assert "convnet train --layers digits" in output


def test_without_a_command_the_help_is_shown():
    result = convnet(code=2)
    assert "Commands:" in result.output


def test_version():
    assert convnet("--version").output == f"convnet, version {package.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_every_option(name):
    output = convnet(name, "--help").output
    assert output.startswith(f"Usage: convnet {name} [OPTIONS]")
    for option in OPTIONS[name].split():
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", output), option
    for parameter in COMMAND[name].params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, parameter.name
            assert all(option in output for option in parameter.opts)
    assert len(COMMAND[name].help.split()) > 8


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_the_terminal(name):
    assert max(map(len, convnet(name, "--help").output.splitlines())) <= 80


@pytest.mark.parametrize("name", ["train", "test"])
def test_help_names_the_data_providers(name):
    # Lines may break after the hyphen of a name.
    assert f": {', '.join(provider_names())}.".replace(" ", "") in "".join(convnet(name, "--help").output.split())


def test_defaults_are_those_of_the_command():
    def default(name, option):
        text = " ".join(convnet(name, "--help").output.partition("Options:")[2].split())
        found = re.search(rf"--{option} .*?(?= --\w)", text)[0]
        return re.findall(r"\[default: (.*?)\]", found)

    assert default("train", "mini") == ["128"]
    assert default("train", "epochs") == ["50"]
    assert default("train", "shuffle") == ["false"]
    assert default("check-grads", "mini") == ["4"]
    assert default("test", "mini") == []  # as in training


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "No such command 'trian'"),
        (["train", "--layers", "digits", "--epoch", "3"], "No such option '--epoch'"),
        (["train", "--layers", "digits", "--colour-noise", "3"], "No such option '--colour-noise'"),
        (["train"], "expected either --layers or --checkpoint"),
        (["train", "--layers", "digits", "--checkpoint", "runs"], "expected either --layers or --checkpoint"),
        (["test"], "expected --checkpoint"),
        (["describe"], "expected --layers"),
        (["check-grads"], "expected --layers"),
        (["time"], "expected --layers"),
        (["describe", "digits"], "Got unexpected extra argument (digits)"),
        (["train", "--layers"], "Option '--layers' requires an argument"),
        (["train", *NET, "--threads", "0"], "Invalid value for '--threads'"),
        (["train", *NET, "--mini", "0"], "'--mini': expected an integer of at least 1, found '0'"),
        (["train", *NET, "--epochs", "two"], "'--epochs': expected an integer of at least 1, found 'two'"),
        (
            ["train", *NET, "--input", "8x8"],
            "'--input': expected channels x rows x columns, such as 3x32x32, found '8x8'",
        ),
        (
            ["train", *NET, "--train-range", "5-1"],
            "expected a number or a range of numbers, such as 6 or 1-5, found '5-1'",
        ),
        (["train", *NET, "--color-noise", "-1"], "expected a number of at least 0, found '-1'"),
        (["train", *NET, "--flip", "perhaps"], "'--flip': expected true or false, found 'perhaps'"),
    ],
)
def test_wrong_usage(arguments, message, small):
    before = sorted(small.rglob("*"))
    result = convnet(*arguments, code=2)
    assert message in result.stderr
    assert result.stdout == ""
    assert sorted(small.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["layers", "covn"], "unknown layer type 'covn'; did you mean 'conv'?"),
        (
            ["train", *NET, "--device", "gpu", "--data-provider", "dummy-3x8x8-3"],
            "--device: expected auto, cpu, cuda or a GPU by its number, such as cuda:1, found 'gpu'",
        ),
        (["test", "--checkpoint", "runs/none"], "runs/none: expected a run or a checkpoint, found nothing"),
        (["train", "--checkpoint", "."], ".: expected a run or a checkpoint, found no checkpoint"),
        (["describe", *NET], "--input: expected the net's input, such as 3x32x32; no [train] section tells it"),
        (["describe", "--layers", "lenet"], "lenet: the layer file does not exist; did you mean 'lenet5'?"),
        (["train", *NET, "--save-path", "small.cfg"], "--save-path: expected a folder, but small.cfg is a file"),
        (["train", *NET, "--save-path", "rates.cfg/runs"], "--save-path: expected a folder, but "),
        (
            ["train", *NET, "--data-provider", "dummy-3x8x8-3", "--mini", str(10**15)],
            "the net or its data does not fit into memory: ",
        ),
    ],
)
def test_wrong_arguments(arguments, message, small):
    before = sorted(small.rglob("*"))
    result = convnet(*arguments, code=2)
    assert result.stderr.startswith(f"convnet: {message}"), result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
    assert sorted(small.rglob("*")) == before


def test_the_installed_program():
    with program("describe", "--layers", "digits", "--json", stdout=-1, stderr=-1) as process:
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert output == convnet("describe", "--layers", "digits", "--json").stdout
