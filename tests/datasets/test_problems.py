import pytest

from gridcnn.datasets.problems import Problems
from gridcnn.errors import MOST_TOLD, DataError


def test_no_problem_is_no_error() -> None:
    Problems("data").stop()


def test_problems_come_together_with_their_places() -> None:
    found = Problems("list.csv")
    found.add("is wrong", line=3)
    found.add("is wrong too", source="other")

    with pytest.raises(DataError) as caught:
        found.stop()
    assert str(caught.value) == "list.csv:3: is wrong\nother: is wrong too"


def test_the_tail_is_counted() -> None:
    found = Problems()
    for number in range(MOST_TOLD + 1):
        found.add(str(number))

    with pytest.raises(DataError) as caught:
        found.stop()
    assert str(caught.value.problems[-1]) == "and 1 more problem like these"
