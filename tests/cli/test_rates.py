"""Learning rates in what `convnet train` prints."""

from pathlib import Path

from convnet_cli.rates import rates_in_words

from .conftest import DATA, NET, PARAMS, convnet


def test_in_words():
    rates = {"a.weights.0": 0.01, "a.biases": 0.02, "b.weights.0": 0.01, "b.biases": 0.02}
    assert rates_in_words(rates) == "0.01 weights, 0.02 biases"
    assert rates_in_words(dict.fromkeys(rates, 1e-05)) == "1e-05 weights and biases"
    assert rates_in_words({**rates, "b.weights.0": 0.3}) == "0.01 (a.weights.0), 0.02 biases, 0.3 (b.weights.0)"
    assert rates_in_words({}) == "none, nothing learns"
    many = {f"l{number}.weights.0": 0.01 for number in range(9)}
    assert rates_in_words({**many, "l9.weights.0": 1 / 3}) == (
        "0.01 (l0.weights.0, l1.weights.0, l2.weights.0, l3.weights.0, l4.weights.0, l5.weights.0 and 3 more), "
        "0.3333 (l9.weights.0)"
    )


def test_jumps_and_the_rates_of_a_run_that_goes_on(small):
    Path("rates.cfg").write_text(PARAMS.replace("epsW=0.05", "epsW=step[base=0.05;tgtFactor=10;epochs=2]"))
    lines = convnet("train", *NET, *DATA).stdout.splitlines()
    assert lines.count("rates: 0.05 weights, 0.1 biases") == 1
    jumps = [index for index, line in enumerate(lines) if line.startswith("  rates  ")]
    assert [lines[index] for index in jumps] == ["  rates  0.005 weights, 0.1 biases  from epoch 2/2 batch 1"]
    assert lines[jumps[0] + 1].startswith("epoch 2/2 batch 1 ")
    run = next(line.split()[-1] for line in reversed(lines) if line.startswith("  saved ")).rpartition("/")[0]
    lines = convnet("train", "--checkpoint", run, "--epochs", "3").stdout.splitlines()
    assert "rates: 0.005 weights, 0.1 biases" in lines
    assert not any(line.startswith("  rates  ") for line in lines)
