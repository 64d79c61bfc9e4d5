"""Starter specs: a first spec for new data."""

from __future__ import annotations

import io
import json
import os
import re
import textwrap
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.fitting import fitting, fitting_files
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.text import TextAdapter
from gridcnn.contracts.source import Dataset, Request, Source
from gridcnn.datasets import places
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.readers.manifest import is_manifest
from gridcnn.datasets.readers.paths import Files
from gridcnn.datasets.tables.columns import Look, look_at
from gridcnn.datasets.tables.items import ENDINGS, opened_rows
from gridcnn.datasets.tables.lines import ending_of
from gridcnn.datasets.tables.rows import Form
from gridcnn.errors import DataError, how_many, listed, printable, quoted
from gridcnn.grid import GridShape
from gridcnn.order.layouts import Layout
from gridcnn.order.parts import Part
from gridcnn.runs import residual, series
from gridcnn.runs.endings import write_end
from gridcnn.runs.located import locate
from gridcnn.settings.document import parse
from gridcnn.spec.load import validate
from gridcnn.spec.models import SOURCES

_LOOKED_AT = 40
"""The number of files that are opened as a sample."""
_COLUMNS = 40
"""The most columns of numbers that are listed in a spec."""
_HEAD = """\
# What to run: gridcnn run {file}
# Every setting, with its default: gridcnn schema, or docs/spec.md of the project.
name: "{name}"

data:
"""
_PARTS = """\
  test: 0.2            # kept for the final figure
  validation: 0.1      # of the rest, to choose the best epoch by
"""
_NO_VALIDATION = """\
  test: 0.2            # kept for the final figure
  validation: 0        # too few rows to choose an epoch by, so the last one counts
"""
_NO_DATA = """\
  # A folder with one folder for each class, of pictures such as photos/cat and photos/dog, of
  # sounds or of arrays; a CSV file with the columns path and label; an .npz file; a table of texts
  # or numbers; or a known data set: gridcnn datasets list. For existing data,
  # gridcnn init DATA writes a spec that fits. Relative paths start at the folder of this file.
  source: xo
"""
_IMAGE = """\
adapter:
  # How a picture becomes a grid of cells between -1 and 1.
  image: {{size: [{rows}, {columns}], channels: {channels}}}   # 1: grey, 3: colour
"""
_AUDIO = """\
adapter:
  # How a sound becomes a grid: a row for each band of pitch, a column for each moment.
  audio:
    sample_rate: {rate}  # in Hz; nothing above half of it is heard
    duration: null       # in seconds; null: learned from the training clips
    n_fft: {window}           # samples under a window, {length:.0f} ms
    hop_length: {hop}      # samples from one window to the next
    n_mels: {bands}           # bands of pitch, the rows
"""
_TEXT = """\
adapter:
  # How a text becomes a grid: a column for each character, with a 1 in the row of that character.
  text:
    unit: character      # or word, or byte
    alphabet: null       # null: learned from the training texts
    lower: false         # true: capitals become small letters
    length: auto         # columns: as many as nearly all training texts need
"""
_MOLECULE = """\
adapter:
  # How a molecule becomes a grid: a column for each token of its SMILES (an atom, a bond, a branch,
  # a ring), with a 1 in the row of that token.
  molecule:
    alphabet: null       # null: learned from the training molecules
    length: auto         # columns: as many as nearly all training molecules need
    canonical: false     # true: one way of writing for each molecule, which needs RDKit
"""
_TABLE = """\
adapter:
  # The columns of numbers as a grid of one row, in this order: neighbours must be related to
  # each other. Each column becomes a mean of 0 and a standard deviation of 1.
  table: {scaling: column}
"""
_LAYOUT = """\
adapter:
  # The columns of numbers as {layout}, as a check of their order found them. Each column becomes a
  # mean of 0 and a standard deviation of 1.
  table: {{{settings}}}
"""
_SERIES = """\
adapter:
{comment}
  table: {{{settings}}}
"""
_ARRAY = """\
adapter:
  # Arrays are grids already; the range of the training items becomes -1..1.
  array: {scaling: range}
"""
_GRID_HEAD = """\
head:
  # The remaining cells vote for the classes through a hidden layer of 64 units, some of which are
  # left out at random in training.
  voting: {hidden: [64], dropout: 0.3}
"""
_SMOOTHED = (
    "  warm_up: 1           # the learning rate rises during the first epoch\n"
    "  label_smoothing: 0.1 # a tenth of each target is shared equally by all classes\n"
)
_TEXT_STAGES = """\
stages:
  # Each feature covers all rows, since symbols have no order, and slides along the text.
  - convolution: {filters: 64, kernel_size: [all, 7]}
  # Negative matches become 0.
  - rectification
  # The best match is kept, wherever it is in the text.
  - pooling: {window: all}
"""
_HIDDEN = """\
head:
  # The remaining cells vote for the classes through a hidden layer of 32 units.
  voting: {hidden: [32]}
"""
_VOTES = """\
# The remaining cells vote for the classes.
head: voting
"""


