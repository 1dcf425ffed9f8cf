"""Schedules of learning rates against their formulas, written out by hand."""

import math

import pytest

from convnet.weights.schedule import ParameterSchedule, Progress, parse_decay, parse_schedule

PROGRESS = [0.0, 1e-9, 0.1, 0.25, 0.3, 1 / 3, 0.5, 2 / 3, 0.75, 0.999, 1.0]


def value(text, p):
    return parse_schedule(text).value(Progress(p))


@pytest.mark.parametrize("p", PROGRESS)
def test_const(p):
    assert value("const[base=0.03]", p) == 0.03
    assert value("0.03", p) == 0.03


@pytest.mark.parametrize("p", PROGRESS)
def test_linear(p):
    expected = 0.06 * (1 - p) + 0.06 / 4 * p
    assert value("linear[base=0.06;tgtFactor=4]", p) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("p", PROGRESS)
def test_exp(p):
    expected = 0.02 * math.exp(-p * math.log(250))
    assert value("exp[base=0.02;tgtFactor=250]", p) == pytest.approx(expected, rel=1e-14)
    assert value("exp[base=1;tgtFactor=250]", p) == pytest.approx(250**-p, rel=1e-14), "the code of 2012 stays at 1"


def dexp_by_its_rule(p, base, factor, steps):
    """r_i = base * factor^(-i/(steps-1)), with the first i for which p <= (i+1)/steps."""
    for i in range(steps):
        if p <= (i + 1) / steps:
            return base * factor ** (-i / (steps - 1))
    raise AssertionError(p)


@pytest.mark.parametrize("steps", [2, 3, 4, 7, 10])
def test_dexp(steps):
    text = f"dexp[base=0.01;tgtFactor=250;numSteps={steps}]"
    assert value(text, 0.0) == 0.01
    assert value(text, 1.0) == pytest.approx(0.01 / 250, rel=1e-14)
    for p in PROGRESS:
        assert value(text, p) == pytest.approx(dexp_by_its_rule(p, 0.01, 250, steps), rel=1e-14)


@pytest.mark.parametrize("steps", [2, 3, 4, 7, 10])
@pytest.mark.parametrize("epochs_of_batches", [(7, 3), (10, 5), (90, 11), (49, 1)])
def test_dexp_at_the_boundaries_of_its_steps(steps, epochs_of_batches):
    """Progress is a quotient of whole numbers: the comparison with (i+1)/steps is done in whole numbers here."""
    total = math.prod(epochs_of_batches)
    for done in range(total):
        i = next(i for i in range(steps) if done * steps <= (i + 1) * total)
        found = value(f"dexp[base=1;tgtFactor=10;numSteps={steps}]", done / total)
        assert found == pytest.approx(10 ** (-i / (steps - 1)), rel=1e-12), done


def test_dexp_just_beside_a_boundary():
    assert [value("dexp[base=1;tgtFactor=10;numSteps=2]", p) for p in (0.49999, 0.5, 0.50001)] == [1, 1, 0.1]


@pytest.mark.parametrize("kind", ["dexp", "jdexp"])
def test_one_step_is_the_last(kind):
    """Of cuda-convnet2 and of 2012: the list of rates is that of all steps but the last, and then base / tgtFactor."""
    text = f"{kind}[base=0.3;tgtFactor=20;numSteps=1]"
    assert [value(text, p) for p in (0.0, 0.15, 0.5, 0.7, 1.0)] == pytest.approx([0.3 / 20] * 5, rel=1e-14)
    assert str(parse_schedule(text)) == text
    assert parse_decay(f"{kind}[20,0,1]").of(parse_schedule("0.3")) == parse_schedule(text)


@pytest.mark.parametrize("steps", [2, 3, 4, 5])
@pytest.mark.parametrize("total", [60, 61, 40])
def test_jdexp(steps, total):
    """The mean of this step's rate and the one before, sqrt(r_i r_(i-1)), behind the middle of step i; in whole
    numbers: done/total > (i+1/2)/steps.
    """
    rates = [0.3 * 20 ** (-i / (steps - 1)) for i in range(steps)]
    jumped = 0
    for done in range(total + 1):
        i = next(i for i in range(steps) if done * steps <= (i + 1) * total)
        expected = rates[i]
        if i > 0 and total < 5 * done and 10 * done < 9 * total and 2 * done * steps > (2 * i + 1) * total:
            expected, jumped = math.sqrt(rates[i] * rates[i - 1]), jumped + 1
        found = value(f"jdexp[base=0.3;tgtFactor=20;numSteps={steps}]", done / total)
        assert found == pytest.approx(expected, rel=1e-12), done
    assert jumped > 3


