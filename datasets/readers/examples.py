"""`X` and `y` as users of scikit-learn give them: recognized, or refused in one line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.contracts.adapter import Things, is_one, is_sparse
from gridcnn.datasets.labels import labels_array, labels_of, plain_value
from gridcnn.datasets.problems import Problems
from gridcnn.datasets.tables.frames import frame_cells, is_frame
from gridcnn.errors import DataError, listed, quoted, shown

_GRIDS = "(items, columns), (items, rows, columns), or (items, channels, rows, columns)"
_FORMS = f"give an array of numbers {_GRIDS}, or a list of texts, paths, pictures or arrays"
_ENCODE = "sklearn.preprocessing.OrdinalEncoder"


class NoNumberError(DataError, TypeError):
    """A cell of an array is an object that is not a number; a `TypeError`, as `float` raises."""


def things_of(given: Any) -> Things:
    """Return `X` as an array of real numbers with a first dimension of items, or a list of things.

    What is missing in a list stays None or NaN. The first item that is not missing decides whether
    it holds raw items. A column of texts `(items, 1)`, or a DataFrame that has no other column,
    is read as a list of texts.

    Raises:
        DataError: it is neither, or holds something else than real numbers.
    """
    if is_one(given):
        raise DataError(f"X is a single item, {_describe(given)}; give a list of items")
    refuse_unordered(given)
    if is_frame(given):
        return _of_frame(given)
    if isinstance(given, Sequence):
        return _of_list(list(given))
    if not hasattr(given, "__array__"):
        _refuse_iterator(given)
        return _of_list(list(given))
    # A masked array would lose its mask.
    if isinstance(given, np.ma.MaskedArray):
        kind = given.dtype.kind
        given = given.astype(object if kind not in "biuf" else np.float64)
        given = given.filled(np.nan if kind in "biuf" else None)
    return _of_array(_as_array(given))


def labels_given(given: Any, items: int) -> NDArray[Any]:
    """Return `y` as an array `(items,)`, without converting any label.

    It holds objects where NumPy has no type for all labels.

    Raises:
        DataError: labels are missing, are not those of classes, or there is not one for each item.
    """
    if given is None:
        raise DataError("fit requires y to be passed, but the target y is None; give the labels")
    if is_sparse(given):
        raise DataError(
            f"y is a sparse {_type_and_shape(given)}; give the labels as a list or an array"
        )
    if isinstance(given, Mapping | Set | Iterator):
        raise DataError(
            f"y is a {type(given).__name__}; give a list of labels, one for each item of X"
        )
    column = _one_dimension(given)
    labels = _label_array(column)
    if len(labels) != items:
        raise DataError(
            f"X has {items:,} {'item' if items == 1 else 'items'}, and y {len(labels):,} "
            f"{'label' if len(labels) == 1 else 'labels'}; give one label for each item"
        )
    return labels


# What X is ------------------------------------------------------------------------------------


def refuse_unordered(given: Any) -> None:
    """Raise `DataError` for `X` that holds no items in an order, or that can be read only once."""
    if given is None:
        raise DataError(f"X is None; {_FORMS}")
    if is_sparse(given):
        raise DataError(
            f"X is a sparse {_type_and_shape(given)}, which is not supported; give it as an array: "
            "X.toarray()"
        )
    if isinstance(given, Mapping):
        keys = listed([shown(key) for key in given], limit=3)
        raise DataError(
            f"X is a {type(given).__name__} (with the keys {keys}); give a list of items, an "
            "array, or pandas.DataFrame(X)"
        )
    if isinstance(given, Set):
        raise DataError(f"X is a {type(given).__name__}, whose items have no order; give list(X)")
    if isinstance(given, Iterator):
        raise DataError(f"X is a {type(given).__name__}, which can be read only once; give list(X)")


def _refuse_iterator(given: Any) -> None:
    if not hasattr(given, "__len__") or not hasattr(given, "__iter__"):
        raise DataError(f"X is {shown(given)} (of type {type(given).__name__}); {_FORMS}")


def _type_and_shape(given: Any) -> str:
    return f"{type(given).__name__} of shape {tuple(given.shape)}"


def _as_array(given: Any) -> NDArray[Any]:
    try:
        return np.asarray(given)
    except Exception as error:  # a foreign object's __array__ may raise anything
        raise DataError(f"X cannot be read as an array: {error}; {_FORMS}") from None


def _of_array(values: NDArray[Any]) -> Things:
    """Return an array as it is if it holds real numbers, else what its objects are."""
    if values.ndim and not len(values):
        raise DataError(f"X has no items (its shape is {values.shape}); give at least one")
    if values.dtype.kind in "biuf":
        if values.ndim < 2:
            raise _flat(values)
        return values
    _refuse_types(values, "X")
    if values.ndim == 0:
        raise DataError(f"X is a single item, {_describe(values.item())}; {_FORMS}")
    if values.ndim == 1:
        return _of_list(values.tolist())
    if values.ndim == 2 and values.shape[1] == 1 and is_one(_first(values[:, 0].tolist())):
        raw: list[Any] = values[:, 0].tolist()
        return raw
    return _numbers(values)


def _refuse_types(values: Any, name: str) -> None:
    """Raise `DataError` for a type of numbers that grids cannot have."""
    kind = getattr(values.dtype, "kind", "O")
    if kind == "c":
        raise DataError(
            f"Complex data not supported: {name} holds {values.dtype}; give the magnitudes, "
            "numpy.abs(X), or real and imaginary parts as two channels"
        )
    if kind in "mM":
        raise DataError(
            f"{name} holds dates or times ({values.dtype}); give numbers, such as the seconds "
            "since the first of them, or the month"
        )
    if kind == "V":
        names = values.dtype.names
        what = f"records with the fields {listed(list(names), limit=5)}" if names else "raw memory"
        raise DataError(f"{name} holds {what}; give an array of numbers, or pandas.DataFrame(X)")


def _flat(values: NDArray[Any]) -> DataError:
    """Return the error for numbers `()` or `(items,)`, which are not rows."""
    if values.ndim == 0:
        return DataError(f"X is the single number {values.item()}; {_FORMS}")
    return DataError(
        f"X is one row of numbers, of shape {values.shape}; {_FORMS}. Reshape your data: "
        "X.reshape(1, -1) if it is one item, X.reshape(-1, rows, columns) if it holds several"
    )


def _of_list(items: list[Any]) -> Things:
    """Return a list of things as they are, or of rows and grids of one shape as one array."""
    if not items:
        raise DataError("X has no items; give at least one")
    first = _first(items)
    if first is None:
        raise DataError(
            f"each of the {len(items):,} items of X is missing ({shown(items[0])}); {_FORMS}"
        )
    things = [index for index, each in enumerate(items) if is_one(each)]
    single = [index for index, each in enumerate(items) if _is_number(each)]
    if things and single:
        raise DataError(
            f"X[{things[0]}] is {_describe(items[things[0]])}, and X[{single[0]}] the number "
            f"{shown(items[single[0]])}; give items of one kind"
        )
    if is_one(first):
        return items
    if _is_number(first):
        numbers = np.asarray(items)
        _refuse_types(numbers, "X")
        raise _flat(numbers)
    if not isinstance(first, Sequence) and not hasattr(first, "__array__"):
        _refuse_dates(first)
        return items  # things that only an adapter knows
    return _of_rows(items)


def _refuse_dates(first: Any) -> None:
    if hasattr(first, "isoformat") or hasattr(first, "total_seconds"):
        raise DataError(
            f"X holds dates or times ({shown(first)}); give numbers, such as the seconds since the "
            "first of them, or the month"
        )


def _of_rows(items: list[Any]) -> Things:
    """Return items that are lists or arrays: one array if their shapes are the same."""
    arrays = []
    for index, each in enumerate(items):
        if _is_missing(each) or is_one(each):
            raise DataError(
                f"X[{index}] is {'missing' if _is_missing(each) else _describe(each)} "
                f"({shown(each)}), and others are arrays; leave it out, or give items of one kind"
            )
        try:
            arrays.append(np.asarray(each))
        except Exception as error:  # a foreign object's __array__ may raise anything
            ragged = "inhomogeneous" in str(error)
            reason = "its rows have different lengths" if ragged else str(error)
            raise DataError(f"X[{index}] cannot be read as an array: {reason}") from None
    shapes = {array.shape for array in arrays}
    if len(shapes) == 1 and not (shapes == {()} and arrays[0].dtype.kind == "O"):
        if not any(isinstance(item, np.ma.MaskedArray) for item in items):
            return _of_array(_stack(items, arrays))
        return things_of(np.ma.stack(items))
    for index, array in enumerate(arrays):
        if array.dtype.kind not in "biuf":
            _refuse_types(array, f"X[{index}]")
            arrays[index] = _numbers(array, (index,))
    # Clips and pictures may differ in shape, and what else may not, an adapter says.
    return arrays


def _stack(items: list[Any], arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """Return arrays of one shape as one array, in which numbers beside texts stay numbers."""
    kinds = {array.dtype.kind for array in arrays}
    if kinds <= set("biuf") or len(kinds) == 1:
        # A list with a text and a number becomes texts in NumPy; as objects both are told apart.
        plain = kinds <= set("biufcmM") or all(isinstance(item, np.ndarray) for item in items)
        return np.stack(arrays) if plain else np.array(items, dtype=object)
    return np.stack([array.astype(object) for array in arrays])


def _first(items: Sequence[Any]) -> Any:
    """Return the first item that is not missing; None if all are."""
    return next((item for item in items if not _is_missing(item)), None)


def _is_number(thing: Any) -> bool:
    kinds = bool | int | float | complex | np.number | np.bool_
    return isinstance(thing, kinds) and not _is_missing(thing)


def _is_missing(thing: Any) -> bool:
    # By their names, so that pandas is not imported for those who do not use it.
    if thing is None or type(thing).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(thing, float | np.floating) and bool(np.isnan(thing))


def _describe(thing: Any) -> str:
    """Return the description of an item in messages, if it is not a number."""
    if isinstance(thing, str):
        return f"the text {shown(thing)}"
    if isinstance(thing, bytes | bytearray):
        return f"the bytes {shown(thing, limit=40)}"
    return f"a {type(thing).__name__}, {shown(thing)}"


def _numbers(values: NDArray[Any], before: tuple[int, ...] = ()) -> NDArray[np.float64]:
    """Return objects of two dimensions or more as numbers, NaN if one is missing.

    `before` is the place of the array in `X`.

    Raises:
        DataError: one is not a number; the first is named.
    """
    numbers = np.empty(values.shape, np.float64)
    flat = numbers.reshape(-1)
    for index, value in enumerate(values.reshape(-1).tolist()):
        if _is_missing(value):
            flat[index] = np.nan
            continue
        if not isinstance(value, str | bytes | complex):
            try:
                flat[index] = value
            except (TypeError, ValueError, OverflowError):
                pass
            else:
                continue
        place = (*before, *map(int, np.unravel_index(index, values.shape)))
        raise _no_number(f"X{list(place)}", value)
    return numbers


def _no_number(place: str, value: Any) -> DataError:
    if isinstance(value, complex):
        return DataError(f"Complex data not supported: {place} is {value}; give real numbers")
    if isinstance(value, str | bytes):
        return DataError(
            f"{place} is {_describe(value)}, not a number; leave such columns out, or encode them "
            f"({_ENCODE})"
        )
    return NoNumberError(
        f"{place} is {_describe(value)}; each cell of the argument must be a number, so turn "
        "strings and other objects into numbers first"
    )


def _of_frame(frame: Any) -> Things:
    """Return the only column of a frame as things, or the numbers of all columns as one array."""
    if not hasattr(frame, "iloc"):  # of polars or another library
        frame = frame.to_pandas()
    names = [str(name) for name in frame.columns]
    if not names:
        raise DataError("X is a DataFrame without columns; give one with numbers, or with texts")
    if not len(frame):
        raise DataError("X has no items; give at least one")
    columns: list[Any] = []
    problems = Problems()
    for place, name in enumerate(names):
        column = frame.iloc[:, place]
        _refuse_types(column, f"X[{quoted(name)}]")
        cells = frame_cells(column)
        if not isinstance(cells, np.ndarray):
            if len(names) == 1 and is_one(_first(cells)):
                return list(cells)
            try:
                cells = _numbers(np.array([*cells, None], dtype=object)[:-1, None])[:, 0]
            except DataError:
                problems.add(_no_column(name, _odd(cells), len(names)))
                continue
        columns.append(cells)
    problems.stop()
    return np.column_stack(columns)


def _odd(cells: Iterable[Any]) -> Any:
    """Return the first cell that is not a number."""
    return next((cell for cell in cells if not _is_number(cell) and not _is_missing(cell)), None)


def _no_column(name: str, value: Any, columns: int) -> str:
    alone = f"; if it is what to classify, give it alone: X[{quoted(name)}]"
    return (
        f"X[{quoted(name)}] holds {_describe(value)}, and a column must hold numbers: leave it "
        f"out, or encode it ({_ENCODE}){alone if columns > 1 and isinstance(value, str) else ''}"
    )


# What y is ------------------------------------------------------------------------------------


def _one_dimension(given: Any) -> Any:
    """Return labels of one dimension; of a column `(items, 1)` its labels, with a warning."""
    if is_frame(given) and given.shape[1] == 1:
        column = given.iloc[:, 0] if hasattr(given, "iloc") else given.to_pandas().iloc[:, 0]
        _warn_column()
        return column
    if isinstance(given, str | bytes):
        return labels_of(given)  # which refuses it
    try:
        array = np.asarray(given)
    except Exception:  # rows of different lengths, or a foreign object
        raise DataError(
            f"y must have one label for each item, shape (items,); got {shown(given)}, which is "
            "not an array"
        ) from None
    if array.ndim == 2 and array.shape[1] == 1:
        _warn_column()
        return array[:, 0]
    if array.ndim != 1:
        labels_of(array)  # which says what to do
        raise DataError(f"y must have one label for each item; got shape {array.shape}")
    # An object that is an array only when it is asked: it has no length.
    return given if hasattr(given, "__len__") else array


def _warn_column() -> None:
    import warnings

    from sklearn.exceptions import DataConversionWarning

    warnings.warn(
        "A column-vector y was passed when a 1d array was expected; give y.ravel()",
        DataConversionWarning,
        stacklevel=5,
    )


def _label_array(labels: Any) -> NDArray[Any]:
    """Return labels of one dimension as an array, without converting any."""
    if not (isinstance(labels, np.ndarray) and labels.dtype.kind in "biu"):
        array = np.asarray(labels)
        given = [plain_value(label) for label in labels]
        same = [type(label) for label in array.tolist()] == [type(label) for label in given]
        if array.dtype.kind not in "biuf" or not same or array.tolist() != given:
            return labels_array(labels_of(labels))
        if array.dtype.kind == "f":
            labels_of(array)  # which refuses NaN and fractions
        return array
    return labels