def starter(name: str, file: str) -> str:
    """Return a starter spec for pictures, on generated data; `file` is the name it will get."""
    grid = GridShape(1, 32, 32)
    return _spec(
        name,
        file,
        _NO_DATA + _PARTS,
        _IMAGE.format(rows=32, columns=32, channels=1),
        _grid_stages(grid),
        items=10_000,
    )


@dataclass(frozen=True)
class Starter:
    """A starter spec.

    Attributes:
        text: the spec, as YAML.
        found: what the data is, in words; empty if there is none.
        notes: what users of the data should know, in sentences.
    """

    text: str
    found: str = ""
    notes: Sequence[str] = ()


Judge = Callable[[str, str | None], Layout | Part | None]
"""Returns the layout of a table's columns, or the part of them that is in order, given its file and
label; raises if the order means nothing."""


def starter_for(
    name: str,
    file: str,
    data: str,
    *,
    labels: Sequence[str] = (),
    inputs: Sequence[str] = (),
    encoding: str | None = None,
    judge: Judge | None = None,
) -> Starter:
    """Return a starter spec for existing data.

    Args:
        name: of the spec.
        file: what the spec will be called.
        data: the path of a folder or file, as it is written to the spec.
        labels, inputs: columns of a table, if they are known; several labels are those of an item
            that may have several.
        encoding: how the characters of a table are encoded; None: UTF-8 or UTF-16.
        judge: called for a table of numbers, and for one whose columns are not clear, unless
            `inputs` are given.

    Raises:
        DataError: the data cannot be read, or its kind is not clear.
    """
    if not _is_table(data, encoding):
        if labels or inputs:
            raise DataError(
                f"--label and --input are for a table, and {data} is not a table of texts or "
                "numbers"
            )
        return _for_files(name, file, data)
    label = labels[0] if labels else None
    if len(labels) > 1:
        return _for_labels(name, file, data, labels, inputs, encoding)
    asked = judge if not inputs else None
    try:
        look = look_at(data, label=label, inputs=inputs, form=Form(encoding=encoding))
    except DataError:
        if asked is not None:
            asked(data, label)  # refuses a table without order before its columns are clear
        raise
    found = asked(data, look.label) if asked and not isinstance(look.input, str) else None
    if isinstance(found, Part):
        chosen = _only(look, found, data)
        return _for_table(name, file, data, chosen, None, is_part=True)
    return _for_table(name, file, data, look, found)


def _for_labels(
    name: str,
    file: str,
    data: str,
    labels: Sequence[str],
    inputs: Sequence[str],
    encoding: str | None,
) -> Starter:
    """Return a spec for a table whose items may have several labels, each in a column."""
    twice = [label for label in labels if labels.count(label) > 1]
    if twice:
        raise DataError(
            f"--label names the column {_quote(twice[0])} {labels.count(twice[0])} times; give it "
            "once"
        )
    look = look_at(data, label=labels[0], inputs=inputs, form=Form(encoding=encoding))
    others = tuple(each for each in look.others if each not in labels)
    kept = look.input
    if not isinstance(kept, str):
        kept = tuple(each for each in kept if each not in labels)
    if not kept or (isinstance(kept, str) and kept in labels):
        raise DataError(f"{data}: all columns are labels; name another one with --input COLUMN")
    made = _for_table(name, file, data, replace(look, input=kept, others=others), None)
    given = f"      label: {_quote(labels[0])}   # the column of the classes"
    columns = ", ".join(map(_quote, labels))
    text = made.text.replace(
        given, f"      label: [{columns}]   # a column of 0 and 1 for each label", 1
    )
    found = made.found.replace(
        f"the classes are in {_quote(labels[0])}", f"{len(labels)} labels: {columns}", 1
    )
    return Starter(_for_several(text), found, made.notes)


