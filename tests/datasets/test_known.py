from gridcnn.datasets.known import known
from gridcnn.spec.models import SOURCES


def test_every_registered_data_set_is_listed_with_its_facts() -> None:
    sets = {one.name: one for one in known()}

    assert set(sets) == set(SOURCES) - {"files", "memory", "table"}
    for one in sets.values():
        assert one.description.endswith(".")
        assert one.facts is not None
        assert len(one.facts.classes) >= 2


def test_the_facts_of_digits() -> None:
    facts = next(one.facts for one in known() if one.name == "digits")

    assert facts is not None
    assert (facts.items, facts.shape) == (1797, (8, 8))
