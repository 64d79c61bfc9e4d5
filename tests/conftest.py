"""Fixtures that tests of several rooms share."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest
from PIL.Image import Image

from gridcnn.cores import usable_cores
from tests.browser import Pages
from tests.browser import start as start_browser

# A machine that does much else may take any time for an example, or to draw one: no test may fail
# by that. Nor by luck: the suite tries the same examples each time, and `make test-long` others.
_UNHURRIED = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("same", _UNHURRIED, derandomize=True, database=None)
hypothesis.settings.register_profile("others", _UNHURRIED)
hypothesis.settings.load_profile("same")

# What a shell starts in the background ignores Ctrl-C, and so would all that the tests start.
for _stop in (signal.SIGINT, getattr(signal, "SIGQUIT", signal.SIGINT)):
    if signal.getsignal(_stop) is signal.SIG_IGN:
        is_ctrl_c = _stop == signal.SIGINT
        signal.signal(_stop, signal.default_int_handler if is_ctrl_c else signal.SIG_DFL)


def share_of_cores() -> int:
    """Return how many cores each of the processes that share the tests has."""
    return max(1, usable_cores() // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


# Processes that share the tests share the cores: `cores` below says so to engines, and this to the
# libraries of linear algebra, before NumPy loads them. With a thread for each core in each process
# their threads wait for each other in busy loops, and some tests take six times as long.
if "PYTEST_XDIST_WORKER" in os.environ:
    for _library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{_library}_NUM_THREADS", str(share_of_cores()))

HERE = Path(__file__).parent
Draw = Callable[[int, int], list[tuple[Image, str]]]


def _loaded(path: Path) -> ModuleType:
    """Load a module by its place: under importlib's import mode tests import nothing by name.

    It may import what lies beside the tests: the benchmarks and the fuzzing.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE.parent)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", autouse=True)
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let what tests keep go where it is thrown away, not to the user's cache; fetch nothing.

    Processes that share the tests share it, so that no network is compiled by each of them.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the run's own; each process has a folder in it
    with pytest.MonkeyPatch.context() as patch:
        if "GRIDCNN_CACHE" not in os.environ:
            patch.setenv("GRIDCNN_CACHE", str(folder / "objects"))
        patch.setenv("GRIDCNN_OFFLINE", "1")
        if os.environ.get("PYTHONDONTWRITEBYTECODE"):
            # Nothing is written beside the sources, but not each process compiles them again.
            patch.delenv("PYTHONDONTWRITEBYTECODE")
            patch.setenv("PYTHONPYCACHEPREFIX", str(folder / "bytecode"))
        yield


@pytest.fixture(scope="session", autouse=True)
def cores() -> Iterator[None]:
    """Let processes that share the tests share the cores as well.

    An engine that is not told otherwise has a thread for each core; if each core has a process
    already, these only wait for each other. In tests/engines it has all of them.
    """
    share = share_of_cores()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gridcnn.engines.native.engine.usable_cores", lambda: share)
        yield


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three class folders with 24 pictures each; for reading only."""
    folder = tmp_path_factory.mktemp("photographs")
    _loaded(HERE / "photographs.py").make(folder)
    return folder


@pytest.fixture(scope="session")
def paint() -> Callable[..., None]:
    """Return the maker of many small pictures: `paint(folder, count_of_each_class)`."""
    maker: Callable[..., None] = _loaded(HERE / "photographs.py").make_many
    return maker


@pytest.fixture(scope="session")
def draw() -> Draw:
    """Return the maker of foreign drawings of X and O: `draw(count, seed)`."""
    maker: Draw = _loaded(HERE.parent / "benchmarks" / "drawings.py").draw
    return maker


@pytest.fixture(scope="session")
def photograph() -> Draw:
    """Return the maker of photographed cells with something along their sides: as `draw`."""
    maker: Draw = _loaded(HERE.parent / "benchmarks" / "framed.py").photograph
    return maker


@pytest.fixture(scope="session")
def librosa() -> ModuleType:
    """Return librosa, whose arithmetic Python does here.

    To load what numba compiles takes a second, and to compile it first half a minute.
    """
    plain = ModuleType("numba")
    plain.vectorize = lambda *_, **__: _vectorized  # type: ignore[attr-defined]
    for name in ("jit", "guvectorize"):
        setattr(plain, name, lambda *_, **__: lambda function: function)
    plain.stencil = lambda function: function  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "numba" not in sys.modules:
            patch.setitem(sys.modules, "numba", plain)
        librosa = importlib.import_module("librosa")
        for name in (
            *("core.audio", "core.spectrum", "core.constantq", "decompose", "effects"),
            *("feature.spectral", "feature.rhythm", "filters", "onset"),
        ):
            importlib.import_module(f"librosa.{name}")
    return librosa


def _vectorized(function: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a function of arrays that can write into a second one, as numba makes them."""
    import numpy as np  # here, so that the process that hands out the tests need not load it

    of_arrays = np.vectorize(function)

    def compute(values: Any, out: Any = None) -> Any:
        computed = of_arrays(values)
        if out is None:
            return computed
        out[...] = computed
        return out

    return compute


@pytest.fixture(scope="session")
def networks() -> ModuleType:
    """Return makers of random stages and networks, and the check of a stage's gradients."""
    return _loaded(HERE / "networks.py")


@pytest.fixture(scope="session")
def bombs() -> ModuleType:
    """Return makers of small files that say, or unpack to, far more than memory holds."""
    return _loaded(HERE / "bombs.py")


@pytest.fixture(scope="session")
def mutations() -> ModuleType:
    """Return strategies that change plain data and arrays inside of files."""
    return _loaded(HERE / "mutations.py")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Give a real browser to tests of pages."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        started = start_browser(driver)
        yield started
        started.close()


@pytest.fixture
def pages(browser: Any) -> Iterator[Pages]:
    """Open pages in a real browser; whatever goes wrong in them fails the test."""
    opened = Pages(browser)
    yield opened
    for context in browser.contexts:
        context.close()
    assert not opened.problems


@pytest.fixture(autouse=True)
def _has_package(request: pytest.FixtureRequest) -> None:
    """Skip the torch engine's tests where PyTorch is not installed."""
    call = getattr(request.node, "callspec", None)
    if call is not None and "torch" in [v for v in call.params.values() if isinstance(v, str)]:
        pytest.importorskip("torch", reason="PyTorch is not installed")
