"""`convnet test --multiview` from end to end."""

import json
import re
from pathlib import Path

import pytest

from .conftest import DATA, LAYERS, NET, PARAMS, TEST, convnet, only_run


@pytest.fixture
def run(small):
    """A run of the small net on crops of 6x6."""
    convnet("train", *NET, *DATA, "--epochs", 1, "--crop", 6)
    return only_run()


def test_ten_views(run):
    result = convnet("test", "--checkpoint", run, "--multiview")
    line = result.stdout.splitlines()[1]
    words = r"logprob: cost \d\.\d{4}, error \d\.\d{4}, top-2 error \d\.\d{4}"
    assert re.fullmatch(rf"{run}/minibatch-.*: {words}  \({TEST} cases in 10 views\)", line)
    assert result.stderr == ""
    found = json.loads(convnet("test", "--checkpoint", run, "--multiview", "--json").stdout)
    once = json.loads(convnet("test", "--checkpoint", run, "--json").stdout)
    assert (found["views"], once["views"], found["cases"]) == (10, 1, TEST)
    assert found["costs"] == {"logprob": {name: found[name] for name in ("cost", "error", "topk_error")}}
    assert found["cost"] != once["cost"]
    assert f"cost {found['cost']:.4f}, error {found['error']:.4f}" in line


@pytest.mark.parametrize(("given", "views"), [
    (["--multiview-test=1"], 10), (["--multiview-test=0"], 1), (["--multiview", "no"], 1), (["--multiview-test"], 10),
])  # fmt: skip
def test_as_the_originals_write_it(run, given, views):
    assert json.loads(convnet("test", "-f", run, *given, "--json").stdout)["views"] == views


def test_costs_of_other_types_are_left_out(small):
    Path("small.cfg").write_text(f"{LAYERS}[size]\ntype=cost.sum2\ninputs=fc\n")
    Path("rates.cfg").write_text(f"{PARAMS}[size]\ncoeff=0.001\n")
    convnet("train", *NET, *DATA, "--epochs", 1, "--crop", 6)
    result = convnet("test", "-f", only_run(), "--multiview", "--json")
    assert result.stderr == "note: the probabilities of several views tell nothing of the cost 'size'\n"
    assert list(json.loads(result.stdout)["costs"]) == ["logprob"]
    assert list(json.loads(convnet("test", "-f", only_run(), "--json").stdout)["costs"]) == ["logprob", "size"]


def test_images_that_are_not_cropped(small):
    convnet("train", *NET, *DATA, "--epochs", 1)
    result = convnet("test", "-f", only_run(), "--multiview", code=2)
    assert result.stderr == (
        "convnet: arrays in data.npz: expected a crop (--crop or --crop-border) for views of images, found none\n"
    )


def test_the_number_of_workers_is_not_kept(small):
    """It says where to compute: a run has the same files whatever it was."""
    convnet("train", *NET, *DATA, "--epochs", 1, "--workers", 2)
    (checkpoint,) = only_run().iterdir()
    state = json.loads((checkpoint / "state.json").read_text())
    assert "workers" not in {*state["options"], *state["given"]}
    assert "workers" not in convnet("train", "-f", only_run(), "--epochs", 2).stdout
    assert "belongs on the command line" in _train_section("workers=2").stderr


def _train_section(line):
    Path("rates.cfg").write_text(PARAMS.replace("[train]\n", f"[train]\n{line}\n"))
    return convnet("train", *NET, *DATA, code=2)