def test_step_falls_at_the_start_of_the_named_epochs():
    schedule = parse_schedule("step[base=0.1;tgtFactor=10;epochs=80,120]")
    rates = {epoch: schedule.value(Progress(0.5, epoch)) for epoch in (1, 79, 80, 81, 119, 120, 121, 10**6)}
    expected = {1: 0.1, 79: 0.1, 80: 0.01, 81: 0.01, 119: 0.01, 120: 0.001, 121: 0.001, 10**6: 0.001}
    assert rates == pytest.approx(expected, rel=1e-14)


def plateau(errors, **arguments):
    """The rate after tests with these errors, over the base."""
    more = "".join(f";{name}={number}" for name, number in arguments.items())
    return parse_schedule(f"plateau[base=0.5;tgtFactor=10{more}]").value(Progress(0.9, 7, errors)) / 0.5


@pytest.mark.parametrize(("errors", "drops"), [
    ([], 0),
    ([0.9], 0),
    ([0.9, 0.9], 0),
    ([0.9, 0.9, 0.9], 1),  # two tests no better than the best
    ([0.9, 0.95, 0.92], 1),  # better than the one before is not enough
    ([0.9, 0.95, 0.8, 0.85], 0),  # a better one begins the count anew
    ([0.9, 0.95, 0.8, 0.85, 0.81], 1),
    ([0.5, 0.6, 0.6, 0.6], 1),  # and so does a drop
    ([0.5, 0.6, 0.6, 0.6, 0.6], 2),
    ([0.5, 0.6, 0.6, 0.6, 0.4, 0.5], 1),
    ([0.5] + [0.6] * 6, 3),
    ([0.5] + [0.6] * 100, 3),  # as in the paper
])  # fmt: skip
def test_plateau(errors, drops):
    assert plateau(errors, patience=2) == pytest.approx(10**-drops, rel=1e-14)


def test_the_arguments_of_plateau():
    assert plateau([0.5] + [0.6] * 4) == 1, "five tests, if nothing is said"
    assert plateau([0.5] + [0.6] * 5) == pytest.approx(0.1)
    assert plateau([0.5] + [0.6] * 100, patience=1, maxDrops=5) == pytest.approx(1e-5)
    slowly = [0.5, 0.4375, 0.375, 0.3125]
    assert plateau(slowly, patience=1) == 1
    assert plateau(slowly, patience=1, minImprovement=0.0625) == pytest.approx(0.01), "better by more than that"
    assert plateau(slowly, patience=2, minImprovement=0.0625) == 1, "slow improvements add up"


def test_a_factor_below_1_raises_rates():
    assert value("linear[base=0.01;tgtFactor=0.1]", 1.0) == pytest.approx(0.1)
    assert value("exp[base=0.01;tgtFactor=0.1]", 1.0) == pytest.approx(0.1)


@pytest.mark.parametrize(("text", "rate"), [
    ("0.001", 0.001), ("1e-3", 0.001), ("1E-3", 0.001), ("1e-03", 0.001), (".1e-2", 0.001), ("1.e-3", 0.001),
    ("+0.001", 0.001), ("1e+1", 10.0), ("12e0", 12.0), (".75", 0.75), ("2", 2.0), ("2.", 2.0), ("007", 7.0),
    ("0", 0.0), ("0.0", 0.0), ("0e5", 0.0), ("-0", 0.0), ("  0.5  ", 0.5),
])  # fmt: skip
def test_numbers(text, rate):
    for whole in (text, f"const[base={text}]", f"linear[tgtFactor=2;base={text}]"):
        assert parse_schedule(whole).base == rate
    assert parse_schedule(text) == ParameterSchedule("const", rate)


