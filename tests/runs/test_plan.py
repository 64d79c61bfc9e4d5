"""Plans, with as little reading as they take."""

from pathlib import Path

import numpy as np
import pytest

from gridcnn.datasets.makers.xo import XO
from gridcnn.errors import DataError
from gridcnn.runs.plan import plan
from gridcnn.spec.load import load

_REST = {"stages": ["pooling"], "head": "voting"}


def test_known_data_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes of a known data set are known beforehand."""
    monkeypatch.setattr(XO, "open", None)
    spec = load({**_REST, "data": {"source": "xo"}, "adapter": "image"})

    found = plan(spec, Path())

    assert found.network.classes == 2
    assert found.note == ""


def test_files_are_opened_for_their_classes(photographs: Path) -> None:
    """A folder's classes are counted."""
    spec = load({**_REST, "data": {"source": str(photographs)}, "adapter": "image"})

    assert plan(spec, Path()).network.classes == 3


def test_what_is_not_known_is_assumed_and_said() -> None:
    """Without data, or with data that is not there, the plan is for two classes."""
    missing = load({**_REST, "data": {"source": "/nowhere/at/all"}, "adapter": "image"})

    assert "the spec names no data" in plan(load({**_REST, "adapter": "image"}), Path()).note
    assert "nowhere" in plan(missing, Path()).note
    assert plan(missing, Path()).network.classes == 2


def test_the_shape_may_come_from_the_data(tmp_path: Path) -> None:
    """An adapter that learns the shape learns it from the data; without data there is no plan."""
    np.savez(tmp_path / "data.npz", X=np.zeros((9, 5, 7)), y=np.arange(9) % 3)
    spec = load({**_REST, "data": {"source": "data.npz"}, "adapter": "array"})

    found = plan(spec, tmp_path)

    assert found.network.shape.sizes == (1, 5, 7)
    assert found.network.classes == 3
    with pytest.raises(DataError, match="shape of the grids is not known"):
        plan(load({**_REST, "adapter": "array"}), tmp_path)
    with pytest.raises(DataError, match=r"the spec names no data; the audio .* or set 'duration'"):
        plan(load({**_REST, "adapter": "audio"}), tmp_path)


def test_files_are_pictures_where_the_spec_has_no_adapter(photographs: Path) -> None:
    """The plan opens the data as the run will."""
    found = plan(load({**_REST, "data": {"source": str(photographs)}}), Path())

    assert found.network.classes == 3
    assert found.network.shape.sizes == (1, 32, 32)
