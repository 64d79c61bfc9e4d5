"""The samples of table files: only the rows that are looked at are kept."""

from __future__ import annotations

from gridcnn.checking.asked import Asked
from gridcnn.checking.columns import Table, sample_of_columns
from gridcnn.checking.specs import from_source
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.readers.manifest import is_manifest
from gridcnn.datasets.tables.columns import table_columns
from gridcnn.datasets.tables.items import opened_rows, place_of
from gridcnn.datasets.tables.rows import Form
from gridcnn.order.sample import Sample, draw_items

_MANIFEST = {"path", "label", "split"}


def from_table(text: str, asked: Asked) -> Sample:
    """Return the sample of a table's file, or of the files that a manifest names.

    Raises:
        DataError: the file cannot be read, or has no such column as the label.
    """
    place = place_of(text)
    wanted = [asked.y] if isinstance(asked.y, str) else []
    problems = Problems(place)
    form = Form(header=asked.header, encoding=asked.encoding)
    with opened_rows(
        place, form, problems, wanted=wanted, complete=True, advance=asked.advance
    ) as rows:
        names, count, form = rows.names, rows.count(), rows.form
        if asked.y is None and is_manifest(names) and set(map(str.casefold, names)) <= _MANIFEST:
            return from_source(text, asked)
    if not count and not problems.count:
        problems.add("has no rows")
    problems.stop_items()
    kept = draw_items(count, len(names) - len(wanted), asked.seed)
    with opened_rows(place, form, problems, complete=True) as rows:
        columns, notes = table_columns(rows, kept)
    problems.stop()
    table = Table(names, columns, count, kept, tuple(notes), text)
    return sample_of_columns(table, asked.y, seed=asked.seed)