@pytest.mark.parametrize(("text", "expected"), [
    ("const[base=0.5]", ParameterSchedule("const", 0.5)),
    ("CONST[BASE=0.5]", ParameterSchedule("const", 0.5)),
    ("dexp[base=0.01;tgtFactor=250;numSteps=4]", ParameterSchedule("dexp", 0.01, 250.0, 4)),
    ("dexp[base=0.01; numSteps=4; tgtFactor=250]", ParameterSchedule("dexp", 0.01, 250.0, 4)),
    ("dexp[numSteps=4,tgtFactor=250 , base=0.01]", ParameterSchedule("dexp", 0.01, 250.0, 4)),
    ("DExp [ Base = 1e-2 ; TGTFACTOR = 2.5e2 ; numsteps = 4 ]", ParameterSchedule("dexp", 0.01, 250.0, 4)),
    ("dexp[base=0.01;\n  tgtFactor=250;\n  numSteps=4]", ParameterSchedule("dexp", 0.01, 250.0, 4)),
    ("jdexp[base=0.01;tgtFactor=250;numSteps=4]", ParameterSchedule("jdexp", 0.01, 250.0, 4)),
    ("  exp[base=.5;tgtfactor=3]  ", ParameterSchedule("exp", 0.5, 3.0)),
    ("linear[tgtFactor=3;base=0.5]", ParameterSchedule("linear", 0.5, 3.0)),
    ("linear[base=0;tgtFactor=3]", ParameterSchedule("linear", 0.0, 3.0)),
    ("step[base=0.1;tgtFactor=10;epochs=80,120]", ParameterSchedule("step", 0.1, 10.0, epochs=(80, 120))),
    ("Step[EPOCHS=80 , 120,tgtFactor=1e1;base=.1]", ParameterSchedule("step", 0.1, 10.0, epochs=(80, 120))),
    ("step[base=0.1;tgtFactor=10;epochs=3]", ParameterSchedule("step", 0.1, 10.0, epochs=(3,))),
    ("plateau[base=0.1;tgtFactor=10]", ParameterSchedule("plateau", 0.1, 10.0)),
    ("plateau[maxDrops=2;minImprovement=1e-3;patience=7;base=0.1;tgtFactor=10]",
     ParameterSchedule("plateau", 0.1, 10.0, patience=7, min_improvement=0.001, max_drops=2)),
])  # fmt: skip
def test_spellings(text, expected):
    assert parse_schedule(text) == expected


