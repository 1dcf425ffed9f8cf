"""`convnet features` and `convnet import-original` from end to end."""

import pickle
from pathlib import Path

import numpy as np

from convnet.training.checkpoint import newest
from tests.training.originals import dumps, layers_of, original

from .conftest import DATA, NET, convnet, only_run


def test_features(small):
    convnet("train", *NET, *DATA, "--epochs", 1)
    run = only_run()
    result = convnet("features", "--checkpoint", run, "--layer", "conv", "--out", "out")
    assert result.stdout.splitlines()[1:] == [
        f"{newest(run)}: 144 features of layer 'conv_neuron' for 12 cases, in 1 files",
        "saved out",
    ]
    with np.load("out/data_batch_4.npz") as found:
        assert found["data"].shape == (12, 144)
        assert found["data"].min() == 0  # relu's
    result = convnet("features", "-f", run, "--write-features", "probs", "--feature-path", "two", "--form", "original",
                     "--test-range", "3-4")  # fmt: skip
    assert sorted(file.name for file in Path("two").iterdir()) == ["batches.meta", "data_batch_3", "data_batch_4"]
    found = pickle.loads(Path("two/data_batch_4").read_bytes(), encoding="latin1")
    np.testing.assert_allclose(found["data"].sum(axis=1), np.ones(12), rtol=1e-5)
    result = convnet("features", "-f", run, "--layer", "convv", "--out", "three", code=2)
    assert result.stderr == (
        "convnet: --layer: expected a layer that computes features, found 'convv'; did you mean 'conv'?\n"
    )
    assert not Path("three").exists()


def test_features_wants_to_know_what_and_where(small):
    for missing in ("--checkpoint", "--layer", "--out"):
        given = [item for name in ("--checkpoint", "--layer", "--out") if name != missing for item in (name, "x")]
        assert f"expected {missing}" in convnet("features", *given, code=2).stderr


def test_an_original_is_imported_and_tested(folder):
    drawn = np.random.default_rng(1)
    parts = {"train": 36, "test": 10}
    np.savez("data.npz", **{f"{part}_images": drawn.integers(0, 256, (n, 12, 12, 3), np.uint8)
                            for part, n in parts.items()},
             **{f"{part}_labels": np.arange(n) % 3 for part, n in parts.items()})  # fmt: skip
    Path("old").mkdir()
    value = original(2, multiview_test=1)
    layers_of(value)["conv1"]["initWFunc"] = "nets.filters"
    Path("old/2.2").write_bytes(dumps(value))
    result = convnet("import-original", "old", "runs/taken over")
    run = Path("runs/taken over")
    assert result.stderr.splitlines() == [
        "note: [conv1] initWFunc: the checkpoint has what the function gave, and the files do not name it",
        "note: the option 'multiview_test' has no counterpart here",
    ]
    assert result.stdout.splitlines() == [
        "old/2.2: cuda-convnet2, epoch 2, batch 2, 14 layers, 3,079 parameters, 2 tests",
        f"saved {newest(run)}",
        "test it: convnet test --checkpoint 'runs/taken over' --data PATH",
    ]
    result = convnet("test", "--checkpoint", run, "--data", "data.npz")
    assert "logprob: cost" in result.stdout
    assert "(10 cases)" in result.stdout
    assert result.stderr == ""
    result = convnet("test", "--checkpoint", run, code=2)
    missing = "/not/here: expected data, but there is no such file or folder; --data names its new place"
    assert result.stderr == f"convnet: {missing}\n"
    result = convnet("train", "--checkpoint", run, "--data", "data.npz", "--epochs", 3, "--batch-size", 20)
    assert "epoch 3/3 batch 1" in result.stdout
    assert convnet("import-original", "old", run, code=2).stderr.startswith("convnet: runs/taken over: expected a fold")
    assert "No such file" in convnet("import-original", "older", "x", code=2).stderr
    assert not Path("x").exists()
