"""Philox against the published answers."""

from __future__ import annotations

import numpy as np
import pytest

from convnet.philox import philox

# Random123, tests/kat_vectors, "philox4x32 10": counter, key, answer.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> np.ndarray:
    return np.array([int(word, 16) for word in text.split()], np.uint32)


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_known_answers(counter: str, key: str, answer: str) -> None:
    assert philox(words(counter), words(key)).tolist() == words(answer).tolist()


def test_every_counter_of_an_array_is_computed_by_itself() -> None:
    generator = np.random.default_rng(1)
    counters = generator.integers(0, 2**32, (3, 5, 4), dtype=np.uint32)
    key = generator.integers(0, 2**32, 2, dtype=np.uint32)
    result = philox(counters, key)
    assert result.shape == (3, 5, 4)
    assert result.dtype == np.uint32
    for index in np.ndindex(3, 5):
        assert result[index].tolist() == philox(counters[index], key).tolist()


def test_arguments_are_left_alone() -> None:
    counter, key = words(KNOWN_ANSWERS[2][0]), words(KNOWN_ANSWERS[2][1])
    philox(counter, key)
    assert counter.tolist() == words(KNOWN_ANSWERS[2][0]).tolist()
    assert key.tolist() == words(KNOWN_ANSWERS[2][1]).tolist()
