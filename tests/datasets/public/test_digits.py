import numpy as np

from gridcnn.contracts.source import Request
from gridcnn.datasets.public.digits import Digits


def test_the_digits_are_all_there_as_bytes() -> None:
    source = Digits()

    dataset = source.open(Request())
    facts = source.facts()

    assert (len(dataset), dataset.classes) == (facts.items, facts.classes)
    assert dataset.things[0].shape == facts.shape
    assert dataset.things[0].dtype == np.uint8
    assert max(int(thing.max()) for thing in dataset.things) == 255
    assert dataset.labels[0] == "0"
    assert dataset.names[17] == "item 17"
