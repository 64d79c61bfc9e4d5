"""What tests of the checker share: trainings on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from numpy.typing import NDArray

from gridcnn.order import case, sequences
from gridcnn.order.layouts import Layout
from gridcnn.order.usefulness import TRAININGS, Usefulness, usefulness


@pytest.fixture(scope="module", autouse=True)
def trained() -> Iterator[None]:
    """Train once on the same rows, whichever way they come in, if they are the same to the bit.

    A training depends on its arguments alone, as tests/order/test_usefulness.py checks.
    """
    known: dict[Any, Usefulness | None] = {}

    def train_once(
        values: NDArray[Any],
        targets: NDArray[Any],
        layout: Layout,
        *,
        advance: Callable[[int], None] | None = None,
        is_enough: Callable[[Usefulness], bool] | None = None,
        **settings: Any,
    ) -> Usefulness | None:
        rows = [(each.shape, each.dtype.str, each.tobytes()) for each in (values, targets)]
        # The same rows have the same other evidence, by which it is enough.
        key = (*rows, layout, is_enough is None, *settings.items())
        if key not in known:
            known[key] = usefulness(
                values, targets, layout, advance=advance, is_enough=is_enough, **settings
            )
        elif known[key] is not None and advance is not None:
            advance(TRAININGS)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (case, sequences):
            patch.setattr(module, "usefulness", train_once)
        yield
