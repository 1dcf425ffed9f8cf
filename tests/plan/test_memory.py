"""Blocks of memory share room only when they are never needed at the same time."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convnet.net import ConvNet
from convnet.plan import build
from convnet.plan.memory import assign_offsets
from convnet.plan.step import BPROP, Step
from convnet.tensor import Content, Memory, NumberTypes, Tensor
from tests.layers.examples import EXAMPLES, example
from tests.net.nets import graph_of

ALIGNMENT = 256
TYPES = NumberTypes(np.dtype(np.float32), np.dtype(np.float16))  # of blocks that are exact, and of activations
FLAT = Memory("weights", 0, 1000, per_case=False, space="weights", offset=0)


def a_step(memories):
    """A step with these blocks among its arguments, in a list, and by name."""
    tensors = [Tensor(memory, (memory.numbers,)) for memory in memories]
    named = {f"input{index}": tensor for index, tensor in enumerate(tensors[2::3])}
    arguments = (Tensor(FLAT, (9,)), 3.0, *tensors[::3])
    return Step(BPROP, "x", 0, "op", arguments, {"list": tensors[1::3], "bias": None, **named})


def size(memory, mini, types=TYPES):
    widths = {Content.ACTIVATIONS: types.activations.itemsize, Content.EXACT: types.weights.itemsize, Content.BYTES: 1}
    return memory.numbers * (mini if memory.per_case else 1) * widths[memory.content]


def needed(memories, steps):
    """For each block the steps during which its content must stay, decided block by block with a loop."""
    found = {}
    for memory in memories:
        uses = [i for i, step in enumerate(steps) if any(tensor.memory is memory for tensor in step.tensors())]
        always = memory.pinned or not uses
        found[memory] = range(len(steps)) if always else range(min(uses), max(uses) + 1)
    return found


@st.composite
def problems(draw):
    kinds = st.tuples(st.integers(1, 900), st.booleans(), st.sampled_from(Content), st.integers(0, 9))
    memories = [
        Memory(f"m{i}", 0, n, per_case=per_case, content=content, pinned=pin == 0)
        for i, (n, per_case, content, pin) in enumerate(draw(st.lists(kinds, max_size=9)))
    ]
    chosen = st.lists(st.sampled_from(memories), max_size=4) if memories else st.just([])
    steps = [a_step(used) for used in draw(st.lists(chosen, max_size=12))]
    return memories, steps, draw(st.integers(1, 7))


@settings(max_examples=400, deadline=None)
@given(problems())
def test_blocks_needed_together_never_share_a_byte(problem):
    memories, steps, mini = problem
    total = assign_offsets(memories, steps, mini, TYPES)
    sizes = {memory: -(-size(memory, mini) // ALIGNMENT) * ALIGNMENT for memory in memories}
    assert total <= sum(sizes.values())
    for memory in memories:
        assert memory.offset >= 0
        assert memory.offset % ALIGNMENT == 0, "blocks begin where GPUs read together"
        assert memory.offset + size(memory, mini) <= total
    lives = needed(memories, steps)
    for step in range(len(steps)):
        taken = np.zeros(total, int)
        for memory in memories:
            if step in lives[memory]:
                taken[memory.offset : memory.offset + size(memory, mini)] += 1
        assert taken.max(initial=0) <= 1, step


def test_room_is_used_again():
    """A chain: only neighbours are needed together, so three blocks of one size make do with two."""
    memories = [Memory(f"m{i}", 0, 640) for i in range(6)]
    steps = [a_step(pair) for pair in pairwise(memories)]
    assert assign_offsets(memories, steps, 10, TYPES) == 2 * 12800


def test_what_is_read_from_outside_keeps_its_room():
    memories = [Memory("data", 0, 128, pinned=True), Memory("a", 0, 128), Memory("b", 0, 128)]
    steps = [a_step(memories[:2]), a_step(memories[1:]), a_step(memories[2:])]
    assert assign_offsets(memories, steps, 1, TYPES) == 3 * 256
    assert len({memory.offset for memory in memories}) == 3


def test_nothing_needs_no_room():
    assert assign_offsets([], [], 8, TYPES) == 0


def results(name, device, monkeypatch, own_room):
    """What a net gives after two training steps, all its memory filled with NaN at first."""

    def apart(memories, steps, mini, types):
        total = 0
        for memory in memories:
            memory.offset, total = total, total + -(-size(memory, mini, types) // ALIGNMENT) * ALIGNMENT
        return total

    with monkeypatch.context() as patched:
        if own_room:
            patched.setattr(build, "assign_offsets", apart)
        net = ConvNet(graph_of(*example(name), image=(3, 7, 5)), device, mini=6, seed=1, input_grads=True)
    net.bound._arenas[0][:] = 255
    random = np.random.default_rng(0)
    costs = []
    for cases in (6, 4, 6):
        data = [random.standard_normal((cases, 7, 5, 3)).astype(np.float32), random.integers(0, 4, (cases, 1))]
        data[1] = data[1].astype(np.float32)
        costs += [net.test_minibatch(data), net.train_minibatch(data)]
    return net.bound.plan.arenas[0], costs, net.input_gradient("data", 6), net.state()


@pytest.mark.parametrize("name", EXAMPLES)
def test_sharing_memory_changes_no_bit(name, device, monkeypatch):
    """Training and testing, with whole and short minibatches, beside the same net where nothing shares memory."""
    arena, costs, gradient, state = results(name, device, monkeypatch, own_room=False)
    apart, *expected = results(name, device, monkeypatch, own_room=True)
    assert arena < apart, "nothing is shared"
    assert costs == expected[0]
    assert np.isfinite([value for cost in costs for metrics in cost.values() for value in metrics.values()]).all()
    assert np.array_equal(gradient, expected[1])
    assert all(np.array_equal(values, expected[2][key]) for key, values in state.items())
