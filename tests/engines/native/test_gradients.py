"""Dense gradients of convolutions are plain sums, for any size and processor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from gridcnn.engines.base import make_engine
from gridcnn.engines.native.compiler import Compiled, translate
from gridcnn.engines.native.emitter import PTR, Module
from gridcnn.engines.native.kernels import convolution_dense
from gridcnn.engines.native.kernels.convolution import Convolution
from gridcnn.engines.native.kernels.winograd import Winograd
from gridcnn.engines.native.kernels.winograd_features import Tiling, best_tiling, by_features
from gridcnn.engines.native.layout import Maps, lanes_for
from gridcnn.engines.native.processor import Processor, processor
from gridcnn.engines.reference import ReferenceEngine
from gridcnn.grid import Array, GridShape
from gridcnn.network import Network
from gridcnn.spec.load import load

LEVELS = ("native", "x86-64-v3", "generic")


@pytest.fixture(params=LEVELS)
def chosen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Processor:
    """The processor that code is made for."""
    if request.param != "native" and not processor().triple.startswith("x86_64"):
        pytest.skip("the levels are those of x86-64")
    monkeypatch.setenv("GRIDCNN_CPU", request.param)
    return processor()


class Case:
    """A convolution with random cells and gradients; all memory around them holds numbers, too."""

    def __init__(
        self,
        chosen: Processor,
        sizes: tuple[int, int, int, int],
        kernel: tuple[int, int],
        *,
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
        bias: bool = True,
    ) -> None:
        channels, filters, rows, columns = sizes
        self.processor = chosen
        reach = [(taps - 1) * apart for taps, apart in zip(kernel, dilation, strict=True)]
        pad = [each // 2 for each in reach]
        out = [
            (size + 2 * beside - far - 1) // step + 1
            for size, beside, far, step in zip((rows, columns), pad, reach, stride, strict=True)
        ]
        spare = 5  # what the tiles of the features' gradient may read beyond the grid
        source = Maps(
            *(channels, rows, columns, lanes_for(channels, chosen)),
            *(pad[0], pad[0] + spare, pad[1], pad[1] + spare),
        )
        target = Maps(filters, out[0], out[1], lanes_for(filters, chosen), 2, 1, 1, 3)
        self.conv = Convolution(
            sources=(source,),
            target=target,
            kernel_size=kernel,
            stride=stride,
            dilation=dilation,
            rows=out[0],
            columns=out[1],
            bias=bias,
            rectified=False,
        )
        self.random = np.random.default_rng(rows * columns + filters)
        self.grid = self._maps(source, np.zeros)
        self.flow = self._maps(target, lambda shape: np.full(shape, 7.0))

    def _maps(self, maps: Maps, border: Callable[[tuple[int, ...]], Array]) -> Array:
        height, width = maps.above + maps.rows + maps.below, maps.left + maps.columns + maps.right
        whole = np.zeros((height, width, maps.padded), np.float32)
        whole[..., : maps.channels] = border((height, width, maps.channels))
        cells = self.random.normal(size=(maps.rows, maps.columns, maps.channels))
        self._inside(whole, maps)[..., : maps.channels] = cells
        return whole

    @staticmethod
    def _inside(whole: Array, maps: Maps) -> Array:
        return whole[maps.above : maps.above + maps.rows, maps.left : maps.left + maps.columns]

    @property
    def gradients(self) -> Array:
        """The map's gradient, `(rows, columns, filters)`, in float64."""
        inside = self._inside(self.flow, self.conv.target)
        return inside[..., : self.conv.filters].astype(float)

    def under(self, tap: tuple[int, int]) -> tuple[slice, slice]:
        """Return the cells of the grid with its border that are under a tap."""
        down, across = (
            slice(at * apart, at * apart + (count - 1) * step + 1, step)
            for at, apart, count, step in zip(
                tap,
                self.conv.dilation,
                (self.conv.rows, self.conv.columns),
                self.conv.stride,
                strict=True,
            )
        )
        return down, across

    def plain_features(self) -> Array:
        """Return the features' gradient as plain sums, `(filters, taps, channels)`."""
        cells = self.grid.astype(float)
        sums = [
            np.einsum("rcg,rcf->fg", cells[self.under(tap)], self.gradients)
            for tap in self.conv.taps
        ]
        return np.stack(sums, 1)

    def run(self, emit: Callable[[Module], None], *arrays: Array) -> None:
        """Call the function `f` that `emit` emits, once."""
        module = Module(self.processor)
        emit(module)
        with module.function("enter", *[PTR] * len(arrays), internal=False) as (code, arguments):
            code.run("f", *arguments)
        made = Compiled(
            translate(str(module), self.processor), "enter", self.processor, len(arrays)
        )
        made.call(*(each.ctypes.data for each in arrays))

    def check_features(self, emit: Callable[[Module], None], *, scratch: int = 0) -> None:
        """Assert that a function adds the right numbers to both gradients."""
        conv, spare = self.conv, 3.0
        sums = np.ones((conv.filters, len(conv.taps), conv.source.padded), np.float32)
        by_bias = np.ones(conv.target.padded, np.float32)
        work = np.full(scratch + 64, spare, np.float32)
        arrays = [self.grid, self.flow, sums, by_bias, *([work] if scratch else [])]
        self.run(emit, *arrays)
        expected = self.plain_features()
        np.testing.assert_allclose(sums - 1, expected, atol=3e-6 * np.abs(expected).max())
        if conv.bias:
            totals = self.gradients.sum((0, 1))
            np.testing.assert_allclose(by_bias[: conv.filters] - 1, totals, atol=1e-3)
        else:
            assert (by_bias == 1).all()
        assert (work[scratch:] == spare).all(), "something was written behind the scratch memory"


