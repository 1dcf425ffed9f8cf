"""convnet train and convnet test: what they print and write, and what decides the weights."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from .conftest import DATA, LAYERS, NET, PARAMS, TEST, TRAIN, convnet, only_run

COSTS = r"logprob: cost \d\.\d{4}, error \d\.\d{4}, top-2 error \d\.\d{4}"
COMPILING = "compiling kernels for this machine; later runs start at once"
TESTED = rf"  test  {COSTS}  \({TEST} cases, \d+\.\d s\)(  best so far)?"


def epoch(number, batch):
    return rf"epoch {number}/2 batch {batch}  {COSTS}  \(\d+\.\d s, \d+ % waiting for data\)"


def newest(runs="runs"):
    return sorted(only_run(runs).iterdir())[-1]


def trained(name, *arguments):
    """The weights after training, by name; `name` is that of a new folder for the run."""
    convnet("train", *NET, *DATA, "--save-path", name, *arguments)
    return load_file(newest(name) / "weights.safetensors")


def options(runs="runs"):
    return json.loads((newest(runs) / "state.json").read_text())["options"]


def same(first, second):
    assert first.keys() == second.keys()
    return all(np.array_equal(first[name], second[name]) for name in first)


def test_plain_lines_where_there_is_no_terminal(small):
    result = convnet("train", *NET, *DATA, "--threads", "1")
    run, checkpoint = only_run(), newest()
    expected = [
        rf"data: arrays in data\.npz: {TRAIN} training and {TEST} test images of 3x8x8 in 3 classes",
        r"classes: 0, 1, 2",
        r"net:  small\.cfg with rates\.cfg, 547 parameters, minibatches of 8, on cpu:0",
        rf"run:  {run}, 2 epochs of 3 data batches",
        r"rates: 0\.05 weights, 0\.1 biases",
        *(epoch(1, batch) for batch in (1, 2, 3)), TESTED, rf"  saved {run}/minibatch-0{{8}}8.*",
        *(epoch(2, batch) for batch in (1, 2, 3)), TESTED, rf"  saved {checkpoint}",
        rf"best test error: \d\.\d{{4}} \({run}/minibatch-.*\)",
        rf"test it: convnet test --checkpoint {run}/minibatch-.*",
    ]  # fmt: skip
    lines = [line for line in result.stdout.splitlines() if line != COMPILING]
    assert len(lines) == len(expected), result.stdout
    assert lines[-1].split()[-1] == lines[-2].split()[-1].strip("()")
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), f"\n{pattern}\n{line}"
    assert result.stderr == ""
    assert re.fullmatch(r"small-\d{4}-\d\d-\d\d_\d\d\.\d\d\.\d\d", run.name)
    assert sorted(path.name for path in checkpoint.iterdir()) == [
        "layers.cfg", "params.cfg", "state.json", "weights.safetensors",
    ]  # fmt: skip
    assert ((checkpoint / "layers.cfg").read_text(), (checkpoint / "params.cfg").read_text()) == (LAYERS, PARAMS)


def test_test_freq_decides_when_to_test_and_save(small):
    lines = convnet("train", *NET, *DATA, "--test-freq", "2", "--epochs", "1", "--keep", "9").stdout.splitlines()
    words = [line.split()[0] for line in lines[:-1]]
    done = [word for word in words if word in ("epoch", "test", "saved")]
    assert done == ["epoch", "epoch", "test", "saved", "epoch", "test", "saved"]
    assert len(list(only_run().iterdir())) == 2


def test_test_agrees_with_numpy(folder):
    """error, topk_error and cost of a net of one layer, worked out from its weights and the images."""
    random = np.random.default_rng(8)
    arrays = {
        f"{part}_images": random.integers(0, 256, (n, 4, 5, 3), np.uint8) for part, n in (("train", 30), ("test", 21))
    }
    arrays |= {"train_labels": np.arange(30) % 4, "test_labels": random.integers(0, 4, 21)}
    np.savez("data.npz", **arrays)
    sections = re.split(r"\n(?=\[)", LAYERS)
    Path("small.cfg").write_text(
        "\n".join(s for s in sections if s[:5] not in ("[conv", "[drop")).replace("inputs=drop", "inputs=scale")
    )
    Path("rates.cfg").write_text(PARAMS)
    convnet("train", *NET, *DATA, "--classes", "4")
    found = json.loads(convnet("test", "--checkpoint", only_run(), "--json").stdout)
    weights = load_file(newest() / "weights.safetensors")
    images = arrays["test_images"] - arrays["train_images"].mean(axis=0)
    features = images.transpose(0, 3, 1, 2).reshape(21, -1) * 0.01
    scores = features @ weights["fc.weights.0"].astype(float) + weights["fc.biases"]
    order, labels = np.argsort(-scores, axis=1), arrays["test_labels"]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert 0 < np.mean(order[:, 0] != labels) < 1
    assert found["error"] == np.mean(order[:, 0] != labels)
    assert found["topk_error"] == np.mean((order[:, :2] != labels[:, None]).all(axis=1))
    assert found["cost"] == pytest.approx(-np.log(probabilities[np.arange(21), labels]).mean(), rel=1e-5)
    assert found["cases"] == 21


def test_json_of_test(small):
    convnet("train", *NET, *DATA)
    result = convnet("test", "--checkpoint", only_run(), "--json")
    found = json.loads(result.stdout)
    assert {"error", "topk_error", "cost", "cases"} < set(found)
    assert found["costs"] == {"logprob": {key: found[key] for key in ("cost", "error", "topk_error")}}
    assert (found["cases"], found["checkpoint"]) == (TEST, str(newest()))
    assert (result.stdout.count("\n"), result.stderr) == (1, "")
    last = json.loads((newest() / "state.json").read_text())["state"]["test_history"][-1]
    assert last["costs"] == found["costs"], "the test during training said something else"


def test_test_in_plain_lines(small):
    convnet("train", *NET, *DATA)
    lines = convnet("test", "--checkpoint", only_run()).stdout.splitlines()
    assert lines[0] == f"data: arrays in data.npz: {TRAIN} training and {TEST} test images of 3x8x8 in 3 classes"
    assert re.fullmatch(rf"{newest()}: logprob: cost .*, error .*, top-2 error .*  \({TEST} cases\)", lines[1])
    assert len(lines) == 2


def test_test_on_other_data_and_other_batches(small):
    """All test batches, one of them, another minibatch, other data: the errors add up."""
    convnet("train", *NET, *DATA)
    run = only_run()
    whole = json.loads(convnet("test", "--checkpoint", run, "--batch-size", "5", "--json").stdout)
    assert whole["cases"] == TEST
    parts = [
        json.loads(
            convnet("test", "-f", run, "--batch-size", "5", "--test-range", number, "--mini", "2", "--json").stdout
        )
        for number in (11, 12, 13)
    ]
    assert [part["cases"] for part in parts] == [5, 5, 2]
    for key in ("error", "topk_error", "cost"):
        assert sum(part[key] * part["cases"] for part in parts) == pytest.approx(whole[key] * TEST, rel=1e-5)
    arrays = dict(np.load("data.npz"))
    arrays["test_labels"] = (arrays["test_labels"] + 1) % 3
    np.savez("other.npz", **arrays)
    other = json.loads(convnet("test", "--checkpoint", run, "--data", "other.npz", "--json").stdout)
    assert other["data"].startswith("arrays in other.npz")
    assert other["cost"] != whole["cost"]


def test_the_same_command_gives_the_same_weights_whatever_the_threads(small):
    first = trained("first", "--threads", "1", "--shuffle")
    for name, threads in (("again", 1), ("two", 2), ("all", None)):
        assert same(trained(name, "--shuffle", *(("--threads", threads) if threads else ())), first), name
    assert not same(trained("order"), first), "--shuffle changes nothing"


def test_another_seed_gives_other_weights(small):
    first = trained("first", "--seed", "3")
    assert same(trained("again", "--seed", "3"), first)
    assert not same(trained("other", "--seed", "4"), first)
    text = Path("rates.cfg").read_text()
    Path("rates.cfg").write_text(text.replace("[train]\n", "[train]\nseed=3\n"))
    assert same(trained("by the file"), first)


def test_the_command_line_wins_over_the_train_section(small):
    convnet("train", *NET, *DATA, "--mini", "5", "--epochs", "1")
    found = options()
    assert (found["mini"], found["epochs"], found["batch-size"]) == (5, 1, 20)


@pytest.mark.parametrize(
    ("arguments", "value"),
    [((), False), (("--shuffle",), True), (("--shuffle", "yes"), True), (("--shuffle=0",), False)],
)
def test_truth_values(small, arguments, value):
    convnet("train", *NET, *DATA, *arguments, "--epochs", "1")
    assert options()["shuffle"] is value


def test_the_originals_names_of_options(small):
    """Each alias is given with a value that is not the default, and must arrive where the new name's does."""
    text = LAYERS.replace("inputs=scale", "inputs=scale\nsumWidth=2")
    Path("small.cfg").write_text(text)
    names = {
        "layers": "layer-def", "params": "layer-params", "data": "data-path", "crop": "inner-size",
        "noise": "color-noise", "test-freq": "testing-freq",
    }  # fmt: skip
    values = {
        "layers": "small.cfg", "params": "rates.cfg", "data": "data.npz", "crop": 6, "noise": 0.3, "test-freq": 2,
        "test-range": 4, "train-range": "1-2", "mini": 7, "epochs": 3,
    }  # fmt: skip
    for runs, aliases in (("new", {}), ("old", names)):
        given = [item for name, value in values.items() for item in (f"--{aliases.get(name, name)}", value)]
        convnet("train", *given, "--save-path", runs)
    found = options("old")
    assert found == options("new")
    assert {name: found[name] for name in ("data", "crop", "noise", "test-freq", "mini", "epochs")} == {
        "data": str(small / "data.npz"), "crop": 6, "noise": 0.3, "test-freq": 2, "mini": 7, "epochs": 3,
    }  # fmt: skip
    assert (found["train-range"], found["test-range"]) == ([1, 2], [4])
    assert same(*(load_file(newest(runs) / "weights.safetensors") for runs in ("old", "new")))


