"""Schedules of learning rates against their formulas, written out by hand."""

import math

import pytest

from convnet.weights.schedule import ParameterSchedule, parse_schedule

PROGRESS = [0.0, 1e-9, 0.1, 0.25, 0.3, 1 / 3, 0.5, 2 / 3, 0.75, 0.999, 1.0]


@pytest.mark.parametrize("p", PROGRESS)
def test_const(p):
    assert parse_schedule("const[base=0.03]").value(p) == 0.03
    assert parse_schedule("0.03").value(p) == 0.03


@pytest.mark.parametrize("p", PROGRESS)
def test_linear(p):
    expected = 0.06 * (1 - p) + 0.06 / 4 * p
    assert parse_schedule("linear[base=0.06;tgtFactor=4]").value(p) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("p", PROGRESS)
def test_exp(p):
    expected = 0.02 * math.exp(-p * math.log(250))
    assert parse_schedule("exp[base=0.02;tgtFactor=250]").value(p) == pytest.approx(expected, rel=1e-14)


def dexp_by_its_rule(p, base, factor, steps):
    """r_i = base * factor^(-i/(steps-1)), with the first i for which p <= (i+1)/steps."""
    for i in range(steps):
        if p <= (i + 1) / steps:
            return base * factor ** (-i / (steps - 1))
    raise AssertionError(p)


@pytest.mark.parametrize("steps", [2, 3, 4, 7, 10])
def test_dexp(steps):
    schedule = parse_schedule(f"dexp[base=0.01;tgtFactor=250;numSteps={steps}]")
    assert schedule.value(0) == 0.01
    assert schedule.value(1) == pytest.approx(0.01 / 250, rel=1e-14)
    for p in PROGRESS:
        assert schedule.value(p) == pytest.approx(dexp_by_its_rule(p, 0.01, 250, steps), rel=1e-14)


@pytest.mark.parametrize("steps", [2, 3, 4, 7, 10])
@pytest.mark.parametrize("epochs_of_batches", [(7, 3), (10, 5), (90, 11), (49, 1)])
def test_dexp_at_the_boundaries_of_its_steps(steps, epochs_of_batches):
    """Progress is a quotient of whole numbers: the comparison with (i+1)/steps is done in whole numbers here."""
    total = math.prod(epochs_of_batches)
    schedule = parse_schedule(f"dexp[base=1;tgtFactor=10;numSteps={steps}]")
    for done in range(total):
        i = next(i for i in range(steps) if done * steps <= (i + 1) * total)
        assert schedule.value(done / total) == pytest.approx(10 ** (-i / (steps - 1)), rel=1e-12), done


def test_dexp_just_beside_a_boundary():
    schedule = parse_schedule("dexp[base=1;tgtFactor=10;numSteps=2]")
    assert [schedule.value(p) for p in (0.49999, 0.5, 0.50001)] == [1, 1, 0.1]


def test_a_factor_below_1_raises_rates():
    assert parse_schedule("linear[base=0.01;tgtFactor=0.1]").value(1) == pytest.approx(0.1)
    assert parse_schedule("exp[base=0.01;tgtFactor=0.1]").value(1) == pytest.approx(0.1)


@pytest.mark.parametrize(("text", "expected"), [
    ("0.001", ("const", 0.001, 1.0, 1)),
    ("1e-3", ("const", 0.001, 1.0, 1)),
    (".75", ("const", 0.75, 1.0, 1)),
    ("2", ("const", 2.0, 1.0, 1)),
    ("0", ("const", 0.0, 1.0, 1)),
    ("const[base=0.5]", ("const", 0.5, 1.0, 1)),
    ("CONST[BASE=0.5]", ("const", 0.5, 1.0, 1)),
    ("dexp[base=0.01;tgtFactor=250;numSteps=4]", ("dexp", 0.01, 250.0, 4)),
    ("dexp[base=0.01; numSteps=4; tgtFactor=250]", ("dexp", 0.01, 250.0, 4)),
    ("DExp [ Base = 1e-2 ; TGTFACTOR = 2.5e2 ; numsteps = 4 ]", ("dexp", 0.01, 250.0, 4)),
    ("  exp[base=.5;tgtfactor=3]  ", ("exp", 0.5, 3.0, 1)),
    ("linear[tgtFactor=3;base=0.5]", ("linear", 0.5, 3.0, 1)),
    ("linear[base=0;tgtFactor=3]", ("linear", 0.0, 3.0, 1)),
])  # fmt: skip
def test_spellings(text, expected):
    schedule = parse_schedule(text)
    assert (schedule.kind, schedule.base, schedule.target_factor, schedule.steps) == expected


@pytest.mark.parametrize("text", [
    "", "x", "-0.1", "nan", "inf", "-inf", "1,5", "0.1 0.2", "const", "const[]", "const[0.1]", "const[base=]",
    "const[base=x]", "const[base=-1]", "const[base=nan]", "const[base=inf]", "const[base=1;]", "const[base=1",
    "const base=1]", "const[base=1]]", "const[base=1;tgtFactor=2]", "linear[base=1]", "linear[base=1;tgtFactor=0]",
    "linear[base=1;tgtFactor=-2]", "exp[base=1;tgtFactor=inf]", "exp[base=1;tgtFactor=nan]", "exp[tgtFactor=2]",
    "exp[base=1;tgtFactor=2;numSteps=3]", "dexp[base=1;tgtFactor=2]", "dexp[base=1;tgtFactor=2;numSteps=1]",
    "dexp[base=1;tgtFactor=2;numSteps=0]", "dexp[base=1;tgtFactor=2;numSteps=2.5]", "dexp[base=1;tgtFactor=2;steps=3]",
    "dexp[base=1;tgtFactor=2;numSteps=inf]", "dexp[base=1;tgtFactor=2;numSteps=nan]",
    "dexp[base=1,tgtFactor=2,numSteps=3]",
    "dexp[base=1;base=2;tgtFactor=2;numSteps=3]", "step[base=1]", "exp[base=1;tgtFactor=1e-320]",
    "linear[base=1e300;tgtFactor=1e-300]",
])  # fmt: skip
def test_what_is_no_schedule(text):
    with pytest.raises(ValueError, match=r"^expected .*found '") as caught:
        parse_schedule(text)
    assert "\n" not in str(caught.value)


def test_what_learns():
    assert parse_schedule("1e-30").learns
    assert parse_schedule("exp[base=0.1;tgtFactor=2]").learns
    for text in ("0", "0.0", "const[base=0]", "exp[base=0;tgtFactor=2]", "dexp[base=0;tgtFactor=2;numSteps=3]"):
        schedule = parse_schedule(text)
        assert not schedule.learns
        assert all(schedule.value(p) == 0 for p in PROGRESS)


@pytest.mark.parametrize("text", ["0.25", "linear[base=0.5;tgtFactor=4]", "exp[base=0.5;tgtFactor=4]",
                                  "dexp[base=0.5;tgtFactor=4;numSteps=3]"])  # fmt: skip
def test_as_text_it_is_read_again(text):
    assert str(parse_schedule(text)) == text
    assert parse_schedule(str(parse_schedule(text))) == parse_schedule(text)
    assert isinstance(parse_schedule(text), ParameterSchedule)
