"""The draws behind crops, flips, noise and order."""

import numpy as np
import pytest

from convnet.data import augment

CASES = np.arange(20_000)


def test_draws_are_named_by_all_their_words():
    """Changing any of seed, stream, epoch and case changes what is drawn; the company of other cases does not."""
    base = augment.draw(1, augment.GEOMETRY, 1, CASES[:100])
    for other in (
        augment.draw(2, augment.GEOMETRY, 1, CASES[:100]),
        augment.draw(1 + 2**40, augment.GEOMETRY, 1, CASES[:100]),
        augment.draw(1, augment.NOISE, 1, CASES[:100]),
        augment.draw(1, augment.ORDER, 1, CASES[:100]),
        augment.draw(1, augment.GEOMETRY, 2, CASES[:100]),
        augment.draw(1, augment.GEOMETRY, 1, CASES[100:200]),
    ):
        assert not np.any(base == other)
    picked = np.array([77, 3, 50])
    np.testing.assert_array_equal(augment.draw(1, augment.GEOMETRY, 1, picked), base[picked])


@pytest.mark.parametrize("limit", [1, 2, 7, 33])
def test_integers_below_a_limit_are_equally_likely(limit):
    words = augment.draw(3, augment.GEOMETRY, 1, CASES)
    counts = np.bincount(augment.below(limit, words[:, 0]), minlength=limit)
    assert len(counts) == limit
    expected = len(CASES) / limit
    assert ((counts - expected) ** 2 / expected).sum() < limit + 6 * np.sqrt(2 * limit)


def test_the_ends_of_the_range():
    words = np.array([0, 2**32 - 1], np.uint32)
    assert augment.below(5, words).tolist() == [0, 4]
    assert np.all(np.isfinite(augment.normals(np.repeat(words[:, None], 4, axis=1))))


def test_normals_are_normal_and_independent():
    stats = pytest.importorskip("scipy.stats")
    numbers = augment.normals(augment.draw(3, augment.NOISE, 1, CASES))
    for column in numbers.T:
        assert stats.kstest(column, "norm").pvalue > 1e-4
    assert np.all(np.abs(np.corrcoef(numbers.T) - np.eye(4)) < 5 / np.sqrt(len(CASES)))
    assert np.all(np.abs(np.corrcoef((numbers**2).T) - np.eye(4)) < 5 / np.sqrt(len(CASES)))


def test_a_permutation_has_every_case_once_anywhere():
    cases = np.array([5, 9, 2, 40])
    counts = np.zeros((4, 4))
    for epoch in range(4000):
        order = augment.permutation(0, epoch, cases)
        assert sorted(order) == sorted(cases)
        counts[np.searchsorted([2, 5, 9, 40], order), range(4)] += 1
    assert np.all(np.abs(counts - 1000) < 5 * np.sqrt(1000))


def test_the_colours_of_no_images_do_not_vary():
    np.testing.assert_array_equal(augment.colour_axes(np.empty((0, 3, 2, 3), np.uint8)), np.zeros((3, 3)))


def test_colour_covariance_over_many_images():
    images = np.random.default_rng(0).integers(0, 256, (700, 3, 2, 3), np.uint8)
    images[..., 2] = images[..., 0] // 2 + 20
    expected = np.cov(images.reshape(-1, 3).T.astype(np.float64), bias=True)
    np.testing.assert_allclose(augment.colour_covariance(images), expected, rtol=1e-9, atol=1e-6)
