"""What features look for as a page, as plain data and as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gridcnn.adapters.image import ImageAdapter
from gridcnn.grid import Array, GridShape, OneHot
from gridcnn.report.assembly import assemble
from gridcnn.report.colours import colour_cells, picture_pixels, png_address
from gridcnn.report.explaining.looking_for import Feature, Layer, Looked, Patch
from gridcnn.report.explaining.pages import sign
from gridcnn.report.explaining.words import place_on

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCRIPTS = ("views.js", "features.js")
_PIXELS = 108  # of an input that was made, about
_PATCH = 42  # pixels of a patch, about
_THIN = 14  # pixels in height of a patch of few rows
_SYMBOLS = 6  # rows of a feature over symbols: those that it weighs most
_NAMED = 12  # dead features and duplicates that a sentence names


def features_page(looked: Looked) -> str:
    """Return what features look for as HTML that needs nothing else."""
    spec = looked.model.spec
    return assemble(
        "features.html",
        title=f"Features of {spec.name}" if spec.name else "Features",
        data={"layers": [_layer(looked, layer) for layer in looked.layers]},
        scripts=SCRIPTS,
        model=spec.name or "the model",
        items=f"{len(looked.names):,}",
        origin=looked.origin,
    )


def plain_features(looked: Looked) -> dict[str, Any]:
    """Return what features look for as plain data for JSON; all numbers start at 0."""
    return {
        "items": len(looked.names),
        "layers": [
            {
                "stage": layer.label,
                "sees": list(layer.sees),
                "dead": list(layer.dead),
                "duplicates": [[one, other, value] for one, other, value in layer.duplicates],
                "features": [_plain_feature(looked, layer, feature) for feature in layer.features],
            }
            for layer in looked.layers
        ],
    }


def _plain_feature(looked: Looked, layer: Layer, feature: Feature) -> dict[str, Any]:
    data: dict[str, Any] = {"feature": feature.number}
    if layer.on_grid and not isinstance(looked.cells, OneHot):
        data["weights"] = layer.weights[feature.number].tolist()
    data["patches"] = [
        {
            "item": looked.names[patch.item],
            "value": patch.value,
            "rows": list(patch.rows),
            "columns": list(patch.columns),
            **({"text": text_of(looked, patch)} if isinstance(looked.cells, OneHot) else {}),
        }
        for patch in feature.patches
    ]
    if feature.made is not None:
        data["made"] = {"value": feature.made_value}
        if isinstance(looked.cells, OneHot):
            data["made"]["text"] = symbols_in(feature.made, looked.model.shape)
        else:
            data["made"]["cells"] = feature.made.tolist()
    return data


def features_of_layers_figure(looked: Looked) -> Figure:
    """Return the strongest features of each layer: weights, best patches, made inputs."""
    from matplotlib.figure import Figure

    shown = 8
    pictures = not isinstance(looked.cells, OneHot)
    heights = [3.4 if pictures else 0.6 + 0.28 * shown for _ in looked.layers]
    figure = Figure(figsize=(10, sum(heights)), layout="constrained")
    parts = np.atleast_1d(
        np.asarray(figure.subfigures(len(heights), 1, height_ratios=heights), object)
    )
    for part, layer in zip(parts, looked.layers, strict=True):
        numbers = layer.shown[:shown]
        part.suptitle(f"{layer.label}: the {len(numbers)} that match best", fontsize="small")
        if not pictures:
            axes = part.subplots()
            axes.set_axis_off()
            for line, number in enumerate(numbers):
                feature = layer.features[number]
                texts = [text_of(looked, patch) for patch in feature.patches[:5]]
                text = f"{number + 1}:  " + "   ".join(texts)
                axes.text(0, 1 - (line + 0.5) / shown, text.replace("$", r"\$"), family="monospace")
            continue
        for column, number in enumerate(numbers):
            feature = layer.features[number]
            for row, picture in enumerate(
                (patches_sheet(looked, feature), made_pixels(looked, feature))
            ):
                axes = part.add_subplot(2, shown, row * shown + column + 1)
                axes.set_axis_off()
                if picture is not None:
                    axes.imshow(picture, interpolation="nearest")
                if not row:
                    axes.set_title(f"{number + 1}", fontsize="x-small")
    return figure


# Patches ----------------------------------------------------------------------------------------


def text_of(looked: Looked, patch: Patch) -> str:
    """Return the symbols of a patch of a one-hot grid."""
    assert isinstance(looked.cells, OneHot)
    rows = looked.cells.indices[patch.item, slice(*patch.columns)]
    return join_symbols(rows.tolist(), looked.model.shape)


def symbols_in(cells: Array, shape: GridShape) -> str:
    """Return the symbols of one-hot columns `(1, rows, columns)`, see `join_symbols`."""
    grid = OneHot.from_dense(cells[None])
    assert grid is not None
    return join_symbols(grid.indices[0].tolist(), shape)


def join_symbols(rows: list[int], shape: GridShape) -> str:
    """Return the symbols of these rows, a dot for -1: a column without a 1.

    `shape` is that of the grid, whose rows are named.
    """
    labels = shape.row_axis.labels or tuple(str(row + 1) for row in range(shape.rows))
    signs = [sign(labels[row]) if row >= 0 else "\u00b7" for row in rows]
    return (" " if shape.row_axis.name == "word" else "").join(signs)


def pixels_of(looked: Looked, cells: Array, limit: float) -> NDArray[np.uint8]:
    """Return cells `(channels, rows, columns)` as colours: of pictures grey or red, green, blue."""
    if isinstance(looked.model.adapter, ImageAdapter):
        return picture_pixels(np.asarray(cells, np.float32))
    return colour_cells(np.concatenate(list(cells), axis=0), limit)


def patches_sheet(looked: Looked, feature: Feature) -> NDArray[np.uint8] | None:
    """Return the patches of a feature side by side, up to three in a row; None without any."""
    if not feature.patches:
        return None
    parts = []
    for patch in feature.patches:
        grid = np.asarray(looked.cells[patch.item])
        parts.append(grid[:, slice(*patch.rows), slice(*patch.columns)])
    limit = max(float(np.abs(part).max(initial=0)) for part in parts) or 1.0
    # Those at the edges of grids are smaller; their cells are not.
    largest = max((part.shape[1:] for part in parts), key=lambda sizes: sizes[0] * sizes[1])
    images = [_enlarge(pixels_of(looked, part, limit), _PATCH, largest) for part in parts]
    rows = max(image.shape[0] for image in images)
    columns = max(image.shape[1] for image in images)
    across = 1 if columns > 2 * rows else 3
    gap = 3
    down = -(-len(images) // across)
    sheet = np.full((down * (rows + gap) - gap, across * (columns + gap) - gap, 3), 255, np.uint8)
    for place, image in enumerate(images):
        top, left = place // across * (rows + gap), place % across * (columns + gap)
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet


def made_pixels(looked: Looked, feature: Feature) -> NDArray[np.uint8] | None:
    """Return the input that was made for a feature as colours; None if none was."""
    if feature.made is None:
        return None
    limit = float(np.abs(feature.made).max(initial=0)) or 1.0
    return _enlarge(pixels_of(looked, feature.made, limit), _PIXELS, feature.made.shape[1:])


def _enlarge(pixels: NDArray[np.uint8], size: int, sizes: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return pixels enlarged as those of a grid of `sizes` whose longer side gets about `size`.

    Lines are made thicker.
    """
    rows, columns = sizes
    if rows * 4 < columns:
        down, across = max(1, _THIN // rows), max(1, 3 * size // columns)
    else:
        down = across = max(1, size // max(rows, columns))
    return pixels.repeat(down, axis=0).repeat(across, axis=1)


# The page ---------------------------------------------------------------------------------------


def _layer(looked: Looked, layer: Layer) -> dict[str, Any]:
    count = len(layer.features)
    rows, columns = layer.sees
    shape = looked.model.shape
    whole = rows == shape.rows and (shape.rows > 1 or isinstance(looked.cells, OneHot))
    one = "1 column" if columns == 1 else f"{columns} columns"
    sees = one if whole else f"{rows} x {columns} cells"
    return {
        "label": layer.label,
        "text": f"{count} features; each cell of their maps sees {sees} of the grid.",
        "onGrid": layer.on_grid,
        "count": count,
        "dead": _dead(layer),
        "duplicates": _duplicates(layer),
        "features": [_feature(looked, layer, layer.features[number]) for number in layer.shown],
    }


def _numbers(numbers: list[str]) -> str:
    more = len(numbers) - _NAMED
    named = ", ".join(numbers[:_NAMED])
    return f"{named} and {more} more" if more > 0 else named


def _dead(layer: Layer) -> str:
    if not layer.dead:
        return "No feature is dead: each matches somewhere in the data."
    named = _numbers([str(number + 1) for number in layer.dead])
    count = f"{len(layer.dead)} of {len(layer.features)}"
    return f"Dead, with the same map for every item: {count} ({named})."


def _duplicates(layer: Layer) -> str:
    if not layer.duplicates:
        return "No two features are duplicates."
    named = _numbers(
        [f"{one + 1} and {other + 1} ({value:.3f})" for one, other, value in layer.duplicates]
    )
    return f"Duplicates, by the correlation of their maps over the data: {named}."


def _feature(looked: Looked, layer: Layer, feature: Feature) -> dict[str, Any]:
    shape = looked.model.shape
    data: dict[str, Any] = {
        "number": feature.number,
        "patches": [
            {
                "name": looked.names[patch.item],
                "value": patch.value,
                "place": _place(looked, patch),
                "text": text_of(looked, patch) if isinstance(looked.cells, OneHot) else None,
            }
            for patch in feature.patches
        ],
        "madeValue": feature.made_value,
    }
    if layer.on_grid:
        data["weights"] = _mini_image(looked, layer, feature.number)
    if isinstance(looked.cells, OneHot):
        if feature.made is not None:
            data["made"] = {"text": symbols_in(feature.made, shape)}
        return data
    sheet, made = patches_sheet(looked, feature), made_pixels(looked, feature)
    data["sheet"] = None if sheet is None else _picture(sheet)
    if made is not None:
        data["made"] = _picture(made)
    return data


def _place(looked: Looked, patch: Patch) -> str:
    shape = looked.model.shape
    places = []
    if shape.rows > 1 and shape.row_axis.ordered:
        places.append(place_on(shape.row_axis, patch.rows[0], patch.rows[1] - 1))
    if shape.columns > 1:
        places.append(place_on(shape.column_axis, patch.columns[0], patch.columns[1] - 1))
    return ", ".join(places)


def _mini_image(looked: Looked, layer: Layer, number: int) -> dict[str, Any]:
    """Return a feature on the grid as a mini-image; over symbols the rows that it weighs most."""
    weights = layer.weights[number]
    labels = looked.model.shape.row_axis.labels
    symbols = isinstance(looked.cells, OneHot) and labels is not None
    rows: list[str] | None = None
    if symbols and labels is not None and weights.shape[1] == len(labels):
        strongest = np.argsort(-weights[0].max(axis=1), kind="stable")[:_SYMBOLS]
        weights = weights[:, strongest]
        rows = [sign(labels[row]) for row in strongest.tolist()]
    return {"cells": weights, "limit": float(np.abs(layer.weights).max()) or 1.0, "rows": rows}


def _picture(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    rows, columns = pixels.shape[:2]
    return {"address": png_address(pixels), "width": columns, "height": rows}
