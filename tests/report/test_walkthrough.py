"""The walk-through: its numbers are those of the engine, and everything in it can be moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridcnn.errors import TrainingInterrupted
from gridcnn.report.walkthrough import (
    FEATURES,
    Walk,
    collect,
    draw_x,
    hand_made_maps,
    walkthrough_page,
)
from gridcnn.runs.watcher import RunWatcher
from tests.browser import Pages, faults_at_widths

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def called() -> set[str]:
    """Return the names of the methods of a watcher that the walk has called."""
    return set()


@pytest.fixture(scope="module")
def walk(called: set[str]) -> Walk:
    class Noting(RunWatcher):
        def __getattribute__(self, name: str) -> Any:
            called.add(name)
            return super().__getattribute__(name)

    return collect(threads=1, watcher=Noting())


@pytest.fixture(scope="module")
def path(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("walk") / "walkthrough.html"
    path.write_text(walkthrough_page(walk), "utf-8")
    return path


def test_a_walk_passes_on_whatever_a_run_tells(walk: Walk, called: set[str]) -> None:
    """Every method of a watcher is called through, also those that the walk itself uses."""
    assert walk.frames
    assert {name for name in called if name.startswith("on_")} == {
        "on_reading", "on_engine", "on_plan", "on_batch", "on_epoch", "on_sign", "on_end",
    }  # fmt: skip


@pytest.mark.parametrize("where", ["on_plan", "on_epoch"])
def test_a_walk_that_is_stopped_leaves_nothing(where: str) -> None:
    """And names no folder to continue, since that of its run is gone."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    watcher = RunWatcher()
    setattr(watcher, where, stop)

    with pytest.raises(TrainingInterrupted) as stopped:
        collect(threads=1, watcher=watcher)

    assert str(stopped.value) == "stopped; nothing was written"
    assert stopped.value.folder is None


def test_maps_are_matches_cell_by_cell() -> None:
    """The bricks give what loops give: multiply, add up, divide; no negatives; the largest."""
    picture = draw_x()
    matches, rectified, pooled = hand_made_maps(picture)

    for map_, feature in zip(matches, FEATURES.values(), strict=True):
        for row in range(7):
            for column in range(7):
                patch = picture[row : row + 3, column : column + 3]
                assert map_[row, column] == pytest.approx((patch * feature).sum() / 9, abs=1e-6)
    np.testing.assert_array_equal(rectified, np.maximum(matches, 0))
    for row in range(4):
        for column in range(4):
            window = rectified[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            np.testing.assert_array_equal(pooled[:, row, column], window.max(axis=(1, 2)))


def test_the_live_run_learns(walk: Walk) -> None:
    """The frames begin before the training; the error falls, and most pictures are named right."""
    losses = [frame["loss"] for frame in walk.frames]

    assert len(losses) == walk.run.metrics["epochs"] + 1
    assert losses[-1] < losses[0] / 5
    assert (
        walk.run.metrics["test"]["accuracy"]
        > 0.9
        > walk.run.metrics["literal_comparison"]["accuracy"]
    )
    last = walk.frames[-1]["features"]
    weights = walk.run.model.network.ops[0].views(walk.run.model.parameters)["weights"]
    assert last.shape == (8, 7, 7)
    if walk.run.metrics["best_epoch"] == walk.run.metrics["epochs"]:
        np.testing.assert_array_equal(last, weights[:, 0])


def test_the_error_has_the_slope_that_is_told(walk: Walk) -> None:
    """Backpropagation agrees with the curve of losses, two values beside the start."""
    values, losses = walk.nudge["values"], walk.nudge["losses"]
    middle = len(values) // 2

    slope = (losses[middle + 1] - losses[middle - 1]) / (values[middle + 1] - values[middle - 1])

    assert values[middle] == walk.nudge["start"]
    assert losses[middle] == pytest.approx(walk.frames[0]["loss"])
    assert slope == pytest.approx(walk.nudge["slope"], rel=0.2)


def test_the_table_is_refused(walk: Walk) -> None:
    """Customers are no grid."""
    assert walk.verdict is not None
    assert walk.verdict.decision == "permutable"


def test_a_browser_shows_it(pages: Pages, path: Path) -> None:
    """At each width all is drawn, nothing is wider than the window, and nobody is kept out."""
    opened = pages.open(path)

    assert faults_at_widths(opened) == []
    assert path.stat().st_size < 3_000_000


def test_the_page_computes_what_the_engine_computes(pages: Pages, path: Path) -> None:
    """Its three bricks agree with those of the product, on the X and on random cells."""
    opened = pages.open(path)
    random = np.random.default_rng(0)

    for picture in (draw_x(), random.choice([-1, 1], (9, 9)).astype(np.float32)):
        found = opened.evaluate(
            """([cells, features]) => features.map((feature) => {
                const { matches, rectified, pooled } = gridcnn.walk.bricks(
                    Float32Array.from(cells), Float32Array.from(feature),
                );
                return [[...matches], [...rectified], [...pooled]];
            })""",
            [picture.ravel().tolist(), np.reshape(list(FEATURES.values()), (3, 9)).tolist()],
        )
        for number, own in enumerate(hand_made_maps(picture)):
            mine = np.array([each[number] for each in found])
            np.testing.assert_allclose(mine, own.reshape(3, -1), atol=1e-6)


def test_sliders_and_keys_work(pages: Pages, path: Path) -> None:
    """A turned X is no longer an X cell by cell; the arrow keys read the cells; the patch moves."""
    opened = pages.open(path)

    assert "Cell by cell this is: X. Right." in opened.inner_text("main")
    opened.get_by_role("button", name="O", exact=True).first.click()
    assert "Cell by cell this is: O. Right." in opened.inner_text("main")
    slider = opened.get_by_role("slider", name="to the right")
    slider.focus()
    for _ in range(20):
        slider.press("ArrowRight")
    assert "Wrong, it is an O." in opened.inner_text("main")
    for sign in "XO":
        opened.get_by_role("button", name=sign, exact=True).first.click()
        opened.get_by_role("button", name="as another person draws it").click()
        assert f"Wrong, it is an {sign}." in opened.inner_text("main")

    picture = opened.get_by_role("img", name="the X, 9 by 9 cells")
    picture.focus()
    picture.press("ArrowRight")
    assert opened.inner_text("#tip") == "row 0, column 1: -1"
    assert "A perfect match." in opened.inner_text("main")
    opened.get_by_role("button", name="left", exact=True).click()
    assert "Added up: -1. Divided by 9 cells: -0.1111." in opened.inner_text("main")


def test_the_election_names_x_and_o(pages: Pages, path: Path) -> None:
    """Each is given most votes when it is shown."""
    opened = pages.open(path)

    for sign in "OX":
        opened.get_by_role("button", name=f"show it an {sign}").click()
        assert opened.inner_text(".votes .most .name") == sign


def test_the_animation_plays_to_its_end(pages: Pages, path: Path) -> None:
    """From before the training to the last epoch."""
    opened = pages.open(path)
    assert "Before the training" in opened.inner_text("main")

    opened.clock.install()
    opened.get_by_role("button", name="play").click()
    opened.clock.run_for(60_000)

    assert "After epoch 20" in opened.inner_text("main")
