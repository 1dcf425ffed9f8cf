"""What data tells of the matrices that a net may take: images, labels, label matrix."""

from convnet.data import open_provider
from convnet.data.provider import ProviderOptions
from convnet.shape import Shape


def test_every_provider_has_a_label_matrix_that_costs_it_nothing():
    data = open_provider(ProviderOptions(provider="dummy-2x5x4-7"))
    assert data.matrix_shapes == [Shape.of_maps(2, 5, 4), Shape(1), Shape(7)]
    assert len(data.get_batch(1, 1, train=True)) == len(data.shapes) == 2


def test_data_may_have_its_own():
    data = open_provider(ProviderOptions(provider="dummy-2x5x4-7"))
    data.shapes = [*data.shapes, Shape(9)]
    assert data.matrix_shapes == data.shapes