TILED = [
    ((16, 16, 32, 32), (3, 3), (4, 4)),
    ((16, 16, 13, 9), (3, 3), (4, 2)),
    ((17, 35, 7, 10), (3, 3), (2, 4)),
    ((33, 16, 5, 6), (3, 3), (2, 2)),
    ((16, 20, 1, 23), (1, 5), (1, 4)),
    ((20, 16, 11, 1), (3, 1), (4, 1)),
    ((16, 18, 10, 11), (5, 5), (2, 2)),
    ((64, 64, 8, 8), (3, 3), (4, 2)),
    ((16, 16, 100, 70), (3, 3), (4, 4)),  # more than one group of tiles
]


@pytest.mark.parametrize(("sizes", "kernel", "tile"), TILED)
def test_tiles_give_the_gradient_of_features(
    chosen: Processor,
    sizes: tuple[int, int, int, int],
    kernel: tuple[int, int],
    tile: tuple[int, int],
) -> None:
    """Whatever tiles reach beyond the map, and whatever stands beside its gradient."""
    case = Case(chosen, sizes, kernel)
    tiling = Tiling(case.conv, tile)
    case.check_features(
        lambda module: by_features(module, "f", tiling, case.conv.target),
        scratch=tiling.scratch_size(chosen.registers),
    )


def test_many_rows_of_tiles_are_more_than_one_group() -> None:
    case = Case(processor(), TILED[-1][0], (3, 3))
    tiling = Tiling(case.conv, (4, 4))
    assert tiling.group < tiling.tiles[0]


