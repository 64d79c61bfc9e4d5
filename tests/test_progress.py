"""Progress: what is counted is reported."""

from gridcnn.progress import Counter, Progress


def test_a_counter_reports_how_much_is_done() -> None:
    """Each time some more is done: by how much more, or how much it is in all."""
    steps: list[Progress] = []
    counter = Counter(steps.append, "reading", 5, unit="files")

    counter.add(2)
    counter.add(1)
    counter.set(5)

    assert steps == [Progress("reading", done, 5, "files") for done in (2, 3, 5)]


def test_a_counter_may_start_over() -> None:
    steps: list[Progress] = []
    counter = Counter(steps.append, "reading", 5)

    counter.add(2)
    counter.restart()
    counter.add(1)

    assert [step.done for step in steps] == [2, 1]


def test_more_may_be_done_than_was_expected() -> None:
    """Then there is as much as is done."""
    steps: list[Progress] = []

    Counter(steps.append, "writing", 2).add(3)

    assert steps == [Progress("writing", 3, 3)]


def test_a_counter_may_report_to_no_one() -> None:
    Counter(None, "reading", 5).add(1)