@pytest.mark.parametrize("name", ["--checkpoint", "--load-file", "-f"])
def test_names_of_the_checkpoint(small, name):
    convnet("train", *NET, *DATA, "--epochs", "1")
    run = only_run()
    whole = convnet("test", "--checkpoint", run, "--json").stdout
    assert convnet("test", name, run, "--json").stdout == whole
    assert convnet("test", name, newest(), "--json").stdout == whole
    convnet("train", name, run, "--epochs", "2")
    assert only_run() == run
    assert json.loads((newest() / "state.json").read_text())["state"]["epoch"] == 3


def test_a_finished_run_asks_for_more_epochs(small):
    convnet("train", *NET, *DATA)
    before = sorted(only_run().rglob("*"))
    result = convnet("train", "--checkpoint", only_run(), code=2)
    assert result.stderr == f"convnet: {newest()}: all 2 epochs are done; --epochs asks for more\n"
    assert sorted(only_run().rglob("*")) == before


def test_the_rates_may_change_on_the_way(small):
    convnet("train", *NET, *DATA, "--epochs", "1")
    before = load_file(newest() / "weights.safetensors")
    Path("still.cfg").write_text(PARAMS.replace("=0.05", "=0").replace("=0.1", "=0"))
    convnet("train", "--checkpoint", only_run(), "--params", "still.cfg", "--epochs", "2")
    assert same(load_file(newest() / "weights.safetensors"), before)
    assert "epsW=0\n" in (newest() / "params.cfg").read_text()


