"""Public sets of texts: short messages, and news."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar, Literal

from gridcnn.contracts.source import TEST, TRAIN, Dataset, Facts, Request
from gridcnn.datasets import places
from gridcnn.datasets.duplicates import Duplicates, without_duplicates
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.public.catalogue import NEWS, SMS, File, PublicSet
from gridcnn.datasets.public.source import Public
from gridcnn.datasets.soundness import sound
from gridcnn.datasets.tables.items import opened_rows
from gridcnn.datasets.tables.rows import Form
from gridcnn.datasets.tables.table import Table
from gridcnn.errors import listed, shown

TOPICS = ("World", "Sports", "Business", "Sci/Tech")
"""What the labels 1 to 4 of AG News mean."""


class Sms(Public):
    """The SMS Spam Collection: short messages, "spam" or "ham".

    It has no official test part.
    """

    title: ClassVar[str] = "sms"
    about: ClassVar[PublicSet] = SMS
    holds_texts: ClassVar[bool] = True

    duplicates: Duplicates = "drop"
    """What happens to the 403 messages that are equal to an earlier one: `drop` or `keep`. If they
    are kept, some are in the training part and in the test part too."""

    def facts(self) -> Facts:
        """Return what is known before the data is opened."""
        return Facts(5_574 if self.duplicates == "keep" else 5_171, ("ham", "spam"), ())

    def read(self, folder: Path) -> Dataset:
        """Return the messages.

        Raises:
            DataError: a line does not have a label, a tab and a message.
        """
        place = str(self.file(folder, "SMSSpamCollection"))
        table = Table(path=place, label="1", input="2", header=False, delimiter="\t", quoting=False)
        dataset = table.open(Request())
        strangers = sorted(set(map(str, dataset.labels)) - {"ham", "spam"})
        if strangers:
            problems = Problems(place)
            problems.add(f"a label is 'ham' or 'spam'; this file has {listed(strangers)}")
            problems.stop()
        return dataset if self.duplicates == "keep" else without_duplicates(dataset)


class News(Public):
    """AG News: short news in four topics.

    The topics are World, Sports, Business and Sci/Tech. A text is the title, a space and the
    description.
    """

    title: ClassVar[str] = "news"
    about: ClassVar[PublicSet] = NEWS
    holds_texts: ClassVar[bool] = True

    part: Literal["test", "all"] = "test"
    """Which items. `test`: the 7,600 of the official test file, divided like any data. `all`: the
    120,000 of the training file too (29.5 MB), divided as their makers divide them."""

    def needed_files(self) -> tuple[File, ...]:
        """Return the files that are needed."""
        assert isinstance(self.about.parts, tuple)
        return self.about.parts if self.part == "all" else self.about.parts[:1]

    def facts(self) -> Facts:
        """Return what is known before the data is opened."""
        return Facts(7_600 if self.part == "test" else 127_600, tuple(sorted(TOPICS)), ())

    def read(self, folder: Path) -> Dataset:
        """Return the texts.

        Raises:
            DataError: a row does not have a topic from 1 to 4, a title and a description.
        """
        test = _topics(self.file(folder, "test.csv"))
        if self.part == "test":
            return test
        train = _topics(self.file(folder, "train.csv"))
        assert train.places is not None
        assert test.places is not None
        return dataclasses.replace(
            train,
            things=[*train.things, *test.things],
            labels=[*train.labels, *test.labels],
            names=[
                f"{part} {name}"
                for part, rows in ((TRAIN, train), (TEST, test))
                for name in rows.names
            ],
            parts=[TRAIN] * len(train) + [TEST] * len(test),
            places=[*train.places, *test.places],
            origin=str(folder),
        )


def _topics(file: Path) -> Dataset:
    problems = Problems(str(file))
    # The makers' own quotes are not all written as the format wants it.
    form = Form(header=False, delimiter=",", strict=False)
    texts: list[str] = []
    labels: list[str] = []
    lines: list[int] = []
    with opened_rows(str(file), form, problems) as rows:
        if len(rows.names) != 3:
            rows.refuse(1, f"has {len(rows.names)} cells, not 3")
        problems.stop()
        for block in rows.blocks(range(3)):
            for line, topic, title, text in zip(block.places, *block.columns, strict=True):
                if topic not in ("1", "2", "3", "4"):
                    rows.refuse(line, f"the topic is {shown(topic)}, not 1, 2, 3 or 4")
                    continue
                labels.append(TOPICS[int(topic) - 1])
                texts.append(f"{title} {text}")
                lines.append(line)
    problems.stop_items()
    return sound(
        Dataset(
            texts,
            labels,
            places.Numbered("line ", lines),
            origin=problems.source,
            places=places.Numbered(rows.before, lines),
        )
    )