def _for_several(text: str) -> str:
    """Return a spec whose head votes for several labels of an item.

    Labels are not smoothed: those of rare ones would be far from their frequency.
    """
    text = text.replace("vote for the classes", "vote for each label")
    text = text.replace(_SMOOTHED, "")
    text = text.replace("voting: {hidden", "voting: {labels: several, hidden")
    return text.replace("head: voting\n", "head: {voting: {labels: several}}\n")


def _only(look: Look, part: Part, data: str) -> Look:
    """Return the use of columns, with no others as input than those of a part in order.

    Raises:
        DataError: the part starts or ends with a column that is no input.
    """
    if part.first not in look.input or part.last not in look.input:
        raise DataError(
            f"{data}: only the columns from {_quote(part.first)} to {_quote(part.last)} are in a "
            "meaningful order; name those with numbers, each by --input COLUMN"
        )
    start, last = look.input.index(part.first), look.input.index(part.last)
    inputs = tuple(look.input[start : last + 1])
    others = (*look.others, *look.input[:start], *look.input[last + 1 :])
    return replace(look, input=inputs, others=others)


def _is_table(data: str, encoding: str | None) -> bool:
    """Return whether a file is a table that contains its items, and not a manifest."""
    if not places.is_file(data) or ending_of(data) not in ENDINGS:
        return False
    try:
        # The names of columns can be read even if a quote is left open.
        form = Form(quoting=False, encoding=encoding)
        with opened_rows(data, form, Problems(data)) as rows:
            return not is_manifest(rows.names)
    except DataError:
        return True


def _for_files(name: str, file: str, data: str) -> Starter:
    """Return a spec for a folder, a manifest or arrays."""
    source = Files(path=data)
    made = fitting_files(source.endings(), data)
    dataset = source.open(Request(suffixes=made.suffixes))
    # In a spec a known name goes before a folder that is called so.
    given = json.dumps(f"./{data}" if data in SOURCES.names() else data, ensure_ascii=False)
    section = f"  source: {given}   # a relative path starts at the folder of this file\n"
    return _for_dataset(name, file, section + _parts(dataset), dataset)


def starter_of(name: str, file: str, known: str, source: Source) -> Starter:
    """Return a starter spec for a known data set.

    Raises:
        DataError: the data cannot be opened.
    """
    dataset = source.open(Request(suffixes=ImageAdapter.suffixes))
    return _for_dataset(name, file, f"  source: {known}\n" + _parts(dataset), dataset)


def _parts(dataset: Dataset) -> str:
    if dataset.parts is None:
        groups = None if dataset.several else find_groups(dataset)
        if not groups:
            return _PARTS
        pattern, names = groups
        shown = listed([printable(each) for each in names], limit=6)
        return (
            f"{_PARTS}  # Names of files tell groups: {shown}. Items of a group stay together.\n"
            f"  group: {{pattern: {json.dumps(pattern)}}}\n"
        )
    named = sorted(set(dataset.parts))
    return f"  # The data names its own parts: {', '.join(named)}.\n" + _PARTS


def _for_dataset(name: str, file: str, section: str, dataset: Dataset) -> Starter:
    """Return a spec for the kind of the first items."""
    items, count = len(dataset), len(dataset.classes)
    chosen = np.unique(np.linspace(0, items - 1, _LOOKED_AT).astype(int)).tolist()
    some = [dataset.things[index] for index in chosen]
    made = fitting(some, dataset.origin)
    end = None
    if isinstance(made, TextAdapter):
        what, adapter, stages = "texts", _TEXT, _TEXT_STAGES
    elif isinstance(made, ImageAdapter):
        what, (adapter, stages, end) = "pictures", _pictures(some, items)
    elif isinstance(made, ArrayAdapter):
        what, adapter, stages = "arrays", _ARRAY, _grid_stages(made.fitted(some).shape())
    else:
        what = "sounds"
        adapter, stages = _audio(some)
    text = _spec(name, file, section, adapter, stages, items=items, end=end)
    if dataset.several:
        told = f"{items:,} {what}, {how_many(count, 'label')}"
        return Starter(_for_several(text), told, dataset.notes)
    told = f"{items:,} {what}, {how_many(count, 'class', 'classes')}"
    return Starter(text, told, (*dataset.notes, *_missing_classes(dataset)))


