"""All of CIFAR-10 as JPEG files in one archive: the largest data that a newcomer meets."""

import numpy as np
import pytest

from convnet.data import ProviderOptions, open_provider

from ..conftest import SHARED

ARCHIVE = SHARED / "data" / "cifar10-jpeg.tar.xz"


def test_cifar_as_jpegs():
    if not ARCHIVE.exists():
        pytest.skip("CIFAR-10 as JPEG files is not here (../shared/data/cifar10-jpeg.tar.xz)")
    data = open_provider(ProviderOptions(path=ARCHIVE, crop_border=4))
    assert [data.cases(number) for number in range(1, 7)] == [10_000] * 6
    assert (data.train_batches, data.test_batches) == ([1, 2, 3, 4, 5], [6])
    assert data.shapes[0].maps == (3, 24, 24)
    assert data.label_names[:3] == ["airplane", "automobile", "bird"]
    labels = [np.bincount(data.get_batch(number, 1, train=False)[1][:, 0].astype(int)) for number in range(1, 7)]
    assert labels[5].tolist() == [1000] * 10
    assert sum(labels[:5]).tolist() == [5000] * 10
    assert np.min(labels) > 850  # every batch is mixed
