"""Training on several devices from the command line."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from .conftest import DATA, NET, convnet, only_run

TRAIN = ("train", *NET, *DATA, "--seed", "4", "--device", "cpu")


def placed(**gpus):
    """Write small.cfg with `gpu` keys: by layer."""
    text = Path("small.cfg").read_text()
    for layer, gpu in gpus.items():
        text = text.replace(f"[{layer}]\n", f"[{layer}]\ngpu={gpu}\n")
    Path("small.cfg").write_text(text)


def weights(run):
    return load_file(max(path for path in run.iterdir() if path.is_dir()) / "weights.safetensors")


PLACES = [({"scale": "0,1"}, 2), ({"scale": "0,1,2,3", "fc": "2"}, 4), ({"conv": "1", "fc": "2"}, 3)]


@pytest.mark.parametrize(("places", "number"), PLACES)
def test_a_resumed_run_equals_one_that_was_not_stopped(small, places, number):
    """Replicas, a mixture that learns four times a minibatch, and towers; with sums of gradients over minibatches."""
    placed(**places)
    Path("rates.cfg").write_text(Path("rates.cfg").read_text().replace("[conv]\n", "[conv]\nupdatePeriod=8\n"))
    output = convnet(*TRAIN, "--save-path", "whole").stdout
    assert f"on {', '.join(f'cpu:{device}' for device in range(number))}\n" in output
    convnet(*TRAIN, "--save-path", "parts", "--epochs", "1")
    convnet("train", "--checkpoint", only_run("parts"), "--epochs", "2", "--device", "cpu")
    whole, parts = weights(only_run("whole")), weights(only_run("parts"))
    assert whole.keys() == parts.keys()
    assert any(name.startswith("conv.weights.0.grad") for name in whole)
    assert all(values.tobytes() == parts[name].tobytes() for name, values in whole.items())


@pytest.mark.parametrize("places", [PLACES[0][0], PLACES[2][0]])
def test_several_devices_learn_what_one_does(small, places):
    convnet(*TRAIN, "--save-path", "one")
    placed(**places)
    convnet(*TRAIN, "--save-path", "many")
    one, many = weights(only_run("one")), weights(only_run("many"))
    assert one.keys() == many.keys()
    for name, values in one.items():
        np.testing.assert_allclose(many[name], values, rtol=1e-4, atol=1e-5 * np.abs(values).max(), err_msg=name)


def test_too_few_devices(small):
    placed(fc="1")
    result = convnet(*TRAIN, "--gpu", "0", code=2)
    assert result.stderr.startswith("convnet: small.cfg:24: [fc] gpu: expected devices that a run has (0), found 1")
    assert not Path("runs").exists()
    result = convnet(*TRAIN, "--gpu", "0,x", code=2)
    assert "expected numbers of GPUs separated by commas, such as 0,1; found '0,x'" in result.stderr