@pytest.mark.parametrize(
    ("sizes", "kernel", "stride", "dilation"),
    [
        ((16, 33, 9, 7), (1, 1), (1, 1), (1, 1)),
        ((64, 40, 8, 8), (1, 1), (1, 1), (1, 1)),
        ((32, 5, 6, 6), (1, 1), (2, 2), (1, 1)),
        ((16, 19, 6, 11), (1, 2), (1, 1), (1, 1)),
        ((7, 12, 10, 6), (3, 1), (1, 2), (1, 1)),
        ((20, 6, 9, 9), (3, 3), (2, 1), (1, 2)),
    ],
)
def test_sums_give_the_gradient_of_features(
    chosen: Processor,
    sizes: tuple[int, int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    """Whether features have one tap or many."""
    case = Case(chosen, sizes, kernel, stride=stride, dilation=dilation, bias=False)
    case.check_features(
        lambda module: convolution_dense.by_features(module, "f", case.conv, case.conv.target)
    )


@pytest.mark.parametrize(
    ("sizes", "kernel", "stride", "dilation"),
    [
        ((16, 16, 16, 16), (3, 3), (2, 2), (1, 1)),
        ((17, 9, 7, 11), (3, 3), (2, 3), (1, 1)),
        ((32, 33, 9, 5), (1, 1), (2, 2), (1, 1)),
        ((8, 4, 12, 3), (2, 3), (3, 1), (1, 2)),
        ((400, 3, 5, 6), (3, 3), (2, 2), (1, 1)),  # more vectors than are written out
        ((2000, 2, 3, 4), (3, 3), (2, 2), (1, 1)),  # so many in each row
    ],
)
def test_patches_give_the_gradient_of_the_grid(
    chosen: Processor,
    sizes: tuple[int, int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    """Each gradient is added to the patch under it, times the feature."""
    case = Case(chosen, sizes, kernel, stride=stride, dilation=dilation)
    conv = case.conv
    features = np.zeros((conv.filters, len(conv.taps), conv.source.padded), np.float32)
    features[..., : conv.source.channels] = case.random.normal(
        size=(conv.filters, len(conv.taps), conv.source.channels)
    )
    by_grid = np.ones_like(case.grid)
    expected = np.ones(case.grid.shape)
    for number, tap in enumerate(conv.taps):
        expected[case.under(tap)] += case.gradients @ features[:, number].astype(float)

    case.run(
        lambda module: convolution_dense.by_grid(module, "f", conv), case.flow, features, by_grid
    )

    np.testing.assert_allclose(by_grid, expected, atol=3e-6 * np.abs(expected).max())


def test_tiles_are_taken_where_they_save() -> None:
    """Small maps of many channels take smaller tiles; few channels take none."""
    chosen = processor()

    def tile(channels: int, filters: int, size: int) -> tuple[int, int] | None:
        tiling = best_tiling(Case(chosen, (channels, filters, size, size), (3, 3)).conv)
        return None if tiling is None else tiling.tile

    assert tile(16, 16, 32) == (4, 4)
    assert sorted(tile(64, 64, 8) or ()) == [2, 4]
    assert tile(4, 4, 8) is None
    assert best_tiling(Case(chosen, (16, 16, 9, 9), (1, 1)).conv) is None


def test_the_grid_under_all_tiles_is_there() -> None:
    """Maps of a Winograd convolution have a border that tiles of its gradient may read."""
    for size in range(4, 20):
        conv = Winograd.of(Case(processor(), (32, 32, size, size), (3, 3)).conv)
        if conv is None or conv.tiling is None:
            continue
        down, across = conv.tiling.cells_under
        assert conv.source.above + size + conv.source.below >= down
        assert conv.source.left + size + conv.source.right >= across


@pytest.mark.parametrize("columns", [5, 8, 11])
@pytest.mark.usefixtures("chosen")
def test_rectified_convolutions_pass_gradients_on(columns: int) -> None:
    """In tiles, whether a gradient is written or added to what other readers have left."""
    conv = {"convolution": {"filters": 16}}
    stages = [*(conv, "rectification") * 2, {"skip": [conv, "rectification"]}, "rectification"]
    shape = GridShape(16, 8, columns)
    network = Network(load({"stages": stages, "head": "voting"}), shape, classes=3)
    random = np.random.default_rng(columns)
    parameters = network.starting_parameters()
    grids = random.normal(size=(11, *shape.sizes)).astype(np.float32)
    grids[3:, :, :4] = 0  # blank parts have no gradient
    targets = np.arange(11) % 3

    found = make_engine(network, "native").step(parameters, grids, targets)

    wanted = ReferenceEngine(network).step(parameters.astype(float), grids.astype(float), targets)
    most = np.abs(wanted.gradient).max()
    np.testing.assert_allclose(found.gradient, wanted.gradient, atol=1e-5 * most)