def _missing_classes(dataset: Dataset) -> Sequence[str]:
    """Return a note if there is nothing to choose between."""
    if len(dataset.classes) != 1:
        return ()
    return (
        f"every item has the class {quoted(str(dataset.classes[0]))}; before a run, add items of "
        "at least one other class, such as in a folder of its own",
    )


def _for_table(
    name: str, file: str, data: str, look: Look, layout: Layout | None, *, is_part: bool = False
) -> Starter:
    """Return a spec for a table by the likely use of its columns.

    `is_part` tells that the numbers are the only columns in a meaningful order.
    """
    lines = [f"      path: {json.dumps(data, ensure_ascii=False)}"]
    lines[0] += "   # a relative path starts at the folder of this file"
    end = None
    if isinstance(look.input, str):
        what = {"texts": "texts", "molecules": "molecules"}.get(look.holds, "files")
        adapter, stages = (_MOLECULE if what == "molecules" else _TEXT), _TEXT_STAGES
        if what == "files":
            what, adapter, stages, end = _for_contents(look.some, look.items)
        lines.append(f"      input: {_quote(look.input)}   # the column of the {what}")
    else:
        count = len(look.input)
        what, adapter = f"rows of {count} numbers", _TABLE
        if layout is not None and layout.positions * layout.channels == count:
            adapter = _LAYOUT.format(layout=layout, settings=_settings(layout.adapter["table"]))
        else:
            layout = Layout(1, count)
        stages = _grid_stages(GridShape(layout.channels, layout.rows, layout.columns))
        if count <= _COLUMNS or look.others:
            listing = ", ".join(map(_quote, look.input))
            why = "the only ones in a meaningful order" if is_part else "in this order"
            lines.append(f"      input: [{listing}]   # the columns of the numbers, {why}")
        else:
            lines.append("      input: null      # all columns that have no other use")
    lines.append(f"      label: {_quote(look.label)}   # the column of the classes")
    if look.split is not None:
        lines.append(f"      split: {_quote(look.split)}   # says which part a row belongs to")
    lines += _form_lines(look.form)
    unnamed = [name or "a column without a name" for name in look.others]
    left = printable(listed(unnamed, limit=8))
    if left:
        lines.append(f"      # not used: {left}")
    section = "  source:\n    table:\n" + "\n".join(lines) + "\n"
    parts = f"the classes are in {_quote(look.label)}"
    if isinstance(look.input, str):
        parts += f", the {what} in {_quote(look.input)}"
    if left:
        parts += f"; not used: {left}"
    if is_part:
        parts += "; only the columns that are used are in a meaningful order"
    if layout is not None and layout.rows == 1 and layout.columns >= series.FEWEST_POSITIONS:
        text = _spec_of_series(name, file, section, layout, look.items)
    else:
        text = _spec(name, file, section + _PARTS, adapter, stages, items=look.items, end=end)
    return Starter(text, f"a table of {what}: {parts}")


def _spec_of_series(name: str, file: str, section: str, layout: Layout, items: int) -> str:
    """Return a spec for rows of readings; `section` is its source, `items` how many were seen."""
    shape = GridShape(layout.channels, layout.rows, layout.columns)
    head = _HEAD.format(file=file, name=name) + section
    draft = validate(parse(f"{head}{_NO_VALIDATION}head: voting\n", file))
    seen = series.look_at_rows(locate(draft, None, Path.cwd()), layout.channels, items=items)
    settings = _settings({**layout.adapter["table"], "scaling": seen.scaling})
    comment = textwrap.fill(
        f"The columns of numbers as {layout}. {seen.reason}",
        width=100,
        initial_indent="  # ",
        subsequent_indent="  # ",
    )
    adapter = _SERIES.format(comment=comment, settings=settings)
    end = write_end(
        _VOTES,
        epochs=series.epochs_for(seen.items),
        batch=series.batch_for(seen.items),
        rate=series.RATE,
    )
    parts = _PARTS if series.is_for_validation(seen.items) else _NO_VALIDATION
    return "\n".join([head + parts, adapter, series.stages_of_rows(shape), end])


def _settings(settings: dict[str, Any]) -> str:
    """Return settings as they stand between the braces of a spec."""
    return json.dumps(settings)[1:-1].replace('"', "")


def _form_lines(form: Form) -> list[str]:
    """Return the settings for a table's format, if it is not the usual one."""
    lines = []
    if form.header is False:
        lines.append("      header: false    # columns are called by their numbers, from 1")
    if not form.quoting:
        lines.append("      quoting: false   # quotes are ordinary characters")
    if form.decimal == ",":
        lines.append("      decimal: ','     # before decimals")
    if form.thousands not in (None, "none"):
        lines.append(f"      thousands: {json.dumps(form.thousands)}   # between thousands")
    if form.encoding not in (None, "utf-8"):
        lines.append(f"      encoding: {form.encoding}")
    return lines


