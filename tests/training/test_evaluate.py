"""Minibatches, totals, and testing."""

import numpy as np
import pytest

from convnet.training import evaluate as module
from convnet.training.evaluate import Totals, begun, evaluate

from .small import Place


def test_a_minibatch_is_asked_for_when_the_one_before_is_begun():
    """And not earlier: it may be overwritten then. `ahead` are begun before the first costs are waited for."""
    for ahead in (0, 1, 2):
        happened = []

        def asked(happened=happened):
            for number in range(4):
                happened.append(f"ask {number}")
                yield [[number] * (number + 1)]

        def begin(data, happened=happened):
            number = data[0][0]
            happened.append(f"begin {number}")
            return lambda: happened.append(f"wait {number}") or {"number": number}

        found = list(begun(begin, asked(), ahead))
        assert found == [(number + 1, {"number": number}) for number in range(4)]
        expected = [word for number in range(4 + ahead) for word in (
            *([f"ask {number}", f"begin {number}"] if number < 4 else []),
            *([f"wait {number - ahead}"] if number >= ahead else []),
        )]  # fmt: skip
        assert happened == expected


def test_totals():
    totals = Totals()
    totals.add({"a": {"cost": 8.0, "error": 3.0}, "b": {"cost": 1.0}}, 8)
    totals.add({"a": {"cost": 2.0, "error": 1.0}, "b": {"cost": 0.5}}, 2)
    assert totals.cases == 10
    assert totals.averages() == {"a": {"cost": 1.0, "error": 0.4}, "b": {"cost": 0.15}}
    assert Totals().averages() == {}
    assert Totals(totals.sums, totals.cases).averages() == totals.averages()


def test_an_evaluation_averages_over_all_cases_of_its_range(tmp_path):
    """Not over minibatches, whose last is shorter, nor over batches."""
    trainer = Place(tmp_path, test=27).start(batch_size=12)
    net, provider = trainer.net, trainer.session.provider
    assert provider.test_batches == [4, 5, 6]
    cases = [case for number in (4, 6) for case in provider.open_batch(number, 1, 1, train=False)]
    one_by_one = [net.test_minibatch(case)["logprob"]["cost"] for case in cases]
    assert len(one_by_one) == 15
    found = [(totals.cases, totals.averages()) for totals in evaluate(net, provider, [4, 6])]
    assert [cases for cases, _ in found] == [8, 12, 15]
    assert found[-1][1]["logprob"]["cost"] == pytest.approx(np.mean(one_by_one), rel=1e-6)


def test_an_evaluation_changes_nothing_and_neither_crops_at_random_nor_drops(tmp_path):
    trainer = Place(tmp_path).start()
    net = trainer.net
    net.minibatches = 5
    before = net.state()
    first, second = ([t.averages() for t in evaluate(net, trainer.session.provider, [3])] for _ in range(2))
    assert first == second
    assert net.minibatches == 5
    assert all(np.array_equal(value, before[name]) for name, value in net.state().items())


def test_what_the_best_is_chosen_by():
    costs = {"a": {"cost": 1.0}, "b": {"cost": 2.0, "error": 0.3}, "c": {"cost": 1.0, "error": 0.1}}
    assert module.test_error(costs) == 0.3
    assert module.test_error({"a": {"cost": 1.5}, "b": {"cost": 2.0}}) == 1.5
