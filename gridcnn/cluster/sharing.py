"""Training on a cluster, if there is one; the compiler is loaded with the workers alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gridcnn.cluster.joining import Cluster, join
from gridcnn.engines.base import Engine, EngineChoice
from gridcnn.errors import EngineError

if TYPE_CHECKING:
    from gridcnn.cluster.crew import Crew


@contextlib.contextmanager
def share(engine: Engine, cluster: Cluster | None, crew: Crew | None = None) -> Iterator[Engine]:
    """Yield an engine that trains on a cluster, with the results of `engine`; itself without one.

    `crew` are the workers of the native engine, if there are some already; they stay.

    Raises:
        EngineError: it is another engine than native or torch, or its training steps cannot be
            shared.
        UserError: there is no such cluster.
    """
    if cluster is None:
        yield engine
        return
    if EngineChoice.parse(engine.name).name == "torch":
        with _share_torch(engine, cluster) as torch_engine:
            yield torch_engine
        return
    from gridcnn.cluster.engine import ClusterEngine
    from gridcnn.engines.native.engine import NativeEngine

    if type(engine) is not NativeEngine:
        raise EngineError(
            "workers of a cluster train with the native engine, or with torch; the engine is "
            f"{engine.name}"
        )
    if crew is not None:
        yield ClusterEngine(engine.network, crew=crew)
        return
    with join(cluster) as workers:
        shared = ClusterEngine(engine.network, workers=workers, threads=cluster.threads)
        try:
            yield shared
        finally:
            shared.dismiss()


@contextlib.contextmanager
def _share_torch(engine: Engine, cluster: Cluster) -> Iterator[Engine]:
    """Yield the torch engine with its training steps computed by workers."""
    from gridcnn.cluster.torch_engine import TorchClusterEngine, refuse_unshared
    from gridcnn.engines.torch.engine import TorchEngine

    assert isinstance(engine, TorchEngine)
    refuse_unshared(engine)
    with join(cluster, cards=engine.device.startswith("cuda")) as workers:
        shared = TorchClusterEngine(engine, workers=workers, threads=cluster.threads)
        try:
            yield shared
        finally:
            shared.dismiss()


@contextlib.contextmanager
def hire(cluster: Cluster) -> Iterator[Crew]:
    """Yield workers before there is a network, so that they read and hold the data.

    Raises:
        UserError: there is no such cluster.
    """
    from gridcnn.cluster.crew import Crew

    with join(cluster) as workers:
        crew = Crew(workers, cluster.threads)
        try:
            yield crew
        finally:
            crew.dismiss()


@contextlib.contextmanager
def answer_shared(engine: Engine, cluster: Cluster) -> Iterator[tuple[Crew, Engine]]:
    """Yield workers that read and hold data, and an engine that lets them answer it.

    Raises:
        EngineError: it is not the native engine.
        UserError: there is no such cluster.
    """
    from gridcnn.cluster.engine import AnsweringEngine
    from gridcnn.engines.native.engine import NativeEngine

    if type(engine) is not NativeEngine:
        raise other_engine_error(engine.name)
    with hire(cluster) as crew:
        yield crew, AnsweringEngine(engine.network, crew)


def other_engine_error(name: str | None) -> EngineError:
    """Return the error for an engine that cannot compute with grids that workers hold."""
    return EngineError(
        f"workers that read the data compute with the native engine; the engine is {name}"
    )