def _for_contents(some: Sequence[Any], items: int) -> tuple[str, str, str, str | None]:
    """Return the kind of the files' contents, and what `_pictures` returns, for that kind."""
    if not isinstance(some[0], bytes):  # lists of numbers
        return "rows of numbers", _TABLE, _grid_stages(GridShape(1, 1, len(some[0]))), None
    if fitting(list(some)).title == "audio":
        return "sounds", *_audio([io.BytesIO(each) for each in some]), None
    return "pictures", *_pictures(some, items)


def _pictures(some: Sequence[str | bytes], items: int) -> tuple[str, str, str | None]:
    """Return an adapter, stages and an end that suit pictures; None: the usual end of a spec.

    Args:
        some: a sample of the files.
        items: the number of all pictures.
    """
    rows, columns, channels = _picture_sizes(some)
    adapter = _IMAGE.format(rows=rows, columns=columns, channels=channels)
    shape = GridShape(channels, rows, columns)
    if residual.suits(shape, items):
        return adapter, residual.write_stages(shape), residual.write_end(shape, items)
    return adapter, _grid_stages(shape), None


def _quote(column: str) -> str:
    """Return the name of a column as YAML, in quotes if it could be read as something else."""
    plain = column.isascii() and column.replace("_", "a").isalnum() and column[0].isalpha()
    words = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
    return (
        column if plain and column.lower() not in words else json.dumps(column, ensure_ascii=False)
    )


def _picture_sizes(files: Sequence[str | bytes]) -> tuple[int, int, int]:
    """Return rows, columns and channels that suit pictures; unreadable files are skipped."""
    from gridcnn.adapters.decoding import decode_bytes, decode_file

    sizes: list[tuple[int, int]] = []
    coloured = 0
    for each in files:
        read: Callable[..., Any] = decode_bytes if isinstance(each, bytes) else decode_file
        try:
            pixels = read(each, max_pixels=64_000_000).array()
        except DataError:
            continue
        sizes.append((pixels.shape[0], pixels.shape[1]))
        if pixels.ndim == 3 and pixels.shape[2] >= 3:
            colours = pixels[::7, ::7, :3].astype(np.float64)
            coloured += float(np.ptp(colours, axis=2).mean()) > 0.02 * np.iinfo(np.uint8).max
    channels = 3 if sizes and coloured * 10 > len(sizes) else 1
    if len(set(sizes)) == 1 and max(sizes[0]) <= 64:
        return *sizes[0], channels
    shorter = float(np.median([min(size) for size in sizes])) if sizes else 32
    side = 32 if shorter < 64 else 64
    return side, side, channels


def _audio(files: Sequence[Any]) -> tuple[str, str]:
    """Return an adapter and stages that suit sounds."""
    rate = _sample_rate(files)
    window = 2 ** round(np.log2(rate * 0.032))
    bands = 32 if rate <= 8_000 else 40
    adapter = _AUDIO.format(
        rate=rate, window=window, length=1000 * window / rate, hop=window // 2, bands=bands
    )
    return adapter, _grid_stages(GridShape(1, bands, 64), bricks=3)


def _sample_rate(files: Sequence[Any]) -> int:
    """Return the usual rate of sound files, at most 16,000 Hz."""
    import soundfile

    rates: list[int] = []
    for each in files:
        # As bytes on Linux and macOS, where a name need not be valid text.
        place = os.fsencode(each) if isinstance(each, str) and os.name != "nt" else each
        try:
            rates.append(int(soundfile.info(place).samplerate))
        except (OSError, RuntimeError):  # the run reports what cannot be read
            continue
    usual = max(set(rates), key=lambda rate: (rates.count(rate), rate)) if rates else 16_000
    return min(max(usual, 1_000), 16_000)


