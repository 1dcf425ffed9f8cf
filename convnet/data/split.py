"""Which cases are the test set of data that has none of its own."""

from __future__ import annotations

import numpy as np

from convnet.data.augment import Array, Integers, permutation

TEST_SHARE = 1 / 6
# Not the user's seed: whatever the seed, a net is never tested on cases that another run was trained on.
_SEED = 0


def test_cases(labels: Integers, share: float | None) -> Array:
    """A mask (cases,) of the test cases: the same share of each class, at random, but the same ones every time.

    Of a class with two or more cases at least one is tested and one trained on; a single one is trained on.
    """
    mask = np.zeros(len(labels), bool)
    order = fixed_order(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        wanted = round((TEST_SHARE if share is None else share) * len(members))
        mask[members[: min(max(1, wanted), len(members) - 1)]] = True
    return mask


def fixed_order(cases: int) -> Integers:
    """The numbers 0 .. cases-1 in an order that looks random and is the same every time."""
    return permutation(_SEED, 0, np.arange(cases))
