"""An adapter as data for a page: its settings, and what the page cannot work out by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from gridcnn.adapters.array import ArrayAdapter
from gridcnn.adapters.audio import AudioAdapter
from gridcnn.adapters.by_librosa import pitch_class_weights
from gridcnn.adapters.image import ImageAdapter
from gridcnn.adapters.molecule import MoleculeAdapter
from gridcnn.adapters.smiles import AROMATIC, ELEMENTS
from gridcnn.adapters.spectrogram import frequencies
from gridcnn.adapters.table import TableAdapter
from gridcnn.adapters.text import CLASSIC, TextAdapter
from gridcnn.contracts.adapter import Adapter
from gridcnn.errors import Problem
from gridcnn.grid import Array
from gridcnn.report.live_notes import note_filters
from gridcnn.report.live_rates import rate_filters

_ADAPTERS = (ArrayAdapter, AudioAdapter, ImageAdapter, MoleculeAdapter, TableAdapter, TextAdapter)
_NOTES = ("cqt", "vqt")


def adapter_data(adapter: Adapter, problems: list[Problem]) -> dict[str, Any]:
    """Return a fitted adapter's settings, by their names in a spec, and `kind`, its name.

    What a page cannot do is added to the problems.
    """
    if type(adapter) not in _ADAPTERS:
        message = (
            f"the adapter '{adapter.title or type(adapter).__name__}' is of another package, and a "
            "page cannot make its grids; the adapters that gridcnn itself has can be exported"
        )
        problems.append(Problem(message))
        return {}
    settings: dict[str, Any] = {"kind": adapter.title, **_settings(adapter)}
    if isinstance(adapter, AudioAdapter):
        settings |= _sound(adapter)
    elif isinstance(adapter, TextAdapter):
        if adapter.unit != "byte":
            symbols = CLASSIC if adapter.alphabet == "classic" else adapter.alphabet or ()
            settings["alphabet"] = list(symbols)
    elif isinstance(adapter, MoleculeAdapter):
        if adapter.canonical:
            message = (
                "'canonical: true' of molecule rewrites molecules by RDKit, which a page does not "
                "have; train with canonical: false to export a page"
            )
            problems.append(Problem(message))
        settings |= {"elements": sorted(ELEMENTS), "aromatic": sorted(AROMATIC)}
    elif isinstance(adapter, ImageAdapter):
        settings |= {"background": _colour(adapter.background), "rows_first": _rows_first()}
    return settings


def _settings(adapter: Adapter) -> dict[str, Any]:
    """Return settings as JSON; `kind` of a sound is called `rows` here."""
    settings: dict[str, Any] = adapter.model_dump(mode="json")
    if "kind" in settings:
        settings["rows"] = settings.pop("kind")
    return settings


def _sound(adapter: AudioAdapter) -> dict[str, Any]:
    notes = None
    if adapter.kind in _NOTES:
        notes = note_filters(
            adapter.notes, sample_rate=adapter.sample_rate, hop_length=adapter.hop_length
        )
    highest = adapter.sample_rate / 2 if adapter.fmax is None else adapter.fmax
    at = frequencies(adapter.sample_rate, adapter.n_fft)
    inside = np.flatnonzero((at >= adapter.fmin) & (at <= highest))
    weights: Array | None = None
    if adapter.kind == "chroma":
        weights = pitch_class_weights(adapter.sample_rate, adapter.n_fft)
    return {
        "weights": weights,
        "notes": notes,
        "lags": [adapter.lags.start, adapter.lags.stop] if adapter.kind == "tempogram" else None,
        "filters": rate_filters(adapter.sample_rate),
        "lines": [int(inside[0]), int(inside[-1]) + 1] if adapter.kind == "linear" else None,
        "fmax": highest,
        "samples": max(1, round((adapter.duration or 0) * adapter.sample_rate)),
        "columns": adapter.shape().columns,
    }


def _rows_first() -> bool:
    """Return whether Pillow resizes along columns first where a picture gets much lower.

    From version 13 it does; before, it always began along rows. Bytes are rounded in between.
    """
    import PIL

    return int(PIL.__version__.partition(".")[0]) >= 13


def _colour(background: str) -> list[int] | None:
    if background == "auto":
        return None
    from PIL import ImageColor

    return [int(each) for each in np.array(ImageColor.getrgb(background))[:3]]