def _grid_stages(shape: GridShape, *, bricks: int = 2) -> str:
    """Return bricks of stages, whose windows never reach across an axis that is short.

    Normalization, twice as many filters and twice as many moves of the optimizer as a plain chain
    needs, dropout and label smoothing together brought the validation accuracy of six trainings
    from 97.3 to 99.1 % on digits, and of two from 89 to 94 % on 200 sounds; 120 pictures of xo
    were the same.

    The last normalization, and an epoch in which the learning rate rises, keep hidden units alive.
    Without them the first five steps silenced nearly all of them on 10,000 letters, since every
    voter sees 3,136 cells that are 0 or more. They brought the validation accuracy from 24 to 96 %
    after two epochs there, of clothes from 84 to 88 %, of 108 pictures of xo from 82 to 88 % (means
    of three seeds), and changed digits and sounds by a point or less.
    """
    rows, columns = shape.rows, shape.columns
    wide = 5 if rows == 1 else 3
    lines = ["stages:"]
    for brick in range(bricks):
        kernel = (min(3, rows), min(wide, columns))
        window = (2 if rows >= 4 else 1, 2 if columns >= 4 else 1)
        if brick == 0:
            lines.append("  # Each filter is a mini-image; its map shows how well it matches.")
        filters, size = 32 * (brick + 1), _pair(kernel)
        lines.append(f"  - convolution: {{filters: {filters}, kernel_size: {size}, bias: false}}")
        if brick == 0:
            lines += [
                "  # Each map becomes a mean of 0 and a deviation of 1, over some items.",
                "  - normalization",
                "  # Negative matches become 0.",
            ]
        else:
            lines.append("  - normalization")
        lines.append("  - rectification")
        if window != (1, 1):
            if brick == 0:
                lines.append("  # The best match in each window is kept.")
            lines.append(f"  - pooling: {{window: {_pair(window)}}}")
        rows, columns = -(-rows // window[0]), -(-columns // window[1])
    lines += [
        "  # What votes has a mean of 0. Otherwise a step of the optimizer, which moves all the",
        "  # weights of a hidden unit alike, may silence it for good.",
        "  - normalization",
    ]
    return "\n".join(lines) + "\n"


def _pair(sizes: tuple[int, int]) -> str:
    return str(sizes[0]) if sizes[0] == sizes[1] else f"[{sizes[0]}, {sizes[1]}]"


def _spec(
    name: str,
    file: str,
    section: str,
    adapter: str,
    stages: str,
    *,
    items: int,
    end: str | None = None,
) -> str:
    """Return the text of a spec; `end` is its head and training, if they are not the usual ones."""
    batch = 32 if items < 4_000 else 64
    # Few items need more epochs, so that the network moves some 1,200 times at least.
    epochs = min(max(10, round(1_200 * batch / max(items, 1))), 100)
    head = _HEAD.format(file=file, name=name)
    if end is None:
        is_text = stages == _TEXT_STAGES
        voting, more = (_HIDDEN, "") if is_text else (_GRID_HEAD, _SMOOTHED)
        end = write_end(voting, epochs=epochs, batch=batch, rate=0.003, more=more)
    return "\n".join([head + section, adapter, stages, end])


# Groups -----------------------------------------------------------------------------------------

_MOST_GROUPS = 50
_MOST_NUMBERED = 12  # groups that are numbers; more are likely to count files


def find_groups(dataset: Dataset) -> tuple[str, list[str]] | None:
    """Return a pattern that finds groups in names of files, and the groups; None if there are none.

    Names consist of words, as in `2-dog-017.ogg`. A word names groups if it has few values, each of
    which occurs in all classes and in many files, such as the fold, a speaker or a camera; a number
    that differs in every file only counts them.
    """
    names = [name.rpartition("/")[2].rpartition(".")[0] for name in dataset.names]
    words = [re.split(r"[-_ ]", name) for name in names]
    width = len(words[0])
    if width < 2 or any(len(each) != width for each in words):
        return None
    likely = []
    for place in range(width):
        classes: dict[str, set[Any]] = defaultdict(set)
        counts: dict[str, int] = defaultdict(int)
        for each, label in zip(words, dataset.labels, strict=True):
            classes[each[place]].add(label)
            counts[each[place]] += 1
        most = _MOST_NUMBERED if all(each.isdecimal() for each in counts) else _MOST_GROUPS
        in_all = sum(len(found) == len(dataset.classes) for found in classes.values())
        if 3 <= len(counts) <= most and in_all == len(counts) and min(counts.values()) >= 3:
            likely.append((place, sorted(counts)))
    if len(likely) != 1:
        return None
    place, groups = likely[0]
    before = r"[^-_ /]*[-_ ]" * place
    return rf"(?:^|/){before}([^-_ /.]+)[^/]*$", groups
