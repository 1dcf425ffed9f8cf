"""What `convnet train` says before and after training, and of the options that only cuda-convnet has."""

import re
from pathlib import Path

import pytest

from convnet.backends.cpu import jit

from .conftest import DATA, LAYERS, NET, PARAMS, convnet, only_run

COMPILING = "compiling kernels for this machine; later runs start at once\n"


def test_top_1_is_said_once(small):
    Path("rates.cfg").write_text(PARAMS.replace("topk=2", "topk=1"))
    output = convnet("train", *NET, *DATA).stdout
    costs = re.findall(r"logprob: (.*?)  \(", output + convnet("test", "-f", only_run()).stdout)
    assert len(costs) == 6 + 2 + 1
    assert all(re.fullmatch(r"cost \d\.\d{4}, error \d\.\d{4}", cost) for cost in costs)


def test_a_net_that_counts_no_errors(small):
    Path("small.cfg").write_text(
        LAYERS.partition("[probs]")[0].replace("[labels]\ntype=data\ndataIdx=1\n", "")
        + "[off]\ntype=cost.sum2\ninputs=fc\n"
    )
    Path("rates.cfg").write_text(PARAMS.replace("[logprob]\ntopk=2", "[off]"))
    output = convnet("train", *NET, *DATA, "--epochs", "1").stdout
    assert re.search(r"\nbest test cost: \d+\.\d{4} \(", output)
    assert "error" not in output + convnet("test", "-f", only_run()).stdout


def test_classes_are_named_up_to_twelve(small):
    names = ", ".join(map(str, range(12)))
    arguments = ("--epochs", "1", "--batch-size", "20", "--data-provider")
    assert f"\nclasses: {names}\n" in convnet("train", *NET, *arguments, "dummy-3x8x8-12", "--classes", "12").stdout
    assert "classes:" not in convnet("train", *NET, *arguments, "dummy-3x8x8-13", "--classes", "13").stdout


def test_outputs_that_the_sample_changed_are_said(folder):
    """Once, when the run begins, and only if nobody asked for them."""
    text = Path(__file__).parents[2].joinpath("layers-cfg/digits.cfg").read_text().replace("outputs=10", "outputs=7")
    Path("layers-cfg").mkdir()
    Path("layers-cfg/digits.cfg").write_text(text)
    short = ("--epochs", "1", "--params", Path(__file__).parents[2] / "params-cfg/digits.cfg")
    line = "      10 outputs for the sample's 10 classes instead of the layer file's 7\n"
    assert line in convnet("train", "--layers", "digits", *short).stdout
    assert line not in convnet("train", "--checkpoint", only_run(), "--epochs", "2").stdout
    assert "instead of" not in convnet("train", "--layers", "digits", *short, "--classes", "10").stdout


def test_changed_options_are_said_on_resume(small):
    convnet("train", *NET, *DATA)
    arguments = ("--epochs", "3", "--train-range", "1-2", "--test-freq", "9", "--shuffle")
    lines = convnet("train", "-f", only_run(), *arguments).stdout.splitlines()
    (line,) = (line for line in lines if line.startswith("changed: "))
    assert sorted(line.removeprefix("changed: ").split(", ")) == [
        "epochs 2 -> 3", "shuffle false -> true", "test-freq unset -> 9", "train-range unset -> 1-2",
    ]  # fmt: skip
    assert "changed" not in convnet("train", *NET, *DATA, "--epochs", "1").stdout


def test_compiling_is_said_when_nothing_is_compiled_yet(small, monkeypatch):
    monkeypatch.setattr(jit, "cache_folder", lambda: small / "cache")
    assert COMPILING in convnet("train", *NET, *DATA, "--epochs", "1").stdout
    (small / "cache" / "pool").mkdir(parents=True)
    (small / "cache" / "pool" / "kernel.nbi").touch()
    assert COMPILING not in convnet("train", *NET, *DATA, "--epochs", "1").stdout


UNUSED = (
    "num-gpus conserve-mem save-file max-filesize zip-save force-save layer-path logreg-name multiview-test "
    "test-only check-grads"
)


@pytest.mark.parametrize("name", UNUSED.split())
def test_options_that_only_the_originals_have(small, name):
    result = convnet("train", *NET, *DATA, "--epochs", "1", f"--{name}", "0")
    assert re.fullmatch(rf"note: --{name} of cuda-convnet is not used here: .+\n", result.stderr)
    assert f"--{name}" not in convnet("train", "--help").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--test-only", "1"), "convnet test --checkpoint"),
        (("--test-only",), "convnet test --checkpoint"),
        (("--check-grads=1",), "convnet check-grads --layers"),
    ],
)
def test_what_the_originals_options_cannot_ask_for(small, arguments, message):
    result = convnet("train", *NET, *DATA, *arguments, code=2)
    assert message in result.stderr
    assert not Path("runs").exists()


def test_several_errors_are_counted(small):
    Path("small.cfg").write_text(LAYERS.replace("filterSize=3", "filterSize=0").replace("inputs=drop", "inputs=dorp"))
    first, *lines = convnet("train", *NET, *DATA, code=2).stderr.splitlines()
    assert (first, len(lines)) == ("convnet: 2 errors", 2)
    assert all(re.match(r"small\.cfg:\d+: \[", line) for line in lines)
    Path("small.cfg").write_text(LAYERS.replace("filterSize=3", "filterSize=0"))
    (line,) = convnet("train", *NET, *DATA, code=2).stderr.splitlines()
    assert line.startswith("convnet: small.cfg:17: [conv] filterSize: ")