def test_broken_rates_stop_a_resumed_run_before_anything_is_written(small):
    convnet("train", *NET, *DATA, "--epochs", "1")
    before = sorted(Path("runs").rglob("*"))
    Path("rates.cfg").write_text(PARAMS.replace("momB=0.9", "momB=much", 1))
    result = convnet("train", "--checkpoint", only_run(), "--params", "rates.cfg", "--epochs", "2", code=2)
    assert result.stderr == "convnet: rates.cfg:9: [conv] momB: expected a number of at least 0, found 'much'\n"
    assert sorted(Path("runs").rglob("*")) == before


def test_everything_wrong_with_a_checkpoints_files_is_said_at_once(small):
    """By test and by train, of which neither needs the functions for initial weights any more."""
    convnet("train", *NET, *DATA, "--epochs", "1")
    folder = newest()
    text = LAYERS.replace("outputs=3", "outputs=3\nouputs=1\ninitWFunc=gone_weights.ones")
    (folder / "layers.cfg").write_text(text.replace("[labels]", "[labels"))
    before = sorted(Path("runs").rglob("*"))
    for command in (("test",), ("train", "--epochs", "2")):
        errors = convnet(*command, "--checkpoint", folder, code=2).stderr.splitlines()
        place = f"{folder}/layers.cfg"
        assert errors == [
            "convnet: 2 errors",
            f"{place}:5: expected ']' after the name of a section, found '[labels'",
            f"{place}:27: [fc] ouputs: unknown key; did you mean 'outputs'?",
        ]
    assert sorted(Path("runs").rglob("*")) == before


def test_initial_weights_by_function_are_asked_for_once(small):
    """The function's module is needed when the run begins, not when it is tested or goes on, perhaps elsewhere."""
    Path("own_weights.py").write_text(
        "import numpy as np\n\n\ndef ones(layer, index, shape, params):\n"
        "    return np.full(shape, float(params[0]), np.float32)\n"
    )
    Path("small.cfg").write_text(LAYERS.replace("outputs=3", "outputs=3\ninitWFunc=own_weights.ones(0.25)"))
    Path("rates.cfg").write_text(PARAMS.replace("[fc]\nepsW=0.05", "[fc]\nepsW=0"))
    convnet("train", *NET, *DATA, "--epochs", "1")
    assert (load_file(newest() / "weights.safetensors")["fc.weights.0"] == 0.25).all()
    checkpoint = newest() / "layers.cfg"
    checkpoint.write_text(checkpoint.read_text().replace("own_weights", "gone_weights"))
    convnet("test", "--checkpoint", only_run())
    convnet("train", "--checkpoint", only_run(), "--epochs", "2")


def test_without_data_the_sample_is_used_and_said_so(folder):
    output = convnet("train", "--layers", "digits", "--epochs", "1", "--test-freq", "1").stdout
    assert output.startswith(
        "data: a built-in sample, handwritten digits that come with scikit-learn: 1498 training and 299 test"
    )
    assert "\n      (--data PATH trains on your own)\n" in output
    error = float(re.search(r"test  logprob: cost .*?, error (\S*)", output)[1])
    assert error < 0.3, "after one epoch"


def test_costs_that_are_not_numbers_end_the_run(small):
    Path("rates.cfg").write_text(PARAMS.replace("=0.05", "=1e30"))
    result = convnet("train", *NET, *DATA, code=2)
    assert re.match(
        r"convnet: the cost of layer 'logprob' became (nan|inf) in epoch 1, batch 1: the rates may be too",
        result.stderr,
    )
    assert not list(Path("runs").iterdir())