@pytest.mark.parametrize("text", [
    "", "x", "-0.1", "nan", "inf", "-inf", "1,5", "0.1 0.2", "1_0", "0x1", "1e", "e-3", "1e-3.5", "1d-3", "1/3", "1%",
    "٣", "const", "const[]", "const[0.1]", "const[base=]", "[", "[]", "[base=1]", "step", "[1", "const[base=1]x",
    "const[base=x]", "const[base=-1]", "const[base=nan]", "const[base=inf]", "const[base=1;]", "const[base=1",
    "const base=1]", "const[base=1]]", "const[base=1;tgtFactor=2]", "linear[base=1]", "linear[base=1;tgtFactor=0]",
    "linear[base=1;tgtFactor=-2]", "exp[base=1;tgtFactor=inf]", "exp[base=1;tgtFactor=nan]", "exp[tgtFactor=2]",
    "exp[base=1;tgtFactor=2;numSteps=3]", "dexp[base=1;tgtFactor=2]", "dexp[base=1;tgtFactor=2;numSteps=0]",
    "dexp[base=1;tgtFactor=2;numSteps=2.5]", "dexp[base=1;tgtFactor=2;steps=3]",
    "dexp[base=1;tgtFactor=2;numSteps=inf]", "dexp[base=1;tgtFactor=2;numSteps=nan]", "dexp[250,0,4]", "default",
    "dexp[base=1;base=2;tgtFactor=2;numSteps=3]", "step[base=1]", "exp[base=1;tgtFactor=1e-320]",
    "linear[base=1e300;tgtFactor=1e-300]", "step[base=1;tgtFactor=10;epochs=]", "step[base=1;tgtFactor=10;epochs=0]",
    "step[base=1;tgtFactor=10;epochs=5,5]", "step[base=1;tgtFactor=10;epochs=9,5]",
    "step[base=1;tgtFactor=10;epochs=5,]", "step[base=1;tgtFactor=10;epochs=1.5]",
    "step[base=1;tgtFactor=1e-300;epochs=5,6]", "plateau[base=1]", "plateau[base=1;tgtFactor=10;patience=0]",
    "plateau[base=1;tgtFactor=10;minImprovement=-1]", "plateau[base=1;tgtFactor=10;maxDrops=0]",
    "plateau[base=1;tgtFactor=10;epochs=3]", "plateau[base=1;tgtFactor=1e-300]",
    "dexp[base=1;tgtFactor=2;numSteps=3;noiseStdev=0]",
])  # fmt: skip
def test_what_is_no_schedule(text):
    with pytest.raises(ValueError, match=r"^expected .*found ('|nothing)") as caught:
        parse_schedule(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "message"), [
    ("dexp[base=1;tgtFactor=2;numSteps=0]", "expected numSteps to be an integer of at least 1, found '0' in 'dexp["),
    ("exp[base=1]", r"expected exp[base=...;tgtFactor=...], found 'exp[base=1]'"),
    ("plateau[base=1;tgtfactor=2;patient=1]",
     "expected plateau[base=...;tgtFactor=...], and if you like patience, minImprovement, maxDrops, found 'patient' in "
     "'plateau[base=1;tgtfactor=2;patient=1]'; did you mean 'patience'?"),
    ("cos[base=1]",
     "expected one of the schedules const, linear, exp, dexp, jdexp, step, plateau, found "
     "'cos[base=1]'; did you mean 'const'?"),
    ("stepp[base=1]",
     "expected one of the schedules const, linear, exp, dexp, jdexp, step, plateau, found "
     "'stepp[base=1]'; did you mean 'step'?"),
    ("step[base=1;tgtFactor=2;epochs=9,5]", "expected epochs to be epochs that rise, from 1, such as 80,120, found"),
    ("exp[Base=1;base=2;tgtFactor=2]", "expected base once, found 'exp["),
])  # fmt: skip
def test_messages(text, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole beginning is compared
        parse_schedule(text)
    assert str(caught.value).startswith(message)


def test_what_learns():
    assert parse_schedule("1e-30").learns
    assert parse_schedule("exp[base=0.1;tgtFactor=2]").learns
    for text in ("0", "0.0", "const[base=0]", "exp[base=0;tgtFactor=2]", "dexp[base=0;tgtFactor=2;numSteps=3]",
                 "jdexp[base=0;tgtFactor=2;numSteps=3]", "linear[base=0;tgtFactor=2]",
                 "step[base=0;tgtFactor=10;epochs=1,2]", "plateau[base=0;tgtFactor=10]"):  # fmt: skip
        schedule = parse_schedule(text)
        assert not schedule.learns
        assert all(schedule.value(Progress(p, 2, [0.5] * 30)) == 0 for p in PROGRESS)


@pytest.mark.parametrize("text", [
    "0.25", "0.0025148669", "1e-30", "linear[base=0.5;tgtFactor=4]", "exp[base=0.5;tgtFactor=4.125]",
    "dexp[base=0.5;tgtFactor=4;numSteps=3]", "jdexp[base=0.5;tgtFactor=4;numSteps=3]",
    "step[base=0.1;tgtFactor=10;epochs=80,120]",
    "plateau[base=0.1;tgtFactor=10;patience=4;minImprovement=0.001;maxDrops=2]",
])  # fmt: skip
def test_as_text_it_is_read_again(text):
    assert str(parse_schedule(text)) == text


@pytest.mark.parametrize(("text", "shape", "noise"), [
    ("default", ParameterSchedule("const", 1.0), False),
    ("Default", ParameterSchedule("const", 1.0), False),
    ("dexp[tgtFactor=250,noiseStdev=0,numSteps=4]", ParameterSchedule("dexp", 1.0, 250.0, 4), True),
    ("dexp[numSteps=4;tgtFactor=2.5e2]", ParameterSchedule("dexp", 1.0, 250.0, 4), False),
    ("JDEXP[ tgtFactor=500 , NOISESTDEV=0.0 , numSteps=4 ]", ParameterSchedule("jdexp", 1.0, 500.0, 4), True),
    ("exp[tgtFactor=1000,noiseStdev=0]", ParameterSchedule("exp", 1.0, 1000.0), True),
    ("linear[tgtFactor=10]", ParameterSchedule("linear", 1.0, 10.0), False),
    ("dexp[250,0,4]", ParameterSchedule("dexp", 1.0, 250.0, 4), True),
    ("dexp[10,2]", ParameterSchedule("dexp", 1.0, 10.0, 2), False),
    ("jdexp[1000, 4]", ParameterSchedule("jdexp", 1.0, 1000.0, 4), False),
    ("exp[1000]", ParameterSchedule("exp", 1.0, 1000.0), False),
    ("linear[1000,0]", ParameterSchedule("linear", 1.0, 1000.0), True),
])  # fmt: skip
def test_the_dialect_of_2012(text, shape, noise):
    decay = parse_decay(text)
    assert (decay.shape, decay.noise) == (shape, noise)
    schedule = decay.of(parse_schedule("0.04"))
    assert schedule.value(Progress(0.7)) == pytest.approx(0.04 * shape.value(Progress(0.7)), rel=1e-14)
    assert not decay.of(parse_schedule("0")).learns


@pytest.mark.parametrize("text", [
    "", "x", "exp", "dexp", "dexp[", "dexp[]", "0.1", "const[base=1]", "dexp[base=1;tgtFactor=250;numSteps=4]",
    "dexp[4]", "dexp[1,2,3,4]", "exp[1,0,2]", "dexp[250,0,x]", "dexp[250,0,0]", "step[tgtFactor=10;epochs=3]",
    "default[1]", "dexp[tgtFactor=250,noiseStdev=0.1,numSteps=4]", "linear[1,1]", "exp[tgtFactor=1e-320]",
    "tanh[tgtFactor=3]", "dexp[tgtFactor=250,numSteps=4,numSteps=4]",
])  # fmt: skip
def test_what_is_none_of_that_dialect(text):
    with pytest.raises(ValueError, match=r"^expected .*found ('|nothing)"):
        parse_decay(text)


def test_noise_is_refused_in_words():
    with pytest.raises(ValueError, match=r"^expected noiseStdev to be 0 \(there is no noise on rates\), found '1' in"):
        parse_decay("linear[1,1]")
