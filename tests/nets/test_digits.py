"""The first net of a newcomer keeps its promise."""

from __future__ import annotations

from pathlib import Path

from convnet.backends import DeviceOptions
from convnet.training import trainer
from convnet.training.runs import new_run
from tests.conftest import ROOT


def test_digits_end_with_under_two_percent_test_error(tmp_path: Path) -> None:
    run = new_run(str(ROOT / "layers-cfg" / "digits.cfg"), None, {}, tmp_path, DeviceOptions("cpu", 2))
    tests = [event for event in run.run_training() if isinstance(event, trainer.TestDone)]
    assert [test.epoch for test in tests] == [5, 10, 15, 20]
    assert tests[-1].cases > 250
    assert tests[-1].costs["logprob"]["error"] < 0.02
