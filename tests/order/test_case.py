"""The evidence on one table: which of the layouts that are in order are compared by a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gridcnn.order.case import Case
from gridcnn.order.judging import Judging
from gridcnn.order.layouts import Layout
from gridcnn.order.neighbours import Neighbours

LINE = Neighbours(Layout(1, 24), 0.6, 0.1, 0.61, 0.95, 0.9, p_value=1e-6, closeness=0.8)
ROWS = replace(LINE, layout=Layout(4, 6), closeness=0.85)
TWO, FOUR = (
    replace(LINE, layout=Layout(1, 24 // channels, channels, interleaved=False), breaks=True)
    for channels in (2, 4)
)


def compared(*near: Neighbours) -> list[Layout]:
    values = np.random.default_rng(0).normal(size=(40, 24, 1)).astype(np.float32)
    case = Case(values, np.ones(24, np.bool_), None, 40, Judging())
    return case._ordered_layouts(near, Layout(1, 24))


def test_channels_that_break_off_inside_give_way_to_those_they_consist_of() -> None:
    assert compared(TWO, FOUR) == [FOUR.layout]
    assert compared(TWO, replace(FOUR, breaks=False)) == [TWO.layout]


def test_the_line_comes_first_if_it_is_nearly_as_good() -> None:
    assert compared(ROWS, LINE) == [Layout(1, 24), Layout(4, 6)]
    closer = replace(ROWS, closeness=0.92)
    assert compared(closer, LINE) == [Layout(4, 6), Layout(1, 24)]
